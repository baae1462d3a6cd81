"""The notebooks run from their first cell to their last, and say what is true; they are committed without outputs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NAMES = ("quickstart", "own_items_and_behaviours", "reproduce_a_row", "look_inside")
OWN_LOG = "# This cell stands for your own "
MAX_LINES = 12


def code_cells(name):
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Executes a notebook in an empty folder; gives its names and how many pictures it drew."""
    import matplotlib
    import matplotlib.pyplot as plt

    backend = matplotlib.get_backend()
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAW_DIR", raising=False)

    def execute(name):
        names = {}
        for number, cell in enumerate(code_cells(name)):
            exec(compile("".join(cell["source"]), f"{name}.ipynb, code cell {number}", "exec"), names)
        return names, len(plt.get_fignums())

    yield execute
    plt.close("all")
    matplotlib.use(backend)


def test_these_are_all_notebooks_and_the_readme_links_them():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)
    readme = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    assert all(f"(examples/notebooks/{name}.ipynb)" in readme for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_outputs_are_committed(name):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells(name))


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files(name):
    check_links(FOLDER / f"{name}.ipynb")


def test_links_of_the_comparison_lead_to_files():
    check_links(FOLDER.parents[1] / "docs" / "comparison.md")


def check_links(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[)#]", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def lines_of(text):
    """The lines that hold code, imports included."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_the_quickstart_takes_twelve_lines():
    """All lines of code, imports included; blank lines, comments and the cell that makes up a log do not count."""
    own, *rest = code_cells("quickstart")
    assert own["source"][0].startswith(OWN_LOG) and not [cell for cell in rest if OWN_LOG in "".join(cell["source"])]
    lines = [line for cell in rest for line in lines_of("".join(cell["source"]))]
    assert len(lines) <= MAX_LINES, lines
    assert all(len(line) <= 120 and ";" not in line for line in lines)


def test_the_comparison_shows_the_quickstart_and_counts_every_block_alike():
    text = (FOLDER.parents[1] / "docs" / "comparison.md").read_text(encoding="utf-8")
    blocks = [lines_of(block) for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    _, *rest = code_cells("quickstart")
    assert blocks[0] == [line for cell in rest for line in lines_of("".join(cell["source"]))]
    counts = re.search(r"^\| Lines of code \| (\d+) \| (\d+) \| (\d+) \|", text, re.MULTILINE).groups()
    assert [len(block) for block in blocks[:3]] == [int(count) for count in counts]


@pytest.mark.slow
def test_the_quickstart_runs(run, tmp_path):
    names, _ = run("quickstart")
    result, read = names["run"], names["read"]
    assert result.history["loss"].iloc[-1] < result.history["loss"].iloc[0]
    assert result.metrics["test_hr@10"] > 3 * 10 / names["data"].manifest.num_items
    new = {item.decode() for item in names["answer"]["items"].numpy()[0]}
    assert new & {"article-14", "article-15", "article-16"} and not new & set(read)
    assert new == set(result.recommend(histories=[read], k=5)["item"])
    assert (tmp_path / names["folder"] / "saved_model.pb").exists()


@pytest.mark.slow
def test_own_items_and_behaviours_run(run):
    names, _ = run("own_items_and_behaviours")
    metrics = names["atrank"].metrics
    for kind in ("product", "coupon"):
        assert metrics[f"test_auc_{kind}"] > max(0.75, metrics[f"popularity_auc_{kind}"])
    kind_of = names["objects"].set_index("object")["kind"]
    for kind, table in names["lists"].items():
        assert len(table) == 3 and set(table["item"].map(kind_of)) == {kind}
    assert names["atrank"].config["preset"] == "multi"
    with_attributes, without = (names["runs"][name].metrics["test_hr@10"] for name in ("with attributes", "without"))
    assert with_attributes > 1.2 * without
    sold = names["dif_sr"].recommend(histories=[names["history"]], k=5, allowed=list(names["on_sale"])[:20])
    assert set(sold["item"]) <= set(names["on_sale"])


@pytest.mark.slow
def test_reproduce_a_row_runs_on_the_sample(run):
    names, pictures = run("reproduce_a_row")
    assert pictures == 1 and not names["full"]
    table = names["table"]
    assert list(table.index) == ["AttRec", "popularity", "transitions", "low", "high"]
    assert (table.loc["low"] <= table.loc["AttRec"]).all() and (table.loc["AttRec"] <= table.loc["high"]).all()
    assert table.loc["AttRec", "mrr"] > table.loc["popularity", "mrr"]
    assert names["run"].config["train"]["retrain"] is True


@pytest.mark.slow
def test_look_inside_shows_the_rule(run):
    names, pictures = run("look_inside")
    assert pictures == 4
    history, result = names["history"], names["run"]
    assert set(result.recommend(histories=[history], k=2)["item"]) == {"A04", "B03"}
    sums = names["weights"].groupby(["head", "query_position"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert names["found"]["A04"].idxmax() == history.index("A03")
    for item, last in (("A04", "A03"), ("B03", "B02")):
        table = result.contributions(item, history).set_index("item")["contribution"]
        assert table.idxmax() == last and table[last] > 0
