"""The quickstart notebook runs from its first cell to its last, and says what is true."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebooks" / "quickstart.ipynb"


@pytest.mark.slow
def test_the_quickstart_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    names = {}
    for number, source in enumerate(code):
        exec(compile(source, f"{NOTEBOOK.name}, code cell {number}", "exec"), names)
    assert names["curve"][-1]["loss"] < names["curve"][0]["loss"]
    assert names["found"]["hr@10"] > 3 * 10 / names["manifest"].num_items
    new = {names["articles"][item - 1] for item in names["items"][1].numpy()}
    assert new & {"article-14", "article-15", "article-16"} and not new & set(names["read"])
    assert (tmp_path / names["folder"] / "saved_model.pb").exists()
