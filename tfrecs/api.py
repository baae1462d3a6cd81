"""What a notebook and the command line both call: prepare data, train, load a run, ask it."""

import os
import re
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from tfrecs.arguments import checked
from tfrecs.data import kinds
from tfrecs.data.dataset import Dataset
from tfrecs.data.manifest import FILE_NAME
from tfrecs.errors import InputError, option
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs import directory, history
from tfrecs.serving import batch, explanations
from tfrecs.serving.export import export
from tfrecs.serving.tokens import check_count
from tfrecs.training import recipe as recipes
from tfrecs.training import session

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
Prepared = Dataset | str | os.PathLike[str]  # prepared data, or where they are


@checked
def prepare(
    data: pd.DataFrame | str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    user: Hashable | None = None,
    item: Hashable | None = None,
    timestamp: Hashable | None = None,
    action: Hashable | None = None,
    rating: Hashable | None = None,
    item_features: pd.DataFrame | str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Dataset:
    """Prepares data for training: sequences in shards, vocabularies, item attributes.

    Args:
        data: an interaction log, a row for each interaction: a DataFrame, or the path of a CSV, TSV or parquet file; or
            the name of a source that `python -m data_prep.prepare --help` lists, `sample` for one.
        out_dir: str or path, the directory to make; it is written atomically.
        user, item, timestamp, action, rating: str, the columns of a log; `user` and `item` at least.
        item_features: DataFrame with a row for each item, or the path of such a table: the column of `item`, and
            columns of tokens or of lists of tokens.
        overwrite: bool, replace prepared data that is there already.
        **options: of the preparation, as on the command line: `split`, `min_user_interactions`, `num_shards`, ...; and
            those of the source.

    Returns:
        `Dataset`.

    Raises:
        InputError: naming the column, row, file or option, and the value.

    Example:
        >>> import tempfile
        >>> data = prepare("sample", os.path.join(tempfile.mkdtemp(), "data"), num_users=50, num_items=200)
        >>> data.manifest.num_users
        50
    """
    from data_prep import tables

    columns = {"user": user, "item": item, "timestamp": timestamp, "rating": rating, "action": action}
    tables.prepare(data, out_dir, columns, item_features, {"overwrite": overwrite, **options})
    return Dataset(out_dir)


@checked
def train(
    model: str,
    data: Prepared,
    preset: str = "recommended",
    run_dir: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint: str | None = None,
    evaluate: bool = True,
    tensorboard: bool = False,
    **values: Any,
) -> "Run":
    """Trains a model, chooses the epoch on validation, and evaluates it with the baselines on the test split.

    The same as `tfrecs train` and `examples/run.py`: checkpoints, exact resume, history and metrics in a run directory.
    TensorFlow's operations are deterministic from here on, so that equal runs give equal bits.

    Args:
        model: str, `attrec`, `atrank`, `arerec`, `dif_sr` or `sasrec`.
        data: `Dataset`, or the path of prepared data.
        preset: str, a named set of arguments.
        run_dir: str or path; default `runs/<model>-<preset>-<dataset>`.
        overwrite: bool, remove the run that the directory holds.
        resume: bool, go on from the newest checkpoint; from scratch where there is none.
        checkpoint: str, go on from this one.
        evaluate: bool, measure model and baselines on the test split.
        tensorboard: bool, write the history as scalars too.
        **values: constructor arguments of the model, and arguments of `tfrecs.runs.config.TrainConfig`.

    Returns:
        `Run`.

    Raises:
        InputError: naming the argument, or what the data lack.
        NotFiniteError: training ran into NaN or infinity.
    """
    data = _dataset(data)
    recipe = recipes.create(model, preset, values, goes_on=resume or checkpoint is not None)
    run_dir = os.fspath(run_dir) if run_dir else default_run_dir(recipe, data.data_dir, data.manifest.name)
    actions = session.Actions(True, evaluate, resume, checkpoint, overwrite, tensorboard)
    named = ("model", "preset")
    session.check(recipe, run_dir, actions, named)
    with session.locked(run_dir, actions) as stack:
        experiment, _ = session.run(recipe, data.data_dir, data.manifest, run_dir, actions, stack, named)
    return Run(run_dir, data=data, model=experiment.model)


@checked
def load(run_dir: str | os.PathLike[str], checkpoint: str | None = None, data: Prepared | None = None) -> "Run":
    """A run that was trained before.

    Args:
        run_dir: str or path.
        checkpoint: str, `cp-0002`; default the one that stands for the run.
        data: `Dataset` or path; default where the data were when the run was trained.

    Returns:
        `Run`.

    Raises:
        InputError: no run there, or the data are not those of the run.
    """
    run_dir = os.fspath(run_dir)
    directory.read_config(run_dir)
    directory.judged(run_dir, checkpoint)
    return Run(run_dir, checkpoint, None if data is None else _dataset(data))


def default_run_dir(recipe: recipes.Recipe, data_dir: str, name: str) -> str:
    """`runs/<model>-<preset>-<dataset>`.

    Args:
        recipe: `Recipe`.
        data_dir: str, for messages.
        name: str, what the data are called.

    Raises:
        InputError: the name of the data cannot be part of a path.
    """
    if not SAFE_NAME.fullmatch(name):
        path = os.path.join(data_dir, FILE_NAME)
        raise InputError(f"{path}: name: {name[:100]!r} cannot be part of a path; {option('run_dir')} names one")
    return os.path.join("runs", f"{recipe.model}-{recipe.preset}-{name}")


class Run:
    """A trained run: its configuration, metrics and history, and the model with the weights that stand for it.

    Args:
        run_dir: str.
        checkpoint: str or None, see `load`.
        data: `Dataset` or None.
        model: the model, where it is in memory already.
    """

    def __init__(
        self,
        run_dir: str,
        checkpoint: str | None = None,
        data: Dataset | None = None,
        model: SequentialRecommender | None = None,
    ) -> None:
        self.run_dir, self.checkpoint = run_dir, checkpoint
        self.config = directory.read_config(run_dir)
        self._data, self._model = data, model
        if data is not None:
            directory.check_data(run_dir, self.config, data.data_dir, data.manifest, training=False)

    def __repr__(self) -> str:
        return f"Run({self.run_dir!r}: {self.config['model']} on {self.config.get('dataset', 'unnamed data')})"

    @property
    def data(self) -> Dataset:
        """The `Dataset` of the run, opened when first asked for.

        Raises:
            InputError: it is not where it was; `load(run_dir, data=...)` names its new place.
        """
        if self._data is None:
            data_dir = self.config.get("data_dir")
            if data_dir is None or not os.path.isdir(data_dir):
                where = f"its data are not in {data_dir}" if data_dir else "it does not say where its data are"
                raise InputError(f"{self.run_dir}: {where}; {option('data_dir', 'data')} names the directory")
            self._data = Dataset(data_dir)
            directory.check_data(self.run_dir, self.config, data_dir, self._data.manifest, training=False)
        return self._data

    @property
    def model(self) -> SequentialRecommender:
        """The model with the weights of the checkpoint that stands for the run, loaded when first asked for."""
        if self._model is None:
            self._model = directory.load_model(self.run_dir, self.checkpoint)
            if self._model.kind_attribute:
                data, attribute = self.data, self._model.kind_attribute
                self._model.kind_names = kinds.read(data.data_dir, data.manifest, attribute).names
        return self._model

    @property
    def metrics(self) -> dict[str, Any]:
        """dict, the content of `metrics.json`."""
        return history.read_metrics(self.run_dir)

    @property
    def history(self) -> pd.DataFrame:
        """DataFrame, a row for each epoch: `loss`, `valid_*`."""
        return history.read_history(self.run_dir)

    def recommend(
        self,
        users: Sequence[Hashable] | None = None,
        histories: Sequence[Sequence[Hashable]] | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        allowed: Sequence[Any] | None = None,
        excluded: Sequence[Any] | None = None,
        kind: str | None = None,
    ) -> pd.DataFrame:
        """The best items for everybody, for some users or for histories; see `tfrecs.serving.batch.recommend`."""
        return batch.recommend(self.model, self.data, users, histories, k, exclude_seen, allowed, excluded, kind)

    def similar_items(self, items: Sequence[Hashable], k: int = 10) -> pd.DataFrame:
        """The items with the most similar vectors; see `tfrecs.serving.batch.similar_items`."""
        return batch.similar_items(self.model, self.data, items, k)

    def item_vectors(self) -> pd.DataFrame:
        """The items' vectors; see `tfrecs.serving.batch.item_vectors`."""
        return batch.item_vectors(self.model, self.data)

    def attention(
        self,
        history: Sequence[Hashable] | None = None,
        candidate: Hashable | None = None,
        *,
        user: Hashable | None = None,
        times: Sequence[Any] | None = None,
        actions: Sequence[Hashable] | None = None,
        now: Any = None,
    ) -> pd.DataFrame:
        """The attention weights for a history, as a table; see `tfrecs.serving.explanations.attention`."""
        question = {"user": user, "times": times, "actions": actions, "now": now}
        return explanations.attention(self.model, self.data, history, candidate, **question)

    def contributions(
        self,
        item: Hashable,
        history: Sequence[Hashable] | None = None,
        *,
        user: Hashable | None = None,
        times: Sequence[Any] | None = None,
        actions: Sequence[Hashable] | None = None,
        now: Any = None,
    ) -> pd.DataFrame:
        """How an item's score changes without each item; see `tfrecs.serving.explanations.contributions`."""
        question = {"user": user, "times": times, "actions": actions, "now": now}
        return explanations.contributions(self.model, self.data, item, history, **question)

    def evaluate(self, **values: Any) -> dict[str, Any]:
        """Measures the model and the baselines on the test split; writes nothing.

        Args:
            **values: of `TrainConfig`, those of `tfrecs.runs.config.JUDGING`: `protocol`, `topk`, `exclude_seen`, ...

        Returns:
            dict of `test_*`, `popularity_*`, ..., as in `metrics.json`.
        """
        return session.judge(self.run_dir, self.checkpoint, self.data.data_dir, self.data.manifest, values)

    @checked
    def export(self, export_dir: str | os.PathLike[str], k: int = 10) -> str:
        """Writes the next version of a SavedModel for TensorFlow Serving; see `tfrecs.serving.export.export`."""
        check_count(k, self.data.manifest.num_items)
        return export(self.model, self.data.data_dir, self.data.manifest, os.fspath(export_dir), k)


def _dataset(data: Prepared) -> Dataset:
    return data if isinstance(data, Dataset) else Dataset(data)
