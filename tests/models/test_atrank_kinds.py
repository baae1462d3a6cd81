"""ATRank over several kinds of objects, on a tiny sample of them."""

import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from data_prep.progress import Progress
from tfrecs.data import kinds, manifest, pipeline, statistics
from tfrecs.errors import InputError
from tfrecs.models.atrank import ATRank

SMALL = {"item_dim": 4, "attribute_dim": 2, "time_dim": 2, "hidden_units": 8, "num_heads": 2, "max_history": 6}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(directory, manifest) of 40 users."""
    directory = str(tmp_path_factory.mktemp("prepared") / "data")
    options = {"num_users": 40, "num_items": 60, "mean_length": 8, "num_shards": 1, "kinds": 1}
    return directory, prepare("sample", directory, Progress(None), **options)


def make(data, **arguments):
    arguments = {"object_type": "kind", **arguments}
    model = ATRank(**ATRank.data_arguments(*data, arguments), **SMALL, **arguments)
    model.adapt(*data, "train")
    return model


def examples_of(data, model):
    of_item = kinds.load(*data).of_item
    weights = statistics.sampling_weights(*data, "uniform")
    batches = pipeline.TrainingBatches(
        *data, model.training_examples, weights, 64, 0, fields=model.fields, kinds=of_item
    )
    return of_item, list(batches(0, 1))


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
    prepared = prepare("delimited", directory, Progress(None), **paths, **columns)
    with pytest.raises(InputError, match="--object_type kind: 1 of the 3 items of .* have no kind, 'b' for one"):
        ATRank.data_arguments(directory, prepared, {"object_type": "kind"})


def test_kinds_of_prepared_data(data):
    found = kinds.load(*data)
    items = manifest.read_vocabulary(*data, "item")
    assert found.names == ("coupon", "item", "query") and found.attribute == "kind"
    assert all(found.names[kind - 1][0] == item[0] for item, kind in zip(items, found.of_item[1:], strict=True))
    assert kinds.load(*data, "category").of_item[1:].min() == 0  # queries have no category
