"""The original ARERec as a side of `benchmarks/compare.py`: https://github.com/umapornp/ARERec under TensorFlow 2.2.

Usage: `python arerec.py CHECKOUT RAW_DIR EMB_SIZE MAX_SEQ BATCH_SIZE`. RAW_DIR has MovieLens's `u.data`. It drives the
published classes as `run.py` does. One patch: Keras's adapter gives users and items as they are, where TensorFlow 2.2
would add an axis and the published model fails.
"""

import contextlib
import os
import sys
import tempfile
import time

checkout, raw_dir = sys.argv[1:3]
embedding_dim, max_seq, batch_size = (int(value) for value in sys.argv[3:6])
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), checkout]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import tensorflow as tf  # noqa: E402
from dataset import Dataset  # noqa: E402
from evaluate import Evaluate  # noqa: E402
from model import ARERec  # noqa: E402
from preprocess import Preprocess  # noqa: E402
from server import serve  # noqa: E402
from tensorflow.python.keras.engine import data_adapter  # noqa: E402

data_adapter.expand_1d = lambda data: data
folder = tempfile.mkdtemp() + os.sep
os.mkdir(folder + "ml-100k")
ratings = pd.read_csv(
    os.path.join(raw_dir, "u.data"), sep="\t", header=None, names=["userId", "itemId", "rating", "timestamp"]
)
ratings.to_csv(folder + "ml-100k/ml-100k_ratings.csv", index=False)
with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
    Dataset(folder).build_dataset("ml-100k", 20, 0.2, batch_size, 1.0)
    data = Dataset(folder)
    data.load_dataset("ml-100k", f"ml-100k_8020_minseq20_bs{batch_size}_dper1.0")
preprocess = Preprocess()
sequences = data.iu_seq_df.sort_values(by=["itemId"])
index, units = preprocess.generate_sequence_index(
    sequences["itemId"].values, sequences["item_user_sequence"].values, max_seq
)
label_to_id, id_to_label = preprocess.generate_label_dict(sorted(data.labels))
train_x, train_y = preprocess.preprocess(data.df_train, label_to_id, index, max_seq)
test_x, test_y = preprocess.preprocess(data.df_test, label_to_id, index, max_seq)
model = ARERec(
    7,
    data.get_num_user() + 1,
    data.get_num_item() + 1,
    embedding_dim,
    2,
    len(label_to_id),
    batch_size,
    units + 1,
    [0] * 9,
    [0] * 5,
    use_attention=True,
)
model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=1e-4), loss="categorical_crossentropy")


def train(steps):
    """Ratings per second of training steps."""
    chosen = np.random.permutation(len(train_y))[: steps * batch_size]
    x, y = tuple(values[chosen] for values in train_x), train_y[chosen]
    started = time.perf_counter()
    model.fit(x, y, epochs=1, batch_size=batch_size, verbose=0)
    return {"rate": len(y) / (time.perf_counter() - started)}


def evaluate():
    """Users per second, over a twentieth of the test ratings; the published code predicts anew for each cut-off."""
    count = len(test_y) // 20 // batch_size * batch_size
    x, y = tuple(values[:count] for values in test_x), test_y[:count]
    started = time.perf_counter()
    for cutoff in (3, 5, 7, 10):
        Evaluate().get_evaluate(model, x, y, id_to_label, batch_size, cutoff, 3)
    users = len(np.unique(test_x[0])) * count / len(test_y)
    return {"rate": users / (time.perf_counter() - started)}


train(2)  # sets things up
serve({"train": train, "evaluate": evaluate})
