"""The door: prepare, train, load, and what a run answers; tables in and tables out."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tfrecs
from tfrecs.errors import InputError
from tfrecs.models import MODELS
from tfrecs.runs import directory

SMALL = dict(embedding_dim=4, batch_size=64, epochs=2, strategy="none")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("prepared") / "data"
    return tfrecs.prepare("sample", out_dir, num_users=60, num_items=60, mean_length=10, num_shards=2, seed=7)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return tfrecs.train("attrec", data, run_dir=tmp_path_factory.mktemp("trained") / "run", **SMALL)


def histories_of(data):
    """User token to item tokens, read off the shards another way than `recommend` does."""
    from tfrecs.data import training_batches

    found = {}
    for batch in training_batches.sequences(data.data_dir, data.manifest, ("item",)):
        for user, items in zip(batch["user"].numpy(), batch["item"].to_list()):
            found[data.users[user - 1]] = [data.items[item - 1] for item in items]
    return found


def test_a_run_is_what_the_command_line_writes(run, data):
    metrics = json.loads(open(os.path.join(run.run_dir, "metrics.json")).read())
    assert run.metrics == metrics and metrics["test_users"] == 60 and metrics["model"] == "attrec"
    assert run.history["loss"].tolist() == [row["loss"] for row in _rows(run.run_dir)]
    assert list(run.history.index) == [1, 2] and "valid_ndcg@10" in run.history
    assert run.config["train"]["epochs"] == 2 and run.config["data_dir"] == os.path.abspath(data.data_dir)


def _rows(run_dir):
    with open(os.path.join(run_dir, "history.csv")) as file:
        header, *rows = [line.strip().split(",") for line in file]
    return [dict(zip(header, map(float, row))) for row in rows]


def test_a_loaded_run_answers_as_the_trained_one(run):
    again = tfrecs.load(run.run_dir)
    table = run.recommend(k=5)
    pd.testing.assert_frame_equal(again.recommend(k=5), table)
    assert again.data.manifest == run.data.manifest
    first = tfrecs.load(run.run_dir, "cp-0001")
    assert not np.allclose(first.item_vectors(), run.item_vectors())


def test_everybody_gets_the_best_unseen_items(run, data):
    """Against the model's scores of every item, sorted."""
    table, seen = run.recommend(k=7), histories_of(data)
    assert list(table.columns) == ["user", "rank", "item", "score"]
    assert table["user"].drop_duplicates().tolist() == data.users
    for user, part in table.groupby("user"):
        history = [data.ids["item"][item] for item in seen[user]]
        inputs = {"user": [data.ids["user"][user]], "history": [history[-run.model.max_history :]]}
        scores = run.model.score(inputs, np.arange(1, 61)).numpy()[0]
        order = [item for item in np.argsort(-scores, kind="stable") + 1 if item not in history][:7]
        assert part["item"].tolist() == [data.items[item - 1] for item in order]
        assert part["rank"].tolist() == list(range(1, 8))
        np.testing.assert_allclose(part["score"], scores[np.array(order) - 1], atol=1e-5)


def test_users_in_the_order_asked_for_and_again(run, data):
    users = [data.users[4], data.users[0], data.users[4]]
    table = run.recommend(users, k=3)
    assert table["user"].tolist() == [user for user in users for _ in range(3)]
    everybody = run.recommend(k=3)
    assert table["item"].tolist()[:3] == everybody[everybody["user"] == users[0]]["item"].tolist()


def test_histories_of_new_users(run, data):
    history = data.items[3:7]
    table = run.recommend(histories=[history, []], k=4)
    assert table["user"].tolist() == [0] * 4 + [1] * 4
    assert not set(history) & set(table["item"][:4])
    kept = run.recommend(histories=[history], k=60, exclude_seen=False)
    assert set(kept["item"]) == set(data.items)
    known = run.recommend([data.users[0]], [history], k=4)
    assert known["user"].tolist() == [data.users[0]] * 4


