import numpy as np
import pytest

from tfrecs.errors import InputError
from tfrecs.importers import atrank
from tfrecs.importers.check import TOLERANCE, check

FILES = (
    "atrank_a.npz",
    "atrank_b.npz",
    "atrank_multi_a2a.npz",
    "atrank_clip_repeats.npz",  # few ids, clipped: merged rows are longer than unmerged ones
    "atrank_two_blocks_empty.npz",  # two blocks, two of three histories empty: padding is attended
)


@pytest.mark.parametrize("name", FILES)
def test_the_original_is_met(golden, name):
    report = check(str(golden / name))
    assert report.passed, str(report)
    assert max(report.outputs, report.loss, report.updates) < 5e-6 and report.gradients < 2e-5
    assert report.rounded == 0


def arguments(**changes):
    """A wrong model: constructor arguments that the preset has otherwise."""
    build = atrank.build

    def wrong(monkeypatch):
        monkeypatch.setattr(atrank, "build", lambda weights, given: build(weights, given | changes))

    return wrong


def steps(*order):
    def wrong(monkeypatch):
        monkeypatch.setattr(atrank, "steps", lambda config: order)

    return wrong


def unclipped(monkeypatch):
    right = atrank.optimizer
    monkeypatch.setattr(atrank, "optimizer", lambda config: right(config | {"max_gradient_norm": 0.0}))


def other_categories(monkeypatch):
    right = atrank.fill_tables
    monkeypatch.setattr(
        atrank, "fill_tables", lambda model, tables: right(model, tables | {"cate_list": np.zeros(23, int)})
    )


@pytest.mark.parametrize(
    "name, wrong, kinds",
    [
        ("atrank_a.npz", arguments(activation="linear"), ("outputs",)),
        ("atrank_a.npz", arguments(activation_penalty=5.1e-5), ("loss",)),
        ("atrank_a.npz", other_categories, ("outputs",)),
        ("atrank_a.npz", unclipped, ("updates",)),
        ("atrank_clip_repeats.npz", arguments(clip_unmerged_rows=False), ("gradients", "updates")),
        ("atrank_two_blocks_empty.npz", arguments(attend_padding=False), ("outputs",)),
        ("atrank_multi_a2a.npz", arguments(candidate="raw", hidden_units=0), None),
        (
            "atrank_multi_a2a.npz",
            steps(("item_batch/", 0.1), ("query_batch/", 0.1), ("coupon_batch/", 0.08)),
            ("updates",),
        ),
    ],
)
def test_a_wrong_implementation_fails(golden, monkeypatch, name, wrong, kinds):
    wrong(monkeypatch)
    if kinds is None:
        with pytest.raises(InputError):
            check(str(golden / name))
        return
    if "updates" not in kinds:
        monkeypatch.setattr("tfrecs.importers.steps.PERTURBED_RUNS", 0)
    report = check(str(golden / name))
    assert set(kinds) <= {kind for kind, limit in TOLERANCE.items() if getattr(report, kind) > limit}, str(report)


@pytest.mark.slow
def test_every_group_is_compared(altered, monkeypatch):
    monkeypatch.setattr("tfrecs.importers.steps.PERTURBED_RUNS", 1)
    changes = {
        "output/coupon_batch/att": "outputs",
        "output/query_batch/loss": "loss",
        "grad/query_batch/query_emb_w": "gradients",
        "output/item_batch/global_norm_tf1": "gradients",
        "after1/item_q": "updates",
        "after3/c_layer/kernel": "updates",
        "loss_curve": "updates",
    }
    for key, kind in changes.items():
        report = check(altered("atrank_multi_a2a.npz", key, lambda array: array + np.float32(3e-3)))
        assert [name for name, limit in TOLERANCE.items() if getattr(report, name) > limit] == [kind], key


@pytest.mark.parametrize(
    "key, change, message",
    [
        ("weights/item_b", lambda array: None, r"missing here: \['item_b'\]"),
        ("weights/cate_emb_w", lambda array: None, "no table cate_emb_w"),
        ("input/cate_list", lambda array: array + 1, "cate_list: expected an id from 0 to 5 for each of 23 items"),
        ("input/sl", lambda array: None, "no 'sl'"),
        ("after3/item_b", lambda array: None, "no 'after3/item_b'"),
    ],
)
def test_cases_that_are_not_supported(altered, key, change, message):
    path = altered("atrank_a.npz", key, change)
    with pytest.raises(InputError, match=message):
        check(path)
