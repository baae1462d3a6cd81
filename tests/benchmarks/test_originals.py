"""The drivers of benchmarks/originals/: TensorFlow in its 1.x mode, and toys in place of checkouts and of PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVERS = Path(__file__).parents[2] / "benchmarks" / "originals"
UNDER_TENSORFLOW_1 = """
import runpy, sys
import tensorflow.compat.v1 as tf
tf.disable_eager_execution()
sys.modules["tensorflow"] = tf
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ATTREC = {
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
ATRANK = {
    "atrank/input.py": """
import numpy as np
class DataInput:
    def __init__(self, data, size):
        self.batches = [data[begin : begin + size] for begin in range(0, len(data), size)]
    def __iter__(self):
        for number, rows in enumerate(self.batches):
            user, history, times, item, label = zip(*rows)
            lengths = [len(row) for row in history]
            assert all(len(row) == len(of) for row, of in zip(history, times))
            yield number, (user, item, label, np.zeros([len(rows), max(lengths)]), None, lengths)
class DataInputTest(DataInput):
    def __iter__(self):
        yield from enumerate(self.batches)
""",
    "atrank/model.py": """
import tensorflow as tf
class Model:
    def __init__(self, config, categories):
        assert len(categories) == config["item_count"] and max(categories) < config["cate_count"]
        self.global_step = tf.get_variable("step", [], tf.int64)
    def train(self, session, batch, rate, summary):
        assert rate == 1.0 and set(batch[2]) <= {0, 1}
    def eval(self, session, batch):
        return 0.5
""",
}
AREREC = {
    "dataset.py": """
import pandas as pd
class Dataset:
    def __init__(self, folder):
        self.folder = folder
    def build_dataset(self, name, least, share, size, percent):
        table = pd.read_csv(self.folder + "ml-100k/ml-100k_ratings.csv")
        table.to_csv(self.folder + f"{name}_8020_minseq20_bs{size}_dper1.0")
    def load_dataset(self, name, version):
        self.df_train = self.df_test = pd.read_csv(self.folder + version)
        lists = self.df_train.groupby("itemId")["userId"].apply(list)
        self.iu_seq_df = pd.DataFrame({"itemId": lists.index, "item_user_sequence": lists.values})
        self.labels = set(self.df_train["rating"])
    def get_num_user(self):
        return self.df_train["userId"].max()
    get_num_item = get_num_user
""",
    "preprocess.py": """
import numpy as np
class Preprocess:
    def generate_sequence_index(self, items, sequences, longest):
        return {item: sequence[:longest] for item, sequence in zip(items, sequences)}, len(items)
    def generate_label_dict(self, labels):
        return dict(enumerate(labels)), dict(enumerate(labels))
    def preprocess(self, table, labels, index, longest):
        ratings = table["rating"].values % len(labels)
        return (table["userId"].values, table["itemId"].values), np.eye(len(labels))[ratings]
""",
    "model.py": """
class ARERec:
    def __init__(self, *sizes, use_attention):
        assert use_attention and sizes[3] == 8
    def compile(self, optimizer, loss):
        assert loss == "categorical_crossentropy"
    def fit(self, x, y, epochs, batch_size, verbose):
        assert len(x[0]) == len(x[1]) == len(y) > 0 and batch_size == 4
""",
    "evaluate.py": """
class Evaluate:
    def get_evaluate(self, model, x, y, labels, size, cutoff, relevant):
        assert len(x[0]) == len(y) and relevant == 3
""",
}
DIF_SR = {
    "torch/__init__.py": "import contextlib\nno_grad = contextlib.nullcontext\nget_num_threads = lambda: 2\n",
    "recbole/__init__.py": "",
    "recbole/config.py": """
import os
class Config(dict):
    def __init__(self, model, dataset, config_file_list, config_dict):
        folder = os.path.join(config_dict["data_path"], dataset, dataset)
        lines = [open(folder + ending).read().splitlines() for ending in (".inter", ".item")]
        assert lines[0][0] == "user_id:token\\titem_id:token\\trating:float\\ttimestamp:float"
        assert lines[0][1:] == ["u\\ta\\t5\\t0", "u\\tb\\t5\\t1"]
        assert lines[1] == ["item_id:token\\tcategories:token_seq", "a\\t3 4"]
        super().__init__(config_dict, model=model, MODEL_TYPE="m", seed=0, reproducibility=True, device="cpu")
""",
    "recbole/data.py": """
class Batch(list):
    def to(self, device):
        return self
class Loader(list):
    dataset, step = None, 1
    def __init__(self):
        super().__init__([Batch([1, 2, 3])] * 3)
        self.dataset = self
        self.item_num = 2
    def get_item_feature(self):
        return self
    def to(self, device):
        return self
    def repeat(self, times):
        return self
def create_dataset(config):
    return None
def data_preparation(config, dataset):
    return Loader(), Loader(), Loader()
""",
    "recbole/utils.py": """
class Anything:
    def __init__(self, *arguments):
        self.device, self.optimizer, self.evaluator, self.eval_collector = "cpu", self, self, self
    def __getattr__(self, name):
        return lambda *arguments: self
    def _full_sort_batch_eval(self, batch):
        return batch, None, None, None
def init_seed(seed, reproducibility):
    pass
def get_model(name):
    return Anything
def get_trainer(kind, name):
    return Anything
""",
}
TOYS = {
    "attrec": (ATTREC, ["4"]),
    "atrank": (ATRANK, ["3", "40"]),
    "arerec": (AREREC, ["8", "5", "4"]),
    "dif_sr": (DIF_SR, ["16", "4"]),
}


def atomic_files(folder):
    """`u.data` as RecBole's atomic files, every item of one class or another."""
    rows = [line.split("\t") for line in (folder / "u.data").read_text().splitlines()]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "ml-100k.inter").write_text(header + "".join("\t".join(row) + "\n" for row in rows))
    items = sorted({row[1] for row in rows})
    lines = "".join(f"{item}\ttitle\t1995\t{'Drama Comedy' if int(item) % 2 else 'Comedy'}\n" for item in items)
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + lines
    )


def test_every_driver_has_a_toy():
    assert {path.stem for path in DRIVERS.glob("*.py")} == set(TOYS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOYS)
def test_a_driver_answers_rounds(name, tmp_path, raw_dir):
    files, arguments = TOYS[name]
    for path, text in {**files, "python37.py": UNDER_TENSORFLOW_1}.items():
        (tmp_path / "checkout" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / path).write_text(text)
    atomic_files(raw_dir)
    (raw_dir / "Beauty.txt").write_text("u a b\n")
    (raw_dir / "Beauty_item2attributes.json").write_text('{"a": [3, 4]}')
    wrapper = [tmp_path / "checkout" / "python37.py"] if name in ("attrec", "atrank") else []
    command = [sys.executable, *wrapper, DRIVERS / f"{name}.py", tmp_path / "checkout", raw_dir, *arguments]
    rounds = '{"round": "train", "steps": 7}\n{"round": "evaluate"}\n{"round": "no such"}\n'
    done = subprocess.run(command, input=rounds, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith(("READY", "RESULT"))]
    answers = [json.loads(line.removeprefix("RESULT ")) for line in lines[1:]]
    assert lines[0] == "READY" and len(answers) == 3
    assert all(answer["rate"] > 0 for answer in answers[:2]), done.stderr[-2000:]
    assert "no such" in answers[2]["error"]
