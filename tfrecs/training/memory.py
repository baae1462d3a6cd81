"""How much memory a run needs at least, by arithmetic: what cannot fit is refused before anything is built."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from tfrecs.data.evaluation_batches import BATCHES_PER_BLOCK
from tfrecs.errors import InputError, option
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs.config import TrainConfig

COPIES = {"adam": (3, "weights and Adam's two moments"), "lazy_adam": (3, "weights and Adam's two moments")}
WEIGHTS_ONLY = (1, "weights")
# Arguments that say how many ids a training example has, of which each is read as a vector, and that vector's width.
LENGTHS = ("max_history", "max_seq", "region_size", "num_targets", "num_negatives")
WIDTHS = ("embedding_dim", "item_dim", "dim")
ID_BYTES, FLOAT_BYTES = 8, 4
DRAW_BYTES = 8  # the number in [0, 1) that an item is drawn by
FLOATS = {"float32": 4, "mixed_bfloat16": 2}  # bytes of what a layer computes, by precision
CGROUPS = "/sys/fs/cgroup"
UNLIMITED = 2**62  # what a limit of the first version of cgroups that is none is above


@dataclasses.dataclass(frozen=True)
class Extent:
    """How large data are, as far as it is known.

    Args:
        examples, users: int, training examples and users there are at most; a batch has no more.
        trained: int array, the items that are trained on of each of the users whose examples are shuffled together.
        longest: int, items of the longest history that is evaluated.
    """

    examples: int = 1
    users: int = 1
    trained: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    longest: int = 1


@dataclasses.dataclass(frozen=True)
class Need:
    """Memory for one thing: the product of factors, and what it is for."""

    factors: tuple[int, ...]
    text: str

    @property
    def bytes(self) -> int:
        return math.prod(self.factors)

    def __str__(self) -> str:
        return f"{self.text}: {' x '.join(f'{factor:,}' for factor in self.factors)} bytes = {amount(self.bytes)}"


def outline(model_class: type[SequentialRecommender], arguments: Mapping[str, Any]) -> SequentialRecommender:
    """Builds a model whose variables have shapes but no memory; bad arguments raise the usual errors.

    Args:
        model_class: a `SequentialRecommender`.
        arguments: dict, of its constructor.

    Example:
        >>> from tfrecs.models.attrec import AttRec
        >>> outline(AttRec, {"num_users": 2 * 10**9, "num_items": 1}).users.embeddings.shape
        TensorShape([2000000001, 100])
    """
    # Keras lists variables without a value here, to give them one at the end of the next such scope.
    waiting = list(global_state.get_global_attribute("uninitialized_variables") or ())
    try:
        with keras.StatelessScope(initialize_variables=False):
            return model_class(**arguments)
    finally:
        global_state.set_global_attribute("uninitialized_variables", waiting)


def check(
    model: SequentialRecommender,
    config: TrainConfig,
    extent: Extent = Extent(),
    available: int | None = None,
    training: bool = True,
) -> None:
    """Refuses a run whose weights, examples or batches cannot fit.

    Args:
        model: a model, `outline`'s too.
        config: `TrainConfig`.
        extent: `Extent` of the data.
        available: int, bytes; default see `total`.
        training: bool, whether the run trains; otherwise it is only judged.

    Raises:
        InputError: with the arithmetic.

    Example:
        >>> from tfrecs.models.attrec import AttRec
        >>> from tfrecs.runs.config import TrainConfig
        >>> check(AttRec(num_users=4, num_items=9), TrainConfig(), available=10_000)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: not enough memory: 157.4 kB needed at least, 10.0 kB are there; most of it for \
