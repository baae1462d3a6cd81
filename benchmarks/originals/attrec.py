"""The original AttRec as a side of `benchmarks/compare.py`: https://github.com/slientGe/AttRec under TensorFlow 1.15.

Usage: `python attrec.py CHECKOUT RAW_DIR BATCH_SIZE`. RAW_DIR has MovieLens's `u.data`. It drives the published
classes as `main.py` does, with `main.py`'s defaults.
"""

import os
import sys
import time
import types

checkout, raw_dir, batch_size = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), checkout]

import tensorflow as tf  # noqa: E402
from DataInput import DataIterator  # noqa: E402
from make_datasets import make_datasets  # noqa: E402
from model_AttRec import AttRec  # noqa: E402
from server import serve  # noqa: E402

flags = types.SimpleNamespace(
    w=0.3,
    sequence_length=5,
    target_length=3,
    neg_sample_count=10,
    embedding_size=100,
    batch_size=batch_size,
    learning_rate=1e-2,
    keep_prob=0.5,
    l2_lambda=1e-3,
    gamma=0.5,
    grad_clip=10,
)
training, test, items_of_user, flags.user_count, flags.item_count, _, _ = make_datasets(
    os.path.join(raw_dir, "u.data"), flags.target_length, flags.sequence_length, isSave=False
)
all_items = list(range(flags.item_count))
session = tf.Session()
model = AttRec(flags)
ranking = model.predict(all_items, len(all_items))
variables = tf.trainable_variables()
gradients, _ = tf.clip_by_global_norm(tf.gradients(model.loss, variables), flags.grad_clip)
update = tf.train.AdamOptimizer(flags.learning_rate).apply_gradients(zip(gradients, variables))
session.run(tf.global_variables_initializer())


def reader(data, shuffle):
    """The published reader over a table of windows."""
    return DataIterator(
        data=data,
        batch_size=flags.batch_size,
        neg_count=flags.neg_sample_count,
        all_items=all_items,
        user_all_items=items_of_user,
        shuffle=shuffle,
    )


def feed(batch, is_training):
    """A batch of the reader as the model's placeholders."""
    user, target, history, length, negatives = batch
    values = {
        model.u_p: user,
        model.next_p: target,
        model.sl: length,
        model.hist_seq: history,
        model.keep_prob: flags.keep_prob if is_training else 1.0,
        model.is_Training: is_training,
    }
    return {**values, model.neg_p: negatives} if is_training else values


def epochs():
    """Batches, epoch after epoch."""
    while True:
        yield from reader(training, True)


batches = epochs()


def train(steps):
    """Windows per second of training steps, reading and negatives included."""
    windows, started = 0, time.perf_counter()
    for _ in range(steps):
        batch = next(batches)
        session.run([update, model.loss], feed(batch, True))
        windows += len(batch[0])
    return {"rate": windows / (time.perf_counter() - started)}


def evaluate():
    """Users ranked per second."""
    users, started = 0, time.perf_counter()
    for batch in reader(test, False):
        ranked = session.run(ranking, feed(batch, False)).tolist()
        for target, row in zip(batch[1], ranked):
            row.index(target[0])
        users += len(batch[0])
    return {"rate": users / (time.perf_counter() - started)}


train(5)  # sets things up
serve({"train": train, "evaluate": evaluate})
