"""Several steps in one call: which batches, where it stops, and that it changes no bit."""

import pytest
import tensorflow as tf

from tfrecs.training import steps

FLAGS = ("--epochs", "2", "--dropout", "0.5", "--save_checkpoints_epochs", "1", "--do_eval", "0")


class Model:
    """Its loss at each step is the value of the batch."""

    def __init__(self):
        self.seen = tf.Variable(tf.zeros([0]), shape=[None])

    def train_step(self, batch):
        self.seen.assign(tf.concat([self.seen, batch["value"]], 0))
        return {"loss": tf.reduce_sum(batch["value"])}


@pytest.fixture
def run():
    """Runs epochs of 3, 2 and 1 steps, `limit` steps a call; gives what the calls gave and what was trained on."""

    def calls(limit, values=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)):
        epochs = tf.constant([0, 0, 0, 1, 1, 2], tf.int64)
        batches = tf.data.Dataset.from_tensor_slices({"epoch": epochs, "value": tf.constant(values)}).batch(1)
        model, first_bad = Model(), tf.Variable(-1, dtype=tf.int64)
        function = steps.function(model, tf.distribute.get_strategy(), first_bad, False)
        iterator, found, number = iter(steps.mark_last(batches)), [], 1
        while number <= len(values):
            one = function(iterator, tf.constant(number, tf.int64), tf.constant(limit, tf.int64))
            found.append([int(value) for value in one])
            number += found[-1][0]
        return found, model.seen.numpy().tolist(), int(first_bad)

    return calls


@pytest.mark.parametrize(
    "limit, expected",
    [
        (1, [[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]]),
        (2, [[2, 2, 0], [1, 1, 1], [2, 2, 1], [1, 1, 1]]),
        (9, [[3, 3, 1], [2, 2, 1], [1, 1, 1]]),
    ],
)
def test_a_call_stops_at_the_end_of_an_epoch(run, limit, expected):
    found, seen, first_bad = run(limit)
    assert found == expected and seen == [1, 2, 3, 4, 5, 6] and first_bad == -1


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_the_first_loss_that_is_not_finite_is_named(run, limit):
    assert run(limit, (1.0, 2.0, 3.0, 4.0, float("inf"), float("nan")))[2] == 5


@pytest.mark.slow
@pytest.mark.parametrize("many", ["3", "10"])
def test_steps_at_a_time_change_no_bit(tmp_path, command, state, many):
    for number in ("1", many):
        assert command(tmp_path / number, *FLAGS, "--steps_per_execution", number)[0] == 0
    assert len(state(tmp_path / many)) > 10 and state(tmp_path / many) == state(tmp_path / "1")


@pytest.mark.slow
def test_a_stopped_run_goes_on_by_other_numbers_of_steps(tmp_path, command, before_step, state):
    flags = (*FLAGS, "--save_checkpoints_steps", "3", "--keep_checkpoints", "99")
    assert command(tmp_path / "whole", *flags)[0] == 0

    def interrupt(loop):
        raise KeyboardInterrupt

    assert before_step(5, interrupt, tmp_path / "run", *flags, "--steps_per_execution", "1")[0] == 130
    assert command(tmp_path / "run", *flags, "--steps_per_execution", "2", "--load_model", "1")[0] == 0
    assert state(tmp_path / "run") == state(tmp_path / "whole")


@pytest.mark.parametrize("value, expected", [("0", "expected at least 1, got 0"), ("many", "expected an integer")])
def test_bad_numbers_of_steps(tmp_path, command, value, expected):
    code, _, stderr = command(tmp_path / "run", "--steps_per_execution", value)
    assert code == 2 and "--steps_per_execution" in stderr and expected in stderr