projection/kernel, weights and Adam's two moments: 100 x 100 x 4 x 3 bytes = 120.0 kB
    """
    available = total() if available is None else available
    needs = [*_weights(model, config), *_evaluation(model, config, extent)]
    needs += _training(model, config, extent) if training else []
    needed = sum(need.bytes for need in needs)
    if available is not None and needed > available:
        largest = max(needs, key=lambda need: need.bytes)
        raise InputError(
            f"not enough memory: {amount(needed)} needed at least, {amount(available)} are there; "
            f"most of it for {largest}"
        )


def total() -> int | None:
    """The memory this process may use, in bytes; None where it cannot be told.

    The least of the machine's memory, the limits of the control groups that hold the process (a container's), and what
    is left of its own limit on address space (`ulimit -v`).
    """
    found = [*_of_control_groups(), *_of_process()]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((size for size in found if size > 0), default=None)


def _of_control_groups(of_process: str = "/proc/self/cgroup", root: str = CGROUPS) -> Iterator[int]:
    """The limits of the process's control group and of those around it; of both versions."""
    places = {("", "/"), ("memory", "/")}
    with contextlib.suppress(OSError, ValueError), open(of_process, encoding="utf-8") as file:
        for line in file:
            number, controllers, path = line.rstrip("\n").split(":", 2)
            if number == "0" or "memory" in controllers.split(","):
                places |= {("" if number == "0" else "memory", part) for part in _with_parents(path)}
    for controller, path in places:
        name = "memory.limit_in_bytes" if controller else "memory.max"
        with contextlib.suppress(OSError, ValueError):  # `max` is no number
            with open(os.path.join(root, controller, path.strip("/"), name), encoding="ascii") as file:
                limit = int(file.read())
            if limit < UNLIMITED:
                yield limit


def _with_parents(path: str) -> Iterator[str]:
    while path.strip("/"):
        yield path
        path = os.path.dirname(path.rstrip("/"))


def _of_process() -> Iterator[int]:
    """What is left of the process's limit on address space."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            with open("/proc/self/statm", encoding="ascii") as file:
                yield max(limit - int(file.read().split()[0]) * resource.getpagesize(), 1)


def amount(size: int) -> str:
    """A number of bytes for a reader.

    Example:
        >>> amount(2_100_000_000)
        '2.1 GB'
    """
    for unit, scale in (("EB", 10**18), ("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size} bytes"


def _weights(model: SequentialRecommender, config: TrainConfig) -> Iterator[Need]:
    copies, text = COPIES.get(config.optimizer, WEIGHTS_ONLY)
    for variable in model.weights:
        size = keras.backend.standardize_dtype(variable.dtype)
        item = ID_BYTES if size.endswith("64") else FLOAT_BYTES
        if variable.trainable:
            yield Need((*variable.shape, item, copies), f"{variable.path}, {text}")
        else:
            yield Need((*variable.shape, item), variable.path)


def _training(model: SequentialRecommender, config: TrainConfig, extent: Extent) -> Iterator[Need]:
    """What a batch holds, and the examples that are shuffled together."""
    rows, time = min(config.batch_size, extent.examples), model.max_history
    if config.batch_tokens:  # a batch is cut to its longest history, and has as few rows as one
        rows, time = 1, min(time, int(max(extent.trained, default=1)))
    width, floats = _width(model), FLOATS[config.precision]
    for name in LENGTHS:
        length = time if name == "max_history" else getattr(model, name, None)
        if isinstance(length, int):
            shared = name == "num_negatives" and getattr(model, "shared_negatives", False)
            yield Need((1 if shared else rows, length, ID_BYTES + floats * width), f"a batch by {option(name)}")
    yield Need((rows, *_attended(model, time, 1), floats), "attention weights of a batch")
    examples, ids = model.count_examples(extent.trained)
    yield Need(
        (examples, ids, ID_BYTES),
        f"training examples of {len(extent.trained):,} users, which are shuffled together, and their ids",
    )


def _evaluation(model: SequentialRecommender, config: TrainConfig, extent: Extent) -> Iterator[Need]:
    """What a batch holds, and the users whose unseen items are drawn together."""
    users, candidates, time = min(config.eval_batch_size, extent.users), 1, min(model.max_history, extent.longest)
    if config.protocol == "pair_auc":
        count, floats = config.num_eval_negatives, FLOATS[config.precision]
        candidates += count
        drawn = min(config.eval_batch_size * BATCHES_PER_BLOCK, extent.users)
        yield Need((users, count, ID_BYTES + floats * _width(model)), f"a batch by {option('num_eval_negatives')}")
        yield Need((drawn, count, ID_BYTES + DRAW_BYTES), f"unseen items by {option('num_eval_negatives')}")
    yield Need((*_attended(model, time, candidates), FLOATS[config.precision]), "attention weights of a user")


def _width(model: SequentialRecommender) -> int:
    """The width of an item's vector."""
    return next((getattr(model, name) for name in WIDTHS if isinstance(getattr(model, name, None), int)), 1)


def _attended(model: SequentialRecommender, time: int, candidates: int) -> tuple[int, int, int]:
    """Heads of all layers, and from how many places to how many they attend."""
    return model.attention_heads, time + candidates * ("candidate" in model.attention_reads), time
