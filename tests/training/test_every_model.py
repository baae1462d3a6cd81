"""What holds for every model from the command line: it trains, stops, resumes to the same bits, and is judged."""

import pytest

from tfrecs.models import MODELS
from tfrecs.models.presets import MODULES
from tfrecs.runs import listing

SMALL = {
    name: [text for flag, value in module.SMALLEST_RUN.items() for text in (f"--{flag}", str(value))]
    for name, module in MODULES.items()
}
for name, module in MODULES.items():
    SMALL[name] += [] if "batch_tokens" in module.SMALLEST_RUN else ["--batch_size", "64"]
FLAGS = (
    *("--epochs", "2", "--decay_epochs", "0", "--retrain", "0"),
    *("--save_checkpoints_steps", "2", "--keep_checkpoints", "1000"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["attrec", *(pytest.param(model, marks=pytest.mark.slow) for model in MODELS if model != "attrec")]
)
def test_a_stopped_run_resumes_to_the_same_bits(tmp_path, model, command, before_step, state, metrics):
    flags = ("--model", model, *SMALL[model], *FLAGS)
    code, stdout, _ = command(tmp_path / "whole", *flags, small=())
    assert code == 0 and "popularity" in stdout

    def interrupt(loop):
        raise KeyboardInterrupt

    assert before_step(3, interrupt, tmp_path / "stopped", *flags, small=())[0] == 130
    assert listing.newest(tmp_path / "stopped") == "cp-0000-000002"
    code, _, stderr = command(tmp_path / "stopped", *flags, "--load_model", "1", small=())
    assert code == 0 and "resuming from" in stderr
    whole = state(tmp_path / "whole")
    assert len(whole) > 10 and state(tmp_path / "stopped") == whole
    found = metrics(tmp_path / "whole")
    same = {name for name in found if name.startswith(("test_", "valid_", "popularity_")) and "seconds" not in name}
    again = metrics(tmp_path / "stopped")
    assert len(same) > 20 and {name: again[name] for name in same} == {name: found[name] for name in same}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["arerec", "dif_sr", "sasrec"])
def test_xla_from_the_command_line(tmp_path, model, command):
    """These have to know whether XLA compiles the step, which Keras denies where operations are deterministic."""
    flags = ("--model", model, *SMALL[model], *FLAGS[:4], "--epochs", "1", "--do_eval", "0")
    batches = ("--batch_tokens", "0", "--batch_size", "64")
    code, _, stderr = command(tmp_path, *flags, *batches, "--jit_compile", "1", small=())
    assert code == 0, stderr
    assert (
        "--jit_compile 1: XLA compiles the step for each shape of a batch: a whole one, the last of an epoch\n"
        in stderr
    )


@pytest.mark.slow  # that updates are equal is tested model by model
@pytest.mark.parametrize("model", MODELS)
def test_a_run_on_two_replicas(tmp_path, model, command, metrics):
    flags = ("--model", model, *SMALL[model], *FLAGS, "--save_checkpoints_steps", "0", "--dropout")
    rate = "0,0,0,0,0,0,0,0,0" if model == "arerec" else "0"
    found = {}
    for strategy in ("none", "mirrored"):
        assert command(tmp_path / strategy, *flags, rate, "--strategy", strategy, small=())[0] == 0
        found[strategy] = metrics(tmp_path / strategy)
    assert found["mirrored"]["loss"] == pytest.approx(found["none"]["loss"], rel=1e-4)
    assert found["mirrored"]["test_users"] == found["none"]["test_users"]
    assert found["mirrored"]["test_mrr"] == pytest.approx(found["none"]["test_mrr"], abs=0.02)