def test_allowed_and_excluded(run, data):
    users = data.users[:2]
    table = run.recommend(users, k=60, allowed=data.items[:9], excluded=data.items[:2], exclude_seen=False)
    assert set(table["item"]) == set(data.items[2:9]) and len(table) == 14
    table = run.recommend(users, k=60, allowed=[data.items[:2], data.items[5:6]], exclude_seen=False)
    assert [set(part["item"]) for _, part in table.groupby("user", sort=False)] == [
        set(data.items[:2]),
        {data.items[5]},
    ]


def test_similar_items_by_cosine(run, data):
    vectors = run.item_vectors()
    assert vectors.index.tolist() == data.items and vectors.shape == (60, 8)
    table = run.similar_items(data.items[:2], k=5)
    unit = vectors.to_numpy() / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit[0]
    order = [item for item in np.argsort(-cosine) if item != 0][:5]
    part = table[table["item"] == data.items[0]]
    assert part["similar_item"].tolist() == [data.items[item] for item in order]
    np.testing.assert_allclose(part["score"], cosine[order], atol=1e-5)


def test_evaluate_is_what_training_measured_and_writes_nothing(run):
    before = {name: os.path.getmtime(os.path.join(run.run_dir, name)) for name in os.listdir(run.run_dir)}
    found = run.evaluate()
    for name in ("test_ndcg@10", "test_mrr", "popularity_hr@10", "transitions_mrr"):
        assert found[name] == run.metrics[name]
    other = run.evaluate(protocol="pair_auc")
    assert 0 <= other["test_auc"] <= 1
    assert {name: os.path.getmtime(os.path.join(run.run_dir, name)) for name in os.listdir(run.run_dir)} == before


def test_export_answers_alike(run, data, tmp_path):
    import tensorflow as tf

    folder = run.export(tmp_path / "served", k=3)
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    history = data.items[3:6]
    answer = serve(user=tf.constant([""]), history=tf.constant([history]))
    expected = run.recommend(histories=[history], k=3)
    assert [item.decode() for item in answer["items"].numpy()[0]] == expected["item"].tolist()
    np.testing.assert_allclose(answer["scores"].numpy()[0], expected["score"], atol=1e-6)


def test_a_frame_goes_in(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "customer": np.repeat([f"c{i}" for i in range(30)], 8),
            "sku": random.integers(100, 120, 240),
            "bought_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(240), "h"),
        }
    )
    items = pd.DataFrame({"sku": range(100, 120), "brand": [f"b{i % 3}" for i in range(20)]})
    data = tfrecs.prepare(
        frame, tmp_path / "shop", user="customer", item="sku", timestamp="bought_at", item_features=items
    )
    assert data.manifest.num_users == 30 and set(data.items) <= {str(item) for item in range(100, 120)}
    assert data.attributes == ("brand",)
    run = tfrecs.train(
        "dif_sr",
        data,
        run_dir=tmp_path / "run",
        epochs=1,
        dim=8,
        num_heads=2,
        num_layers=1,
        inner_dim=8,
        attribute_dim=(4,),
    )
    assert len(run.recommend(["c3"], k=2)) == 2 and run.recommend(["c3"], k=2)["user"].tolist() == ["c3", "c3"]


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda run: run.recommend(["nobody"]), r"users\[0\]: unknown user 'nobody'"),
        (lambda run: run.recommend(histories=[["nothing"]]), r"histories\[0\]\[0\]: unknown item 'nothing'"),
        (lambda run: run.recommend("u1"), "users: expected a list of tokens, got 'u1'"),
        (lambda run: run.recommend(k=61), "k: expected an integer from 1 to 60, the items there are, got 61"),
        (lambda run: run.recommend(k=0), "k: expected an integer from 1 to 60"),
        (lambda run: run.recommend(users=[], histories=[[]]), "histories: 1 of them, but 0 users"),
        (lambda run: run.recommend(allowed=["nothing"]), r"allowed\[0\]: unknown item 'nothing'"),
        (lambda run: run.recommend(allowed=[["nothing"]]), "allowed: 1 lists, but 60 users"),
        (lambda run: run.recommend(kind="item"), "kind 'item': this AttRec was made without kinds"),
        (lambda run: run.similar_items(["nothing"]), r"items\[0\]: unknown item 'nothing'"),
        (lambda run: run.evaluate(embedding_dim=5), r"embedding_dim 5 \(the run has 4\)"),
        (lambda run: run.evaluate(protocl="recbole"), "protocl: no argument of attrec; did you mean 'protocol'"),
        (lambda run: tfrecs.load(run.run_dir, "cp-0009"), "no such checkpoint"),
        (lambda run: tfrecs.load("nowhere"), "nowhere/config.json: no run there"),
    ],
)
def test_bad_questions_are_named(run, ask, message):
    with pytest.raises(InputError, match=message):
        ask(run)


