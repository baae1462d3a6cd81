"""The protocols by name, in one table: what each of them reports, shows and compares with."""

import dataclasses
import importlib
import typing
from typing import TYPE_CHECKING, Any

from tfrecs.errors import InputError, nearest, option

if TYPE_CHECKING:
    from tfrecs.data.kinds import Kinds


class EvaluationConfig(typing.Protocol):
    """The part of a `TrainConfig` that says how a model is evaluated."""

    @property
    def protocol(self) -> str: ...
    @property
    def select_metric(self) -> str: ...
    @property
    def topk(self) -> tuple[int, ...]: ...
    @property
    def exclude_seen(self) -> bool: ...
    @property
    def num_eval_negatives(self) -> int: ...
    @property
    def published_lists(self) -> bool: ...
    @property
    def eval_batch_size(self) -> int: ...


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is known of a protocol before anything is measured.

    Args:
        measured_by: str, `module:Class` of `tfrecs.evaluation`: what is measured and how it is summarised. The class
            has `from_config(config, kinds)`; its module, which needs TensorFlow, is imported when it is used.
        evaluator: str, the class of `evaluator.py` that runs it.
        default_metric: str, what an epoch is chosen by where no metric is named.
        followed: tuple of str, the metrics that the console and the curves show of every epoch; curves also show the
            level of the baselines in the first.
        shown: tuple of str, the columns of a run's table of test metrics.
        compared: tuple of str, the columns of a leaderboard; the first one orders its rows.
        baselines: tuple of str, the baselines that are evaluated with every model.
        exclude_seen: bool, whether seen items are left out of the ranking; None: `--exclude_seen` decides.
        candidates: str, what the held-out items compete with, for titles; empty: all items.
        oracle: str, where the best reachable values of embedded data hold: `always`, `within_kind` or `never`.
        ranks_lists: bool, whether there are metrics with cutoffs, which `--topk` adds to.
        by_kind: bool, whether metrics are reported by kind of object too, as `auc_<kind>`.
    """

    measured_by: str
    default_metric: str
    followed: tuple[str, ...]
    shown: tuple[str, ...]
    compared: tuple[str, ...]
    evaluator: str = "Evaluator"
    baselines: tuple[str, ...] = ("popularity", "transitions")
    exclude_seen: bool | None = None
    candidates: str = ""
    oracle: str = "always"
    ranks_lists: bool = True
    by_kind: bool = False

    def follows(self, metric: str) -> bool:
        """Whether the console and the curves show a metric, those by kind included.

        Example:
            >>> [PROTOCOLS["pair_auc"].follows(name) for name in ("auc", "gauc", "auc_query")]
            [True, False, True]
        """
        return metric.partition("_")[0] in self.followed


PROTOCOLS = {
    "full_ranking": Protocol(
        "held_out_item:FullRanking",
        default_metric="ndcg@10",
        followed=("ndcg@10", "hr@10", "hr@50", "mrr"),
        shown=("hr@5", "hr@10", "hr@20", "hr@50", "ndcg@10", "mrr"),
        compared=("hr@10", "ndcg@10", "hr@50", "mrr"),
    ),
    "recbole": Protocol(
        "held_out_item:FullRanking",
        default_metric="recall@20",
        followed=("ndcg@20", "recall@20", "mrr"),
        shown=("recall@5", "recall@10", "recall@20", "recall@50", "ndcg@10", "ndcg@20", "mrr"),
        compared=("recall@20", "ndcg@20", "recall@10", "ndcg@10"),
        exclude_seen=False,
    ),
    "pair_auc": Protocol(
        "held_out_item:PairAUC",
        default_metric="auc",
        followed=("auc",),
        shown=("auc", "gauc"),
        compared=("auc", "gauc"),
        exclude_seen=True,
        candidates="against unseen items",
        oracle="within_kind",
        ranks_lists=False,
        by_kind=True,
    ),
    "rated_list": Protocol(
        "rated_list:RatedList",
        default_metric="ndcg@10",
        followed=("ndcg@10", "hr@10", "rmse"),
        shown=("hr@3", "hr@5", "hr@10", "ndcg@3", "ndcg@5", "ndcg@10", "rmse"),
        compared=("hr@10", "ndcg@10", "hr@3", "ndcg@3"),
        evaluator="ListEvaluator",
        baselines=("constant", "item_mean", "matrix_factorisation"),
        exclude_seen=False,
        candidates="each user's own held-out items",
        oracle="never",
    ),
}
DEFAULT_METRICS = {name: protocol.default_metric for name, protocol in PROTOCOLS.items()}


def create(config: EvaluationConfig, kinds: "Kinds | None" = None) -> Any:
    """What measures under the protocol of a `TrainConfig`.

    Args:
        config: `TrainConfig`.
        kinds: `data.kinds.Kinds`, where the data has them.

    Returns:
        an object of the class that the table names: it has `names`, `exclude_seen`, `num_negatives`, `kinds` and
        `measures_ranks`.

    Example:
        >>> from tfrecs.runs.config import TrainConfig
        >>> create(TrainConfig(protocol="recbole")).exclude_seen
        False
    """
    module, _, name = PROTOCOLS[config.protocol].measured_by.partition(":")
    return getattr(importlib.import_module(f"tfrecs.evaluation.{module}"), name).from_config(config, kinds)


def check_metric(config: EvaluationConfig, kinds: "Kinds | None" = None, kinds_known: bool = True) -> None:
    """Refuses a `select_metric` that the protocol does not report.

    Args:
        config, kinds: as for `create`.
        kinds_known: bool, whether `kinds` are those of the data; before, a metric by kind is accepted unchecked.

    Raises:
        InputError: naming the nearest one.
    """
    names, metric = create(config, kinds).names, config.select_metric
    if PROTOCOLS[config.protocol].by_kind and not kinds_known:
        metric = metric.partition("_")[0]
    if metric not in names:
        hint = nearest(config.select_metric, names)
        protocol = f"{option('protocol')} {config.protocol}"
        raise InputError(f"{option('select_metric')}: no metric {config.select_metric!r} of {protocol}; {hint}")
