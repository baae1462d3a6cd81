"""Random requests to the exports of all models, through the loader that TensorFlow Serving uses."""

import os

import keras
import numpy as np
import tensorflow as tf

from tests.fuzz.data_sets import make_data
from tests.fuzz.harness import SilentChange
from tfrecs.data import manifest as manifests
from tfrecs.data import records
from tfrecs.models import MODELS
from tfrecs.serving.export import export

REQUESTS = 20_000
ROWS = 40  # at most, in one call
K = 5
STRANGE = (
    *(b"", b"\x00", b"\xff\xfe", b"\xc3", b" ", b"\n", b"\r\n", b"nobody", "\u65e5".encode(), b"\xf0\x9f\x98\x80"),
    *(b"a" * 100_000, b"0", b"-1", b"None", b"\x1b[2J", b"\xef\xbb\xbf"),
)
TIMES = (0, 1, -1, 2**31, 2**62, -(2**62), 2**63 - 1, -(2**63), 1_700_000_000_000)


class Served:
    """An export in a session of its own."""

    def __init__(self, folder):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], folder)
        self.signatures = meta.signature_def

    def ask(self, signature, feeds):
        """The outputs of one call."""
        definition = self.signatures[signature]
        fed = {definition.inputs[name].name: value for name, value in feeds.items()}
        return self.session.run({name: output.name for name, output in definition.outputs.items()}, fed)


def run(report, directory, names=tuple(MODELS)):
    """Asks each model's export."""
    data_dir = make_data(os.path.join(directory, "served"))
    manifest = manifests.load(data_dir)
    tokens = {
        name: [token.encode() for token in manifests.read_vocabulary(data_dir, manifest, name)]
        for name in ("user", "item", "action")
        if name in manifest.vocabularies
    }
    for name in names:
        keras.utils.set_random_seed(3)
        model = MODELS[name](**MODELS[name].data_arguments(data_dir, manifest, {}))
        model.adapt(data_dir, manifest, "train")
        served = Served(export(model, data_dir, manifest, os.path.join(directory, name), K))
        ask(report, f"export of {name}", served, tokens, tuple(model.request_fields), manifest)
        served.session.close()


def ask(report, target, served, tokens, fields, manifest, requests=REQUESTS):
    """Sends rows until there are as many as the share of `requests`."""
    case = 0
    while report.rows[target]["cases"] < report.count(requests):
        random = report.random(target, case)
        rows = random.choice((0, 1, 1, 2, ROWS, ROWS, ROWS))
        kind = random.choices((_whole, _misshapen, _serialized), (8, 1, 1))[0]
        arguments = random, served, tokens, fields, manifest, rows
        report.case(target, f"{target}/{case}", kind, *arguments, cases=max(1, rows))
        case += 1


def _token(random, known):
    """Mostly a known token, else anything."""
    kind = random.random()
    if kind < 0.8:
        return random.choice(known)
    return random.choice(STRANGE) if kind < 0.9 else random.randbytes(random.randrange(9))


def _matrix(rows, width):
    matrix = np.full((len(rows), width), b"", object)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


def _request(random, tokens, fields, rows):
    """`(feeds, histories)` of a request whose shapes agree."""
    width = random.choice((0, 1, 2, 7, 7, 30, 30, 200))
    histories = [[_token(random, tokens["item"]) for _ in range(random.randrange(width + 1))] for _ in range(rows)]
    if rows and width and random.random() < 0.2:
        histories[0] = random.choices(tokens["item"][:3], k=width)  # the same items again and again
    if rows and width == 200:
        histories[-1] = random.sample(tokens["item"], min(width, len(tokens["item"])))
    users = np.array([_token(random, tokens["user"]) for _ in range(rows)], object)
    feeds = {"user": users, "history": _matrix(histories, width)}
    for name in fields:
        part = random.choice((width, width, width, random.randrange(width + 1), 0))
        if name == "timestamp":
            times = [[_time(random) for _ in range(part)] for _ in range(rows)]
            feeds[name] = np.array(times, np.int64).reshape(rows, part)
            feeds["now"] = np.array([_time(random) for _ in range(random.choice((rows, rows, 0)))], np.int64)
        else:
            kinds = [[_token(random, tokens.get("action", [b"view"])) for _ in range(part)] for _ in range(rows)]
            feeds[name] = _matrix(kinds, part)
    return feeds, histories


def _time(random):
    return random.choice(TIMES) if random.random() < 0.2 else random.randrange(10**9, 2 * 10**9)


