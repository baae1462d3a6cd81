"""Smoke test of benchmarks/attrec_original.py: TensorFlow in its 1.x mode, and a toy in place of the checkout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "attrec_original.py"
UNDER_TENSORFLOW_1 = """
import runpy, sys
import tensorflow.compat.v1 as tf
tf.disable_eager_execution()
sys.modules["tensorflow"] = tf
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CHECKOUT = {
    "make_datasets.py": """
def make_datasets(ratings, target_length, sequence_length, isSave):
    rows = [(user, target_length, sequence_length) for user in range(5)]
    return rows * 40, rows, {}, 5, 7, None, None
""",
    "DataInput.py": """
class DataIterator:
    def __init__(self, data, batch_size, neg_count, all_items, user_all_items, shuffle):
        self.users, self.count = iter([row[0] for row in data]), neg_count
    def __iter__(self):
        return self
    def __next__(self):
        user = next(self.users)
        return [user], [[1, 2, 3]], [[4, 5, 6, 0, 1]], [5], [[0] * self.count]
""",
    "model_AttRec.py": """
import tensorflow as tf
class AttRec:
    def __init__(self, flags):
        self.u_p, self.sl = (tf.placeholder(tf.int32, [None]) for _ in range(2))
        self.next_p, self.hist_seq, self.neg_p = (tf.placeholder(tf.int32, [None, None]) for _ in range(3))
        self.keep_prob, self.is_Training = tf.placeholder(tf.float32, []), tf.placeholder(tf.bool, [])
        self.table = tf.get_variable("table", [flags.user_count, flags.item_count])
        self.loss = tf.reduce_sum(tf.gather(self.table, self.u_p) ** 2)
    def predict(self, all_items, count):
        return tf.argsort(tf.gather(self.table, self.u_p))
""",
}


@pytest.mark.slow
def test_smoke(tmp_path):
    for name, text in {**CHECKOUT, "python37.py": UNDER_TENSORFLOW_1}.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, tmp_path / "python37.py", PROGRAM, tmp_path, tmp_path / "u.data", "10"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rates = json.loads(done.stdout.splitlines()[-1])
    assert set(rates) == {"train", "eval"} and min(rates.values()) > 0
