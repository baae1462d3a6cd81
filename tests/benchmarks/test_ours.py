"""Smoke test of benchmarks/ours.py: every model answers every round."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.prepare import prepare
from tfrecs.models import MODELS
from tfrecs.progress import StageProgress

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "ours.py"
ROUNDS = ({"round": "train", "steps": 2}, {"round": "read", "steps": 2}, {"round": "evaluate"}, {"round": "cost"})
ANSWERS = (
    {"rate", "examples", "tokens", "fill", "ms"},
    {"rate", "ms"},
    {"rate"},
    {"gflop", "batches", "mb", "peak_mb"},
    {"matmul", "copy"},
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("prepared") / "data")
    sizes = {"num_users": 40, "num_items": 60, "mean_length": 8, "num_shards": 1}
    prepare("sample", directory, StageProgress(None), **sizes)
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_smoke(model, data_dir):
    rounds = [*ROUNDS, {"round": "machine"}]
    done = subprocess.run(
        [sys.executable, PROGRAM, data_dir, "--model", model, "--batch_size", "16"],
        input="".join(json.dumps(asked) + "\n" for asked in rounds),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    answers = [json.loads(line.removeprefix("RESULT ")) for line in lines]
    assert [set(answer) for answer in answers] == [*map(set, ANSWERS)], done.stderr[-2000:]
    assert all(value > 0 for answer in answers for value in answer.values())
    assert answers[0]["fill"] <= 1


def test_products_are_counted_with_their_gradients(program):
    import tensorflow as tf

    count = program("operations").of_products
    a, b = tf.zeros([2, 3]), tf.Variable(tf.zeros([3, 4]))
    assert count(lambda: tf.matmul(a, b)) == 2 * 2 * 3 * 4
    assert count(lambda: tf.matmul(tf.zeros([5, 2, 3]), tf.zeros([5, 4, 3]), transpose_b=True)) == 2 * 5 * 2 * 3 * 4
    assert count(lambda: tf.einsum("...ij,jk->...ik", tf.zeros([5, 2, 3]), tf.zeros([3, 4]))) == 2 * 5 * 2 * 3 * 4
    assert count(lambda: a + 1.0) == 0

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.matmul(a, b))
        return tape.gradient(loss, b)

    step()
    assert count(step) == 2 * 2 * (2 * 3 * 4)
