"""ATRank over several kinds of objects, on a tiny sample of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tfrecs.data import evaluation_batches, kinds, manifest, statistics, training_batches
from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError
from tfrecs.models import load_model
from tfrecs.models.atrank import ATRank
from tfrecs.progress import StageProgress

SMALL = {"item_dim": 4, "attribute_dim": 2, "hidden_units": 8, "num_heads": 2, "max_history": 6}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(directory, manifest) of 40 users."""
    directory = str(tmp_path_factory.mktemp("prepared") / "data")
    options = {"num_users": 40, "num_items": 60, "mean_length": 8, "num_shards": 1, "kinds": 1}
    return directory, prepare("sample", directory, StageProgress(None), **options)


def make(data, **arguments):
    arguments = {"object_type": "kind", **arguments}
    model = ATRank(**ATRank.data_arguments(*data, arguments), **SMALL, **arguments)
    model.adapt(*data, "train")
    return model


def examples_of(data, model):
    of_item = kinds.load(*data).of_item
    weights = statistics.sampling_weights(*data, "uniform")
    batches = training_batches.TrainingBatches(
        *data,
        model.training_examples,
        weights=weights,
        batch_size=64,
        seed=0,
        fields=model.fields,
        kinds=of_item,
    )
    return of_item, list(batches(0, 1))


def test_files_keep_the_names_of_the_kinds(data, tmp_path):
    small = {name: value for name, value in SMALL.items() if name != "time_dim"}  # times are one-hot there
    model = ATRank.from_preset("multi", Dataset(data[0]), **small)
    assert set(model.kind_names) == {"coupon", "item", "query"} and model.num_groups == 3
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").kind_names == model.kind_names


def test_negatives_are_of_the_positives_kind(data):
    of_item, batches = examples_of(data, make(data, num_negatives=3))
    targets = np.concatenate([batch["targets"].numpy() for batch in batches])
    found = of_item[targets]
    assert (found == found[:, :1]).all() and (found > 0).all()
    assert set(found[:, 0]) == {1, 2, 3} and len(targets) > 150
    assert (targets[:, 1:] != targets[:, :1]).all()


def test_the_loss_of_pairs_is_the_training_loss(data):
    model = make(data, num_negatives=3)
    batch = examples_of(data, model)[1][0]
    scores = model.match(model.encode(batch), batch["targets"])[0]
    np.testing.assert_allclose(model.pair_loss(scores), tf.reduce_mean(model.loss_terms(batch)[0], axis=1), rtol=1e-5)


def test_an_item_without_a_kind_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,when\nu,a,1\nu,b,2\nu,c,3\n")
    (tmp_path / "items.csv").write_text("item,type\na,x\nc,y\n")
    paths = {"path": str(tmp_path / "log.csv"), "items": str(tmp_path / "items.csv")}
    columns = {"timestamp_column": "when", "items_kind": "type"}
    directory = str(tmp_path / "data")
    prepared = prepare("delimited", directory, StageProgress(None), **paths, **columns)
    with pytest.raises(InputError, match="^object_type kind: 1 of the 3 items of .* have no kind, 'b' for one"):
        ATRank.data_arguments(directory, prepared, {"object_type": "kind"})


def test_kinds_of_prepared_data(data):
    found = kinds.load(*data)
    items = manifest.read_vocabulary(*data, "item")
    assert found.names == ("coupon", "item", "query") and found.attribute == "kind"
    assert all(found.names[kind - 1][0] == item[0] for item, kind in zip(items, found.of_item[1:], strict=True))
    assert kinds.load(*data, "category").of_item[1:].min() == 0  # queries have no category


@pytest.fixture(scope="module")
def trained(data):
    """A model with weights that tell objects apart, and a batch of its inputs."""
    keras.utils.set_random_seed(1)
    model = make(data)
    for variable in model.trainable_variables:
        variable.assign_add(np.random.default_rng(0).normal(scale=0.3, size=variable.shape))
    batches = evaluation_batches.EvaluationBatches(*data, model.history_inputs, 16, "test", fields=model.fields)
    return model, next(iter(batches))


def ranked(model, batch, kind, of_item):
    """Unseen items of a kind in the order of their scores, by hand."""
    scores = model.score(batch, np.arange(1, model.num_items + 1)).numpy()
    found = []
    for row, seen in zip(scores, batch["seen"].numpy(), strict=True):
        items = [item for item in range(1, len(of_item)) if of_item[item] == kind and item not in seen]
        found.append(sorted(items, key=lambda item: (-row[item - 1], item)))
    return found


@pytest.mark.parametrize("name, kind", [("coupon", 1), ("item", 2), ("query", 3)])
def test_a_list_of_one_kind(data, trained, name, kind):
    model, batch = trained
    expected = ranked(model, batch, kind, kinds.load(*data).of_item)
    for asked in (name, kind):
        items, scores = model.recommend(batch, 9, excluded=batch["seen"], kind=asked)
        for row, score, best in zip(items.numpy(), scores.numpy(), expected, strict=True):
            assert row.tolist() == (best + [0] * 9)[:9]
            assert (score[: len(best)] > -np.inf).all() and (score[len(best) :] == -np.inf).all()


def test_a_kind_for_each_row(data, trained):
    model, batch = trained
    asked = np.arange(len(batch["seen"])) % 4
    items, _ = model.recommend(batch, 3, excluded=batch["seen"], kind=asked)
    of_any, _ = model.recommend(batch, 3, excluded=batch["seen"])
    for row, kind in enumerate(asked):
        expected = of_any[row] if kind == 0 else model.recommend(batch, 3, batch["seen"], kind=int(kind))[0][row]
        assert items[row].numpy().tolist() == expected.numpy().tolist()
    assert (kinds.load(*data).of_item[items.numpy()][asked > 0] == asked[asked > 0][:, None]).all()


def test_kinds_that_are_not_there(data, trained):
    with pytest.raises(InputError, match="kind: unknown kind 'querry'; did you mean 'query'?"):
        trained[0].recommend(trained[1], kind="querry")
    plain = make(data, object_type="")
    with pytest.raises(InputError, match="kind 'query': this ATRank was made without kinds"):
        plain.recommend(trained[1], kind="query")
    for name in ("history_kind", "target_kind"):
        with pytest.raises(InputError, match=f"^{name}: .* has no 'itm'; did you mean 'item'"):
            make(data, **{name: "itm"})
        with pytest.raises(InputError, match=f"^{name} item: needs object_type"):
            make(data, object_type="", **{name: "item"})


def test_one_kind_alone_reads_and_predicts_no_other(data):
    model = make(data, history_kind="item", target_kind="query")
    of_item, batches = examples_of(data, model)
    targets = np.concatenate([batch["targets"].numpy() for batch in batches])
    history = np.concatenate([batch["history"].numpy() for batch in batches])
    assert len(targets) > 20 and set(of_item[targets].ravel()) == {3}
    assert set(of_item[history].ravel()) == {0, 2}
    everything = examples_of(data, make(data))[1]
    of_targets = of_item[np.concatenate([batch["targets"][:, 0] for batch in everything])]
    assert (of_targets == 3).sum() == len(targets)
