"""A model before its judges: the protocol's metrics on held-out items, and what the baselines reach on the same."""

from tfrecs.data import held_out, statistics
from tfrecs.models.baselines import Popularity, Transitions
from tfrecs.training import evaluation, protocols, rated_list


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
        self.protocol = protocols.create(config)
        self.lists = config.protocol == "rated_list"
        self._evaluator = self._rated(model) if self.lists else self._evaluator_of(model, strategy)
        self._batches = {}

    def evaluate(self, split):
        """Metrics of the model as it stands, and the seconds they took; `split` is `valid` or `test`."""
        return self._evaluator(split) if self.lists else self._evaluator(self.batches(split))

    def baselines(self, split):
        """Metrics of the baselines on the same users, items and exclusions, by name.

        They are taken from what the model may have trained on: with retraining, validation items too.
        """
        trained = "train_valid" if self.config.retrain else self.config.train_split
        if self.lists:
            raters = rated_list.baselines(self.model, self.data_dir, self.manifest, trained)
            return {name: self._rated(rater)(split)[0] for name, rater in raters.items()}
        counts = statistics.item_counts(self.data_dir, self.manifest, trained)
        pairs = statistics.transition_pairs(self.data_dir, self.manifest, trained)
        rankers = {"popularity": Popularity(counts), "transitions": Transitions(counts, pairs)}
        return {name: self._evaluator_of(ranker)(self.batches(split))[0] for name, ranker in rankers.items()}

    def batches(self, split, max_users=None):
        """See `data.held_out.EvaluationBatches`; traced once, iterated many times."""
        if (split, max_users) not in self._batches:
            self._batches[split, max_users] = held_out.EvaluationBatches(
                self.data_dir,
                self.manifest,
                self.model.history_inputs,
                self.config.eval_batch_size,
                split,
                max_users,
                self.model.fields,
                self.protocol.num_negatives,
            )
        return self._batches[split, max_users]

    def _evaluator_of(self, scorer, replicas=None):
        return evaluation.Evaluator(self.protocol.measure(scorer), self.protocol.summarise, replicas)

    def _rated(self, rater):
        return rated_list.RatedList(rater, self.data_dir, self.manifest, self.config.published_lists)
