"""What a run attends to and what each item contributes, as tables: against the model's own weights and scores."""

import numpy as np
import pandas as pd
import pytest

import tfrecs
from tfrecs.errors import InputError, NotFiniteError

SMALL = dict(batch_size=64, epochs=1, strategy="none", evaluate=False)
RUNS = {
    "attrec": dict(embedding_dim=4),
    "atrank": dict(item_dim=4, attribute_dim=4, hidden_units=8, num_heads=2, max_history=6),
    "arerec": dict(embedding_dim=4, region_size=2),
    "sasrec": dict(dim=8, inner_dim=8, num_layers=2, num_heads=2, max_history=6),
}


def log():
    """With times, actions and ratings."""
    random, count = np.random.default_rng(0), 240
    frame = pd.DataFrame(
        {
            "customer": np.repeat([f"c{i}" for i in range(30)], 8),
            "sku": random.integers(0, 20, count),
            "time": 1_700_000_000 + 3600 * np.arange(count),
            "did": random.choice(["view", "buy"], count),
            "stars": random.integers(1, 6, count),
        }
    )
    return frame.drop_duplicates(["customer", "sku"])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    columns = dict(user="customer", item="sku", timestamp="time", action="did", rating="stars")
    return tfrecs.prepare(log(), tmp_path_factory.mktemp("prepared") / "data", **columns)


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    made = {}

    def run(model):
        if model not in made:
            made[model] = tfrecs.train(
                model, data, run_dir=tmp_path_factory.mktemp(model) / "r", **SMALL, **RUNS[model]
            )
        return made[model]

    return run


