"""Times the original AttRec in its own TensorFlow 1 environment; run by `attrec_speed.py`.

The original is https://github.com/slientGe/AttRec.
Usage: `python attrec_original.py CHECKOUT RATINGS STEPS`, with a Python 3.7 that has TensorFlow 1.15.
It drives the published classes as `main.py` does and prints one JSON object with rates.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

checkout, ratings, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, checkout)

import tensorflow as tf  # noqa: E402
from DataInput import DataIterator  # noqa: E402
from make_datasets import make_datasets  # noqa: E402
from model_AttRec import AttRec  # noqa: E402

flags = types.SimpleNamespace(
    w=0.3,
    sequence_length=5,
    target_length=3,
    neg_sample_count=10,
    embedding_size=100,
    batch_size=256,
    learning_rate=1e-2,
    keep_prob=0.5,
    l2_lambda=1e-3,
    gamma=0.5,
    grad_clip=10,
)
train, test, items_of_user, flags.user_count, flags.item_count, _, _ = make_datasets(
    ratings, flags.target_length, flags.sequence_length, isSave=False
)
all_items = list(range(flags.item_count))


def iterator(data: Any, shuffle: bool) -> Iterator[Any]:
    """The published reader over a table of windows."""
    return DataIterator(
        data=data,
        batch_size=flags.batch_size,
        neg_count=flags.neg_sample_count,
        all_items=all_items,
        user_all_items=items_of_user,
        shuffle=shuffle,
    )


with tf.Session() as session:
    model = AttRec(flags)
    ranking = model.predict(all_items, len(all_items))
    variables = tf.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(model.loss, variables), flags.grad_clip)
    update = tf.train.AdamOptimizer(flags.learning_rate).apply_gradients(zip(gradients, variables))
    session.run(tf.global_variables_initializer())

    def feed(batch: Any, training: bool) -> dict[Any, Any]:
        """A batch of the reader as the model's placeholders."""
        user, target, history, length, negatives = batch
        values = {
            model.u_p: user,
            model.next_p: target,
            model.sl: length,
            model.hist_seq: history,
            model.keep_prob: flags.keep_prob if training else 1.0,
            model.is_Training: training,
        }
        if training:
            values[model.neg_p] = negatives
        return values

    windows, started = 0, time.perf_counter()
    for step, batch in enumerate(iterator(train, True)):
        if step == 5:  # the first steps set things up
            windows, started = 0, time.perf_counter()
        session.run([update, model.loss], feed(batch, True))
        windows += len(batch[0])
        if step == steps + 4:
            break
    train_seconds = time.perf_counter() - started

    session.run(ranking, feed(next(iterator(test, False)), False))
    users, started = 0, time.perf_counter()
    for batch in iterator(test, False):
        ranked = session.run(ranking, feed(batch, False)).tolist()
        for target, row in zip(batch[1], ranked):
            row.index(target[0])
        users += len(batch[0])
    eval_seconds = time.perf_counter() - started

print(json.dumps({"train": windows / train_seconds, "eval": users / eval_seconds}))
