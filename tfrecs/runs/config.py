"""The one frozen description of how a run trains; the model's own arguments are not in it."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from tfrecs.arguments import conform
from tfrecs.errors import InputError, nearest, option
from tfrecs.evaluation.protocols import PROTOCOLS

LARGEST = 2**31 - 1
NEVER_MATTER = ("eval_batch_size", "strategy")  # how the same numbers are computed
# What may differ when a run is resumed: how long it goes on and what it keeps, never what it computes.
CHANGEABLE = (
    "epochs",
    "patience",
    "save_checkpoints_epochs",
    "save_checkpoints_steps",
    "keep_checkpoints",
    "retrain",
    "steps_per_execution",
    *NEVER_MATTER,
)
ADAMS = ("adam", "lazy_adam")  # those with `beta_2`
DEFAULT_TOPK = (10,)  # every protocol with lists reports it anyway
# What may differ, besides, when a run is only judged.
JUDGED_BY = ("topk", "protocol", "exclude_seen", "num_eval_negatives", "published_lists")
# What may be given where a run is judged: that, and how the work is done.
JUDGING = (*JUDGED_BY, *NEVER_MATTER)
# By protocols that leave no choice.
SEEN_EXCLUDED = {name: known.exclude_seen for name, known in PROTOCOLS.items() if known.exclude_seen is not None}
# What only some choices of another argument read; elsewhere a value other than the default would be ignored.
READ_BY = {
    "epsilon": ("optimizer", ("adam", "lazy_adam", "rmsprop", "adagrad", "adadelta")),
    "beta_2": ("optimizer", ADAMS),
    "num_eval_negatives": ("protocol", ("pair_auc",)),
    "published_lists": ("protocol", ("rated_list",)),
}
AT_LEAST_1 = (
    *("epochs", "batch_size", "eval_batch_size", "eval_step", "keep_checkpoints", "num_eval_negatives"),
    "steps_per_execution",
)
AT_LEAST_0 = ("batch_tokens", "decay_epochs", "patience", "save_checkpoints_epochs", "save_checkpoints_steps", "seed")


def validates(train_split: str, validation_split: str) -> bool:
    """Whether an epoch can be validated: on items that it is not trained on.

    Example:
        >>> validates("train", "valid"), validates("train_valid", "valid")
        (True, False)
    """
    return train_split == "train" or validation_split == "test"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a run trains.

    Args:
        epochs: int, the largest number of passes over the training examples.
        batch_size: int, examples per update, over all replicas.
        batch_tokens: int, form batches of histories of similar length with this many items in all, instead of
            `batch_size` examples; 0 is off.
        learning_rate: float, of the optimizer, at the start where it decays.
        decay_epochs: int, epochs over which the learning rate falls to 0 along half a cosine; 0 keeps it constant. With
            more `--epochs` than a preset decays over, the decay is stretched to them.
        optimizer: `adam`, `lazy_adam` (updates only table rows that occur in the batch), `sgd`, `rmsprop`,
            `adagrad` or `adadelta`.
        epsilon: float, the small constant in the denominator of every optimizer except `sgd`.
        beta_2: float, decay rate of the second moments in `adam` and `lazy_adam`.
        weight_decay: float, this multiple of each weight is added to its gradient after clipping; not for `lazy_adam`.
        global_clipnorm: float, scale gradients down to this norm over all weights; 0 is off.
        eval_step: int, epochs between validations; if larger than `epochs`, only the last epoch is validated.
        patience: int, stop after this many epochs without a better `select_metric`; 0 is off.
        select_metric: str, the validation metric that chooses the epoch.
        topk: ints, additional cutoffs at which to report HR, Recall and NDCG.
        retrain: bool, train once more from scratch on training and validation items, for as many epochs as
            validation chose, before the evaluation on test items.
        train_split: `train`; `train_valid`, which also trains on validation items, so that validation means nothing; or
            `all`, whole sequences, for a model that holds out data by itself (ARERec with `--random_split`).
        validation_split: `valid`, or `test`. NOTE: `test` chooses the epoch on the test items, as AttRec's `main.py`
            does: a leak, for the `original` preset only.
        negative_sampling: draw negatives uniformly or by popularity.
        protocol: `full_ranking`, `recbole` (the same with seen items kept; adds Recall@k), `pair_auc` (the held-out
            item against unseen ones) or `rated_list` (each user's held-out items by predicted rating).
        exclude_seen: bool, leave items of the history out of the ranking, under `full_ranking`. The other protocols
            decide it themselves: `recbole` and `rated_list` keep them, `pair_auc` never ranks them.
        num_eval_negatives: int, unseen items per user for `pair_auc`.
        published_lists: bool, evaluate `rated_list` as ARERec's published code does, with its defects.
        eval_batch_size: int, users ranked at a time.
        save_checkpoints_epochs: int, epochs between checkpoints; 0 is off.
        save_checkpoints_steps: int, also save after every so many steps within an epoch; 0 is off.
        keep_checkpoints: int, number of recent checkpoints to keep, in addition to the best one.
        steps_per_execution: int, steps made at a time, without a look at the loss or at Ctrl-C between them; changes no
            number.
        strategy: `auto` (all GPUs), `none` (one device) or `mirrored` (all GPUs, else all logical CPUs).
        jit_compile: bool, compile with XLA.
        precision: `float32` or `mixed_bfloat16`.
        seed: int, seed of initial weights, order of examples, negatives and dropout.

    Raises:
        InputError: a value of another type or out of its range, or one that the other values leave without effect.

    Example:
        >>> TrainConfig(epochs=0)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: epochs: expected at least 1, got 0
    """

    epochs: int = 30
    batch_size: int = 512
    batch_tokens: int = 0
    learning_rate: float = 1e-3
    decay_epochs: int = 0
    optimizer: str = "adam"
    epsilon: float = 1e-7
    beta_2: float = 0.999
    weight_decay: float = 0.0
    global_clipnorm: float = 0.0
    eval_step: int = 1
    patience: int = 0
    select_metric: str = "ndcg@10"
    topk: tuple[int, ...] = DEFAULT_TOPK
    retrain: bool = False
    train_split: str = "train"
    validation_split: str = "valid"
    negative_sampling: str = "uniform"
    protocol: str = "full_ranking"
    exclude_seen: bool = True
    num_eval_negatives: int = 1
    published_lists: bool = False
    eval_batch_size: int = 512
    save_checkpoints_epochs: int = 1
    save_checkpoints_steps: int = 0
    keep_checkpoints: int = 3
    steps_per_execution: int = 10
    strategy: str = "auto"
    jit_compile: bool = False
    precision: str = "float32"
    seed: int = 0

    CHOICES: typing.ClassVar = {
        "optimizer": ("adam", "lazy_adam", "sgd", "rmsprop", "adagrad", "adadelta"),
        "train_split": ("train", "train_valid", "all"),
        "validation_split": ("valid", "test"),
        "negative_sampling": ("uniform", "popularity"),
        "protocol": tuple(PROTOCOLS),
        "strategy": ("auto", "none", "mirrored"),
        "precision": ("float32", "mixed_bfloat16"),
    }

    @classmethod
    def conformed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Some of the arguments, each as its declaration has it.

        Args:
            values: dict by name.

        Returns:
            dict.

        Raises:
            InputError: naming the argument and the value, which is of another type.

        Example:
            >>> TrainConfig.conformed({"topk": [5, 20]})
            {'topk': (5, 20)}
        """
        wanted = {field.name: field.type for field in dataclasses.fields(cls)}
        return {name: conform(name, value, wanted[name]) for name, value in values.items()}

    def __post_init__(self) -> None:
        for name, value in self.conformed(vars(self)).items():
            object.__setattr__(self, name, value)
        # What is written to `config.json` is what was done, whatever the default.
        object.__setattr__(self, "exclude_seen", SEEN_EXCLUDED.get(self.protocol, self.exclude_seen))
        for name, choices in self.CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InputError(f"{option(name)}: unknown value {value!r}; {nearest(value, choices)}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and value > LARGEST:
                raise InputError(f"{option(field.name)}: expected at most {LARGEST}, got {value}")
        for name in AT_LEAST_1:
            if getattr(self, name) < 1:
                raise InputError(f"{option(name)}: expected at least 1, got {getattr(self, name)}")
        for name in AT_LEAST_0:
            if getattr(self, name) < 0:
                raise InputError(f"{option(name)}: expected at least 0, got {getattr(self, name)}")
        for name in ("global_clipnorm", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{option(name)}: expected a number of at least 0, got {getattr(self, name)}")
        if self.weight_decay and self.optimizer == "lazy_adam":
            lazy = f"{option('optimizer')} lazy_adam"
            raise InputError(f"{option('weight_decay')}: rows at rest would not decay under {lazy}; adam moves all")
        if not self.topk or not all(1 <= k <= LARGEST for k in self.topk):
            raise InputError(f"{option('topk')}: expected integers of at least 1, got {','.join(map(str, self.topk))}")
        if self.topk != DEFAULT_TOPK and not PROTOCOLS[self.protocol].ranks_lists:
            raise InputError(f"{option('topk')}: {option('protocol')} {self.protocol} ranks no list")
        for name in ("learning_rate", "epsilon"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{option(name)}: expected a number above 0, got {getattr(self, name)}")
        if not 0 <= self.beta_2 < 1:
            raise InputError(f"{option('beta_2')}: expected a number in [0, 1), got {self.beta_2}")
        for name, (other, readers) in READ_BY.items():
            value, choice = getattr(self, name), getattr(self, other)
            if value != getattr(type(self), name) and choice not in readers:
                raise InputError(f"{option(name)} {value}: has no effect with {option(other)} {choice}")
        if self.batch_tokens and self.batch_size != type(self).batch_size:
            raise InputError(
                f"{option('batch_size')} {self.batch_size}: has no effect with {option('batch_tokens')} "
                f"{self.batch_tokens}, which decides how large batches are"
            )
        if self.patience and not validates(self.train_split, self.validation_split):
            raise InputError(
                f"{option('patience')} {self.patience}: has no effect with {option('train_split')} {self.train_split}, "
                "which trains on the validation items"
            )
        if 0 < self.decay_epochs < self.epochs:
            raise InputError(
                f"{option('epochs')}: the learning rate is 0 after {option('decay_epochs')} {self.decay_epochs}, "
                f"got {self.epochs}"
            )
        if self.retrain and (self.train_split, self.validation_split) != ("train", "valid"):
            splits = f"{option('train_split')} train and {option('validation_split')} valid"
            raise InputError(f"{option('retrain')}: needs {splits} to choose the epoch by")

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0.

        Example:
            >>> TrainConfig(epochs=4, decay_epochs=4, learning_rate=1.0).rate(2)
            0.5
        """
        if not self.decay_epochs:
            return self.learning_rate
        return round(self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * epoch / self.decay_epochs)), 12)