def _whole(random, served, tokens, fields, manifest, rows):
    feeds, histories = _request(random, tokens, fields, rows)
    if random.random() < 0.25:
        return _score(random, served, tokens, feeds, rows)
    answer = served.ask("serving_default", feeds)
    check(answer, histories, tokens["item"])
    if rows > 1 and random.random() < 0.1:  # a row's answer does not depend on its neighbours
        row = random.randrange(rows)
        alone = served.ask("serving_default", {n: v[row : row + 1] for n, v in feeds.items()})
        same = np.isclose(alone["scores"][0], answer["scores"][row], rtol=1e-4, atol=1e-4)
        if not (same | (alone["scores"][0] == answer["scores"][row])).all():
            raise SilentChange("a row alone has other scores than in a batch")
    return "answered"


def check(answer, histories, items):
    """The invariants of a list of recommendations."""
    known, names, scores = set(items), answer["items"], answer["scores"]
    if names.shape != (len(histories), K) or scores.shape != names.shape:
        raise SilentChange(f"an answer of shape {names.shape}")
    for row, history in enumerate(histories):
        seen = known & set(history)
        listed = [name for name in names[row] if name != b""]
        if not set(listed) <= known or len(set(listed)) != len(listed):
            raise SilentChange("unknown items, or one twice")
        if seen & set(listed):
            raise SilentChange("an item that the history holds")
        if len(listed) != min(K, len(known) - len(seen)) or list(names[row][: len(listed)]) != listed:
            raise SilentChange(f"{len(listed)} items in an answer")
        if not np.isfinite(scores[row][: len(listed)]).all() or not np.isneginf(scores[row][len(listed) :]).all():
            raise SilentChange("a score that is not finite, or a place filled with another score than -inf")
        if (np.diff(scores[row][: len(listed)]) > 0).any():
            raise SilentChange("scores that do not fall")


def _score(random, served, tokens, feeds, rows):
    width = random.choice((0, 1, 5, 50))
    candidates = _matrix([[_token(random, tokens["item"]) for _ in range(width)] for _ in range(rows)], width)
    scores = served.ask("score", feeds | {"candidates": candidates})["scores"]
    known = set(tokens["item"])
    expected = np.array([[token in known for token in row] for row in candidates], bool).reshape(rows, width)
    if scores.shape != expected.shape or not np.array_equal(np.isneginf(scores), ~expected):
        raise SilentChange("scores of another shape, or -inf at other places than unknown candidates")
    if not np.isfinite(scores[expected]).all():
        raise SilentChange("a score that is not finite")
    return "answered"


def _misshapen(random, served, tokens, fields, manifest, rows):
    """One input with another number of rows, or wider than the history: refused, and nothing else."""
    rows = max(rows, 2)
    feeds, histories = _request(random, tokens, fields, rows)
    name = random.choice([name for name in feeds if name != "user"])
    value = feeds[name]
    if name in fields and random.random() < 0.5:
        wider = feeds["history"].shape[1] + random.randrange(1, 3) - value.shape[1]
        feeds[name] = np.concatenate(
            [value, np.repeat(value[:, :1] if value.shape[1] else _column(value), wider, 1)], 1
        )
    elif random.random() < 0.5 or not len(value):
        feeds[name] = np.concatenate([value, value[:1] if len(value) else np.ones([1], np.int64)])
    else:
        feeds[name] = value[: random.randrange(1, rows)]
    try:
        served.ask("serving_default", feeds)
    except tf.errors.InvalidArgumentError as error:
        if "differ in their batch size" in str(error) or "wider than history" in str(error):
            return "refused"
        raise
    raise SilentChange(f"{name} of another shape than the batch is accepted")


def _column(value):
    return np.full((len(value), 1), b"" if value.dtype == object else 0, value.dtype)


def _serialized(random, served, tokens, fields, manifest, rows):
    """Records, some damaged, some with ids beyond the vocabularies."""
    examples, histories = [], []
    for _ in range(rows):
        length = random.choice((0, 1, 3, 20))
        ids = [random.choice((0, -1, 10**6, 2**62, *range(1, 40))) for _ in range(length)]
        sequence = {"item": ids}
        for name in manifest.fields:
            if name != "item":
                value = 0.5 if name == "rating" else random.choice((1, 2, 0, -1, 2**62))
                sequence[name] = [value] * length
        examples.append(records.encode(random.choice((0, -1, 1, 7, 10**9)), (0, 0), sequence))
        histories.append([tokens["item"][i - 1] for i in ids if 1 <= i <= len(tokens["item"])])
    damaged = rows and random.random() < 0.3
    if damaged:
        record = bytearray(examples[0])
        record[random.randrange(len(record))] ^= 1 << random.randrange(8)
        examples[0] = bytes(record)
    try:
        answer = served.ask("serialized", {"examples": np.array(examples, object)})
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # TensorFlow's message holds the record's own bytes
        if damaged:
            return "refused"
        raise
    if damaged:  # what the first record says now is not known
        answer, histories = {name: value[1:] for name, value in answer.items()}, histories[1:]
    check(answer, histories, tokens["item"])
    return "answered"
