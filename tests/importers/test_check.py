import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfrecs.command_line.originals import main
from tfrecs.errors import InputError
from tfrecs.importers import attrec
from tfrecs.importers.check import TOLERANCE, Report, check
from tfrecs.models import train_step

FILES = {  # and how many entries may lie above the tolerance for no reason but rounding
    "attrec_a.npz": 0,
    "attrec_port2024.npz": 0,
    # Clipped, few ids: merged rows are longer than unmerged ones. The gradient of one row (8 wide) is 0 except for
    # rounding. Which of its entries differ depends on the processor: 8 after one step, 8 after three, and 12 losses.
    "attrec_clip_repeats.npz": 8 + 8 + 12,
    "attrec_pads_zeros.npz": 5,  # clipped; PAD and user 0 everywhere; rows of norm 0 and exactly 1; short histories
    "attrec_port2024_w1.npz": 5,  # one target, one negative, large steps and norms
}


@pytest.mark.parametrize("name", FILES)
def test_the_original_is_met(golden, name):
    report = check(str(golden / name))
    assert report.passed, str(report)
    assert max(report.outputs, report.loss, report.gradients) < 5e-6
    assert report.rounded <= FILES[name]


def arguments(**changes):
    """A wrong model: constructor arguments on top of the golden file's."""
    described = attrec.arguments_from_config

    def wrong(monkeypatch):
        monkeypatch.setattr(attrec, "arguments_from_config", lambda config: described(config) | changes)

    return wrong


def config(**changes):
    """A wrong optimizer."""

    def wrong(monkeypatch):
        right = attrec.optimizer
        monkeypatch.setattr(attrec, "optimizer", lambda given: right(given | changes))

    return wrong


def epsilon(value):
    def wrong(monkeypatch):
        monkeypatch.setattr(
            attrec,
            "optimizer",
            lambda given: keras.optimizers.Adam(
                given["learning_rate"], epsilon=value, global_clipnorm=given["grad_clip"]
            ),
        )

    return wrong


def clip_twice(monkeypatch):
    monkeypatch.setattr(train_step, "apply_clipped", lambda optimizer, pairs, clip: optimizer.apply_gradients(pairs))


@pytest.mark.parametrize(
    "name, wrong, kinds",
    [
        ("attrec_a.npz", arguments(margin=0.5001), ("loss",)),
        ("attrec_a.npz", arguments(user_weight=0.3003), ("outputs",)),
        ("attrec_a.npz", arguments(signal_exponent=1.0), ("outputs",)),
        ("attrec_a.npz", arguments(diagonal="masked"), ("outputs",)),
        ("attrec_a.npz", arguments(norm_bound="constraint"), ("outputs",)),
        ("attrec_a.npz", arguments(unit_user_in_training=False), ("outputs",)),
        ("attrec_a.npz", arguments(pair_reduction="sum"), ("loss",)),
        ("attrec_a.npz", arguments(loss_reduction="mean"), ("gradients",)),
        ("attrec_a.npz", arguments(l2=1e-3), ("gradients",)),
        ("attrec_a.npz", epsilon(1e-7), ("updates",)),
        ("attrec_port2024.npz", arguments(prediction_aggregation=None), ("outputs",)),
        ("attrec_clip_repeats.npz", arguments(clip_unmerged_rows=False), ("gradients", "updates")),
        ("attrec_clip_repeats.npz", config(grad_clip=0.0), ("updates",)),
        ("attrec_clip_repeats.npz", clip_twice, ("updates",)),
        ("attrec_pads_zeros.npz", arguments(partial_windows=True), ("loss",)),
        ("attrec_pads_zeros.npz", arguments(mask_padding=True), ("outputs",)),
    ],
)
def test_a_wrong_implementation_fails(golden, monkeypatch, name, wrong, kinds):
    wrong(monkeypatch)
    if "updates" not in kinds:
        monkeypatch.setattr("tfrecs.importers.steps.PERTURBED_RUNS", 0)  # what rounding explains is not looked at
    report = check(str(golden / name))
    failed = {kind for kind, limit in TOLERANCE.items() if getattr(report, kind) > limit}
    assert set(kinds) <= failed, str(report)
    assert not report.passed


def bump(index, amount):
    def change(array):
        array[index] += amount
        return array

    return change


def swap_ranks(order):
    order[2, [0, 5]] = order[2, [5, 0]]
    return order