@pytest.mark.parametrize(
    "model, values, message",
    [
        ("atrec", {}, "^model: unknown model 'atrec'; did you mean 'attrec'"),
        ("attrec", {"preset": "recomended"}, "^preset: unknown preset 'recomended'"),
        ("attrec", {"embeding_dim": 4}, "^embeding_dim: no argument of attrec; did you mean 'embedding_dim'"),
        ("attrec", {"region_size": 4}, "^region_size: no argument of attrec, but of arerec"),
        ("attrec", {"dropout": 2}, r"^dropout: expected a number in \[0, 1\), got 2"),
        ("attrec", {"checkpoint": "cp-2", "overwrite": True}, "^overwrite 1: removes the run that"),
    ],
)
def test_bad_arguments_of_train_are_named_and_write_nothing(data, tmp_path, model, values, message):
    with pytest.raises(InputError, match=message):
        tfrecs.train(model, data, run_dir=tmp_path / "run", **values)
    assert not list(tmp_path.iterdir())


def test_other_data_are_refused(run, tmp_path):
    other = tfrecs.prepare("sample", tmp_path / "other", num_users=50, num_items=50, mean_length=10, seed=8)
    with pytest.raises(InputError, match="is not the data of"):
        tfrecs.load(run.run_dir, data=other)


def test_data_that_moved_are_named(run, tmp_path):
    import shutil

    copy = shutil.copytree(run.run_dir, tmp_path / "run")
    config = directory.read_config(copy)
    directory.write_config(copy, config | {"data_dir": str(tmp_path / "gone")})
    with pytest.raises(InputError, match=f"its data are not in {tmp_path / 'gone'}; data names the directory"):
        tfrecs.load(copy).recommend()
    assert len(tfrecs.load(copy, data=run.data).recommend(k=1)) == 60


def test_prepare_names_what_it_cannot_use(tmp_path):
    with pytest.raises(InputError, match="data: expected a DataFrame, a file or the name of a source, got 'sampel'"):
        tfrecs.prepare("sampel", tmp_path / "out")
    with pytest.raises(InputError, match="user: source 'sample' knows its columns"):
        tfrecs.prepare("sample", tmp_path / "out", user="u")
    with pytest.raises(InputError, match="mean_lenght"):
        tfrecs.prepare("sample", tmp_path / "out", mean_lenght=3)


def test_import_is_quick_and_offers_the_public_names():
    heavy = "[name for name in ('tensorflow', 'pandas', 'numpy') if name in sys.modules]"
    code = f"import sys, tfrecs; print(dir(tfrecs)); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, modules = done.stdout.splitlines()
    assert eval(modules) == []
    assert {"Dataset", "prepare", "train", "load", "Run", "models", "layers", "InputError"} <= set(eval(names))
    for name in tfrecs.__all__:
        assert getattr(tfrecs, name) is not None
    assert tfrecs.models.AttRec is MODELS["attrec"]
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        tfrecs.trian  # noqa: B018


def test_layers_are_offered_by_name():
    import tfrecs.layers

    assert {"FeedForward", "PooledEmbedding", "masked_softmax"} <= set(dir(tfrecs.layers))
    for name in dir(tfrecs.layers):
        assert callable(getattr(tfrecs.layers, name)), name
