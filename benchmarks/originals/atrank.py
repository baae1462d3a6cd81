"""The original ATRank as a side of `benchmarks/compare.py`: https://github.com/jinze1994/ATRank under TensorFlow 1.15.

Usage: `python atrank.py CHECKOUT RAW_DIR LAST SAMPLES`. RAW_DIR has MovieLens 100K as RecBole's atomic files. It
drives the published classes as `train.py` does, with its defaults, on SAMPLES random training samples, which have the
lengths of all of them (as Python lists, all would not fit in memory). Histories are cut to the LAST items; 0 keeps all.
"""

import os
import random
import sys
import tempfile
import time

checkout, raw_dir, last, samples = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.join(checkout, "atrank")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import tensorflow as tf  # noqa: E402
from input import DataInput, DataInputTest  # noqa: E402
from model import Model  # noqa: E402
from server import serve  # noqa: E402

DAY = 86400
BUCKETS = 2 ** np.arange(1, 13)  # days, as `build_dataset.py` has them
random.seed(1234)


def read(name):
    """The columns of an atomic file, without their types."""
    table = pd.read_csv(os.path.join(raw_dir, "ml-100k." + name), sep="\t", dtype=str, keep_default_na=False)
    return table.rename(columns=lambda column: column.split(":")[0])


log, table = read("inter"), read("item")
log["day"], log["timestamp"] = log["timestamp"].astype(float) // DAY, log["timestamp"].astype(float)
tokens = sorted(log["item_id"].unique())
items, users = (
    {token: i for i, token in enumerate(tokens)},
    {token: i for i, token in enumerate(log["user_id"].unique())},
)
first = {token: values.split(" ")[0] for token, values in zip(table["item_id"], table["class"])}
categories = {name: i for i, name in enumerate(sorted(set(first.values())))}
category_of_item = np.array([categories[first[token]] for token in tokens])
log = log.sort_values(["user_id", "timestamp"], kind="stable")
histories = [
    (users[token], [items[item] for item in rows["item_id"]], rows["day"].tolist())
    for token, rows in log.groupby("user_id")
]


def cut(values):
    """The last entries, of those that are kept."""
    return values[-last:] if last else values


def buckets(days, now):
    """The time features of a history."""
    return [int(np.sum(now - day + 1 >= BUCKETS)) for day in days]


def negative(of_user):
    """An item that the user does not have."""
    taken = set(of_user)
    while True:
        drawn = random.randrange(len(items))
        if drawn not in taken:
            return drawn


places = [(row, place) for row, (_, taken, _) in enumerate(histories) for place in range(1, len(taken) - 1)]
training = []
for row, place in random.sample(places, min(samples // 2, len(places))):
    user, taken, days = histories[row]
    history, times = cut(taken[:place]), buckets(cut(days[:place]), days[place])
    training += [(user, history, times, taken[place], 1), (user, history, times, negative(taken), 0)]
test = [
    (user, cut(taken[:-1]), buckets(cut(days[:-1]), days[-1]), (taken[-1], negative(taken)))
    for user, taken, days in histories
]
session = tf.Session()
session.__enter__()
model = Model(
    {
        "hidden_units": 128,
        "num_blocks": 1,
        "num_heads": 8,
        "dropout": 0.0,
        "regulation_rate": 5e-5,
        "itemid_embedding_size": 64,
        "cateid_embedding_size": 64,
        "concat_time_emb": True,
        "optimizer": "sgd",
        "max_gradient_norm": 5.0,
        "user_count": len(users),
        "item_count": len(items),
        "cate_count": len(categories),
        "model_dir": tempfile.mkdtemp(),
    },
    category_of_item,
)
session.run(tf.global_variables_initializer())


def epochs():
    """Batches, epoch after epoch."""
    while True:
        random.shuffle(training)
        for _, batch in DataInput(training, 32):
            yield batch


batches = epochs()


def train(steps):
    """Positive samples per second (as many negative ones come with them); mean length and share without padding."""
    count = rows = tokens = places = 0
    started = time.perf_counter()
    for _ in range(steps):
        batch = next(batches)
        model.train(session, batch, 1.0, False)
        for _ in range(2):
            model.global_step.eval(session=session)  # as `train.py` does in each step
        count, rows = count + sum(batch[2]), rows + len(batch[2])
        tokens, places = tokens + sum(batch[5]), places + batch[3].size
    return {"rate": count / (time.perf_counter() - started), "length": tokens / rows, "fill": tokens / places}


def evaluate():
    """Users per second of the AUC against one negative."""
    started, limited = time.perf_counter(), test if last else test[:128]
    for _, batch in DataInputTest(limited, 128):
        model.eval(session, batch)
    return {"rate": len(limited) / (time.perf_counter() - started)}


train(2)  # sets things up
serve({"train": train, "evaluate": evaluate})