@pytest.mark.parametrize(
    "key, change, kind",
    [
        ("output/pos_y", bump((1, 2), 3e-5), "outputs"),
        ("output/attention", bump((0, 1, 2), -3e-5), "outputs"),
        ("output/topk_index", swap_ranks, "outputs"),
        ("output/topk_index", lambda order: np.repeat(order[:, :1], order.shape[1], axis=1), "outputs"),
        ("output/loss", bump(3, 3e-5), "loss"),
        ("output/loss", bump(3, np.nan), "loss"),
        ("output/global_norm_tf1", lambda norm: norm * 1.001, "gradients"),
        ("grad/AttRec/item_emb", bump((7, 0), 1e-3), "gradients"),
        ("after1/AttRec/user_rep_emb", bump((0, 0), 3e-5), "updates"),
        ("after3/AttRec/attention/qk_map/kernel", bump((2, 2), 3e-5), "updates"),
        ("loss_curve", bump(2, 3e-5), "updates"),
    ],
)
def test_every_group_is_compared(altered, monkeypatch, key, change, kind):
    monkeypatch.setattr("tfrecs.importers.steps.PERTURBED_RUNS", 1)  # this case leaves nothing to rounding
    report = check(altered("attrec_a.npz", key, change))
    assert [name for name, limit in TOLERANCE.items() if not getattr(report, name) <= limit] == [kind]


def test_entries_left_to_rounding_are_bounded(altered, golden):
    name = "after3/AttRec/item_rep_emb"
    path = altered("attrec_pads_zeros.npz", name, lambda array: array + 1.0)
    assert check(path).updates > 0.4  # no entry is free, whatever decides it


def other_config(**changes):
    return lambda config: np.array(json.dumps(json.loads(str(config)) | changes))


@pytest.mark.parametrize(
    "key, change, message",
    [
        ("source", lambda source: np.array("github nobody/Nothing"), "no model for"),
        ("config", other_config(keep_prob=0.5), "keep_prob 0.5"),
        ("config", other_config(optimizer="tf.train.AdagradOptimizer"), "AdagradOptimizer"),
        ("config", other_config(sequence_length=4), "case not supported"),
        ("config", lambda config: np.array("{"), "case not supported"),
        ("config", lambda config: None, r"no \['config'\]"),
        ("input/sl", lambda lengths: None, "no 'sl'"),
        ("input/user", lambda user: user + 1000, "case not supported"),
        ("grad/AttRec/item_emb", lambda gradient: None, "no 'grad/AttRec/item_emb'"),
        ("after3/AttRec/item_emb", lambda table: table[:-1], "shape"),
        ("weights/AttRec/item_rep_emb", lambda table: None, r"missing here: \['AttRec/item_rep_emb'\]"),
    ],
)
def test_cases_that_are_not_supported(altered, key, change, message):
    path = altered("attrec_a.npz", key, change)
    with pytest.raises(InputError, match=message) as raised:
        check(path)
    assert str(raised.value).startswith(f"{path}: case not supported: ")


def test_damaged_files_are_named(golden, tmp_path):
    content = (golden / "attrec_clip_repeats.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    for position in range(40, len(content), len(content) // 16):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            check(str(path))
        except InputError as error:
            assert str(error).startswith(f"{path}: ")
    for size in (0, 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="cannot be read"):
            check(str(path))


def test_exit_codes(golden, altered, capsys, tmp_path):
    good = str(golden / "attrec_a.npz")
    bad = altered("attrec_a.npz", "loss_curve", bump(0, 1.0))
    missing = str(tmp_path / "none.npz")
    assert main(["check", good]) == 0
    assert main(["check", bad, good]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == [f"ok   {good}", f"FAIL {bad}", f"ok   {good}"]
    assert err == ""
    assert main(["check", missing, bad]) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err.splitlines() == [
        f"python -m tfrecs.importers: error: {missing}: cannot be read: No such file or directory"
    ]


def test_nothing_but_the_report_is_on_stdout(golden):
    path = str(golden / "attrec_port2024.npz")
    done = subprocess.run(
        [sys.executable, "-m", "tfrecs.importers", "check", path, "none"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout.startswith(f"ok   {path}: outputs ") and len(done.stdout.splitlines()) == 1
    assert "error: none: cannot be read" in done.stderr


@pytest.mark.parametrize("argv", [[], ["check"], ["chek", "a.npz"], ["check", "--fast", "a.npz"]])
def test_bad_command_lines(argv, capsys):
    assert main(argv) == 2
    assert "error: " in capsys.readouterr().err


def test_a_report_passes_within_tolerance_only():
    report = Report("a", outputs=1e-5, loss=1e-5, gradients=1e-4, updates=1e-5, rounded=0, entries=1)
    assert report.passed
    for kind, limit in TOLERANCE.items():
        for value in (1.01 * limit, float("inf"), float("nan")):
            assert not dataclasses.replace(report, **{kind: value}).passed
