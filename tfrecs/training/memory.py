"""How much memory a run needs at least, by arithmetic: what cannot fit is refused before anything is built."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras.src.backend.common import global_state

from tfrecs.errors import InputError, option
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs.config import TrainConfig

COPIES = {"adam": (3, "weights and Adam's two moments"), "lazy_adam": (3, "weights and Adam's two moments")}
WEIGHTS_ONLY = (1, "weights")
# Arguments that say how many ids a training example has, of which each is read as a vector, and that vector's width.
LENGTHS = ("max_history", "max_seq", "region_size", "num_targets", "num_negatives")
WIDTHS = ("embedding_dim", "item_dim", "dim")
ID_BYTES, FLOAT_BYTES = 8, 4


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


def check(model: SequentialRecommender, config: TrainConfig, rows: int = 1, available: int | None = None) -> None:
    """Refuses a run whose weights or batches cannot fit.

    Args:
        model: a model, `outline`'s too.
        config: `TrainConfig`.
        rows: int, training examples and users there are at most; a batch has no more.
        available: int, bytes; default what the machine, or the container, has in all.

    Raises:
        InputError: with the arithmetic.

    Example:
        >>> from tfrecs.models.attrec import AttRec
        >>> from tfrecs.runs.config import TrainConfig
        >>> check(AttRec(num_users=4, num_items=9), TrainConfig(), available=10_000)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: not enough memory: 157.3 kB needed at least, 10.0 kB are there; most of it for \
projection/kernel, weights and Adam's two moments: 100 x 100 x 4 x 3 bytes = 120.0 kB
    """
    available = total() if available is None else available
    needs = [*_weights(model, config), *_batches(model, config, rows)]
    needed = sum(need.bytes for need in needs)
    if available is not None and needed > available:
        largest = max(needs, key=lambda need: need.bytes)
        raise InputError(
            f"not enough memory: {amount(needed)} needed at least, {amount(available)} are there; "
            f"most of it for {largest}"
        )


def total() -> int | None:
    """The memory of the machine, or what the container may use of it, in bytes; None where it cannot be told."""
    found = []
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            found.append(int(file.read()))
    return min((size for size in found if size > 0), default=None)


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


def _batches(model: SequentialRecommender, config: TrainConfig, rows: int) -> Iterator[Need]:
    width = next((getattr(model, name) for name in WIDTHS if isinstance(getattr(model, name, None), int)), 1)
    for name in LENGTHS:
        length = getattr(model, name, None)
        if isinstance(length, int):
            row = ID_BYTES + FLOAT_BYTES * width
            yield Need((min(config.batch_size, rows), length, row), f"a batch by {option(name)}")
    if config.protocol == "pair_auc":
        yield Need(
            (min(config.eval_batch_size, rows), config.num_eval_negatives, ID_BYTES),
            f"a batch by {option('num_eval_negatives')}",
        )