def check_sums(table):
    sums = table.groupby(["layer", "head", "query_position"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_sasrec_weights_by_place_and_token(runs, data):
    run, history = runs("sasrec"), data.items[:4]
    table = run.attention(history)
    assert list(table.columns) == "layer head query query_position key key_position weight".split()
    assert table["layer"].unique().tolist() == ["attention_0", "attention_1"] and set(table["head"]) == {0, 1}
    check_sums(table)
    assert (table["query"] == table["query_position"].map(dict(enumerate(history)))).all()
    assert (table["key"] == table["key_position"].map(dict(enumerate(history)))).all()
    assert not table["weight"][table["key_position"] > table["query_position"]].any()
    weights = run.model.attention_weights({"history": [[1, 2, 3, 4]]})[1].weights.numpy()[0, 1]
    part = table[(table["layer"] == "attention_1") & (table["head"] == 1)]
    found = part.pivot(index="query_position", columns="key_position", values="weight")
    np.testing.assert_allclose(found, weights, atol=1e-6)


def test_of_a_long_history_the_latest_items_are_read(runs, data):
    history = data.items[:9]
    table = runs("sasrec").attention(history)
    assert sorted(set(table["query_position"])) == sorted(set(table["key_position"])) == list(range(3, 9))
    assert (table["key"] == table["key_position"].map(dict(enumerate(history)))).all()
    short = runs("sasrec").attention(history[3:])
    np.testing.assert_allclose(table["weight"], short["weight"], atol=1e-6)


def test_attrec_attends_to_the_others(runs, data):
    table = runs("attrec").attention(data.items[:3])
    check_sums(table)
    assert len(table) == 9 and not table["weight"][table["query_position"] == table["key_position"]].any()


def test_atrank_reads_times_and_actions_and_attends_from_a_candidate(runs, data):
    run, history, candidate = runs("atrank"), data.items[:3], data.items[7]
    question = dict(times=[1_700_000_000, 1_700_003_600, 1_700_864_000], actions=["view", "buy", "view"])
    table = run.attention(history, candidate, **question)
    check_sums(table)
    read = table[table["layer"] == "candidate_attention_0"]
    assert set(read["query"]) == {candidate} and set(read["query_position"]) == {3}
    assert read["key"].tolist() == history * 2 and len(table) == 2 * 3 * 3 + 2 * 3
    for other in ({"times": [1_700_000_000] * 3}, {"actions": ["buy"] * 3}, {"now": 1_800_000_000}):
        changed = run.attention(history, candidate, **question | other)
        assert np.abs(changed["weight"] - table["weight"]).max() > 1e-6
    texts = ["2023-11-14T22:13:20", "2023-11-15T00:13:20+01:00", pd.Timestamp("2023-11-24 22:13:20")]
    again = run.attention(history, candidate, **question | {"times": texts})
    pd.testing.assert_frame_equal(again, table)
    assert set(run.attention(history)["layer"]) == {"self_attention_0"}


def test_the_history_of_a_user_in_the_data(runs, data):
    """The same as recommend reads: with its times and actions."""
    run = runs("atrank")
    table = run.attention(user="c4", candidate=data.items[0])
    check_sums(table)
    rows = log()[log()["customer"] == "c4"]
    given = dict(times=rows["time"], actions=rows["did"])
    pd.testing.assert_frame_equal(run.attention(rows["sku"], data.items[0], **given), table)
    contributions = run.contributions(data.items[0], user="c4")
    assert contributions["item"].tolist() == [str(item) for item in rows["sku"]]
    assert contributions["contribution"][:-6].abs().max() < 1e-6 < contributions["contribution"][-6:].abs().max()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("model", ["attrec", "atrank", "sasrec"])
def test_what_is_no_number_is_no_explanation(runs, data, model, value):
    run, items = runs(model), data.items
    weights = run.model.trainable_weights
    before = [weight.numpy() for weight in weights]
    try:
        for weight in weights:
            weight.assign(np.full(weight.shape, value, np.float32))
        with pytest.raises(NotFiniteError, match=f"^{type(run.model).__name__}: .* attention weights are NaN or inf"):
            run.attention(items[:3])
        with pytest.raises(NotFiniteError, match=": 3 of 3 contributions are NaN or infinite$"):
            run.contributions(items[6], items[:3])
    finally:
        for weight, values in zip(weights, before, strict=True):
            weight.assign(values)
    assert np.isfinite(run.attention(items[:3])["weight"]).all()
    assert np.isfinite(run.contributions(items[6], items[:3])["contribution"]).all()


def test_arerec_attends_to_earlier_raters(runs, data):
    run = runs("arerec")
    table = run.attention(candidate=data.items[0], user="c20")
    check_sums(table)
    assert set(table["query"]) == {"c20"} and set(table["key"]) <= set(data.users) - {"c20"}
    early = run.attention(candidate=data.items[0], user="c20", now=1_700_000_000 + 3600 * 40)
    assert set(early["key"]) < set(table["key"])
    assert len(run.attention(candidate=data.items[0], now="2020-01-01")) == 0
    assert set(run.attention(candidate=data.items[0])["query"]) == {""}


@pytest.mark.parametrize("model", ["attrec", "atrank", "sasrec"])
def test_contributions_are_changes_of_the_score(runs, data, model):
    run, history, item = runs(model), data.items[2:6], data.items[9]
    table = run.contributions(item, history)
    assert table["item"].tolist() == history and table["position"].tolist() == [0, 1, 2, 3]

    def score(tokens):
        found = run.recommend(histories=[tokens], k=data.manifest.num_items, exclude_seen=False)
        return found.set_index("item")["score"][item]

    expected = [score(history) - score(history[:place] + history[place + 1 :]) for place in range(4)]
    np.testing.assert_allclose(table["contribution"], expected, atol=1e-5)
    assert np.abs(table["contribution"]).max() > 1e-4


@pytest.mark.parametrize(
    "model, ask, message",
    [
        ("sasrec", lambda run: run.attention(["0", "nothing"]), r"^history\[1\]: unknown item 'nothing'"),
        ("sasrec", lambda run: run.attention([]), "^history: expected one item at least, got none"),
        ("sasrec", lambda run: run.attention(), "^history: expected a list of items, or a user"),
        ("sasrec", lambda run: run.attention("0"), "^history: expected a list of tokens, got '0'"),
        ("sasrec", lambda run: run.attention(["0"], "1"), "^candidate: the attention of SASRec reads no candidate"),
        ("sasrec", lambda run: run.attention(["0"], user="c1"), "^user: SASRec reads the history alone"),
        ("sasrec", lambda run: run.attention(["0"], times=[5]), "^times: this SASRec reads none"),
        ("sasrec", lambda run: run.attention(["0"], now=5), "^now: this SASRec reads none"),
        ("sasrec", lambda run: run.attention(user="c99"), "^user: unknown user 'c99'"),
        ("sasrec", lambda run: run.contributions("nothing", ["0"]), "^item: unknown item 'nothing'"),
        ("atrank", lambda run: run.attention(["0"], "nothing"), "^candidate: unknown item 'nothing'"),
        ("atrank", lambda run: run.attention(["0"], times=[5, 6]), "^times: 2 of them, but 1 items in the history"),
        (
            "atrank",
            lambda run: run.attention(["0"], times=[5e11]),
            "^times: expected unix seconds before the year",
        ),
        ("atrank", lambda run: run.attention(["0"], times=[np.nan]), "^times: expected unix seconds"),
        (
            "atrank",
            lambda run: run.attention(["0"], times=["noon?"]),
            "^times: expected unix seconds, datetimes or",
        ),
        ("atrank", lambda run: run.attention(["0"], actions=["sell"]), r"^actions\[0\]: unknown action 'sell'"),
        ("atrank", lambda run: run.attention(user="c1", times=[5]), "^times: expected only with a history"),
        ("arerec", lambda run: run.attention(["0"]), "^history: ARERec reads none"),
        ("arerec", lambda run: run.attention(user="c1"), "^candidate: the attention of ARERec starts from an item"),
        (
            "arerec",
            lambda run: run.contributions("0", user="c1"),
            "^ARERec reads no history: no item",
        ),
    ],
)
def test_bad_questions_are_named(runs, model, ask, message):
    with pytest.raises(InputError, match=message):
        ask(runs(model))
