"""Evaluates a model and its baselines under one protocol."""

from tfrecs.data import evaluation_batches, kinds, statistics
from tfrecs.evaluation import measurement, protocols, rated_list
from tfrecs.evaluation.baselines import Popularity, Transitions
from tfrecs.progress import note

CHECKED_USERS = 64  # users whose scores are looked at where no validation does


def create(model, config, strategy, data_dir, manifest):
    """The judge of a configuration's protocol; arguments as for `Judge`."""
    kind = ListJudge if config.protocol == "rated_list" else Judge
    return kind(model, config, strategy, data_dir, manifest)


class Judge:
    """Measures one model, and baselines beside it, under the protocol of a configuration.

    Args:
        model: a built model.
        config: `TrainConfig`.
        strategy: `tf.distribute.Strategy`, which the model was built under.
        data_dir: str.
        manifest: its `Manifest`.
    """

    def __init__(self, model, config, strategy, data_dir, manifest):
        self.model, self.config, self.data_dir, self.manifest = model, config, data_dir, manifest
        self.kinds = kinds.load(data_dir, manifest, model.kind_attribute)
        protocols.check_metric(config.select_metric, config, self.kinds)
        self.protocol = protocols.create(config, self.kinds)
        self._batches = {}
        self._evaluate = self._evaluator(model, strategy)

    def evaluate(self, split):
        """Metrics of the model as it stands, and the seconds they took; `split` is `valid` or `test`.

        Raises:
            NotFiniteError: the model's scores are NaN or infinite.
        """
        return self._evaluate(self.batches(split), split)

    def check(self):
        """Looks at the scores of a few users, whatever they are worth, where no validation does.

        Raises:
            NotFiniteError: the model's scores are NaN or infinite.
        """
        self._evaluate(self.batches("test", CHECKED_USERS), "test")

    def measure_users(self, split):
        """What `evaluate` averages.

        Args:
            split: `valid` or `test`.

        Returns:
            `(metrics, values, ranks, seconds)`: as from `evaluate`; dict of metric to float array, a value per user;
            `(user ids, ranks)`, both int64 `[users]`, or None where the protocol ranks no catalogue; float.
        """
        users, measured, seconds = self._evaluate.measure_users(self.batches(split), split)
        ranks = (users, measured) if self.protocol.measures_ranks else None
        return self.protocol.summarise(measured), self.protocol.of_users(measured), ranks, seconds

    def baselines(self, split, trained_on):
        """Metrics of the baselines on the same users, items and exclusions.

        Args:
            split: `valid` or `test`.
            trained_on: str, the training split of the weights that are judged: the baselines learn from the same.

        Returns:
            dict of name to dict of metrics.
        """
        rivals = self._rivals(trained_on)
        return {name: self._score(rival, split) for name, rival in rivals.items()}

    def is_idle(self, split):
        """Whether the split holds out nothing to judge by."""
        return next(iter(self.batches(split)), None) is None

    def batches(self, split, max_users=None):
        """See `data.evaluation_batches.EvaluationBatches`; traced once, iterated many times."""
        if (split, max_users) not in self._batches:
            self._batches[split, max_users] = evaluation_batches.EvaluationBatches(
                self.data_dir,
                self.manifest,
                self.model.history_inputs,
                self.config.eval_batch_size,
                split,
                max_users,
                self.model.fields,
                self.protocol.num_negatives,
                self.kinds.of_item if self.kinds else None,
            )
        return self._batches[split, max_users]

    def _evaluator(self, scorer, replicas=None):
        measure, name = self.protocol.measure(scorer), type(scorer).__name__
        return measurement.Evaluator(measure, self.protocol.summarise, replicas, name)

    def _score(self, scorer, split):
        return self._evaluator(scorer)(self.batches(split), split)[0]

    def _rivals(self, trained):
        counts = statistics.item_counts(self.data_dir, self.manifest, trained)
        pairs = statistics.transition_pairs(self.data_dir, self.manifest, trained)
        return {"popularity": Popularity(counts), "transitions": Transitions(counts, pairs)}


class ListJudge(Judge):
    """The judge of `rated_list`, whose metrics belong to lists, not to one held-out item."""

    def __init__(self, model, config, strategy, data_dir, manifest):
        super().__init__(model, config, strategy, data_dir, manifest)
        if manifest.split["kind"] == "leave_one_out" and model.own_split is None:
            note(
                f"--protocol rated_list: {data_dir} holds out one rating a user, and a list of one is always in order; "
                "data prepared with --split ratio, or --random_split, gives longer lists"
            )

    def evaluate(self, split):
        return self._evaluate(split)

    def check(self):
        self._evaluate("test", CHECKED_USERS)

    def measure_users(self, split):
        metrics, seconds = self._evaluate(split)  # of lists, whose metrics are no means over users' ranks
        return metrics, {}, None, seconds

    def is_idle(self, split):
        return next(self._evaluate.lists(split), None) is None

    def _evaluator(self, scorer, replicas=None):
        published, cutoffs = self.config.published_lists, self.protocol.cutoffs
        return rated_list.RatedList(scorer, self.data_dir, self.manifest, published, cutoffs=cutoffs)

    def _score(self, scorer, split):
        return self._evaluator(scorer)(split)[0]

    def _rivals(self, trained):
        return rated_list.baselines(self.model, self.data_dir, self.manifest, trained)
