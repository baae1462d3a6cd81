"""The README and the model cards: papers, published code and data sets have their titles and links."""

import json
import os
import re
from pathlib import Path

import pytest

from tfrecs.command_line.arguments import parse
from tfrecs.evaluation.protocols import PROTOCOLS
from tfrecs.runs import config_file

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CARDS = {path.parent.name.partition("-")[0]: path for path in sorted((ROOT / "checkpoints").glob("*/card.md"))}
# Titles as their publishers print them; identifiers as they are registered.
SOURCES = {
    "attrec": ("Next Item Recommendation with Self-Attention", "arxiv.org/abs/1808.06414", "slientGe/AttRec"),
    "atrank": (
        "ATRank: An Attention-Based User Behavior Modeling Framework for Recommendation",
        "arxiv.org/abs/1711.06632",
        "jinze1994/ATRank",
    ),
    "arerec": (
        "ARERec: Attentive Local Interaction Model for Sequential Recommendation",
        "doi.org/10.1109/ACCESS.2022.3160466",
        "umapornp/ARERec",
    ),
    "dif_sr": (
        "Decoupled Side Information Fusion for Sequential Recommendation",
        "arxiv.org/abs/2204.11046",
        "AIM-SE/DIF-SR",
    ),
    "sasrec": ("Self-Attentive Sequential Recommendation", "arxiv.org/abs/1808.09781", "kang205/SASRec"),
}


def text_of(path):
    """The text of a document, every run of spaces and line ends as one space."""
    return re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("model", SOURCES)
def test_readme_card_and_docstring_name_the_paper_and_link_it_and_its_code(model):
    title, paper, repository = SOURCES[model]
    for path in (README, CARDS[model]):
        text = text_of(path)
        assert f"[*{title}*](https://{paper})" in text, path
        assert f"](https://github.com/{repository})" in text, path
    module = ROOT / "tfrecs" / "models" / model
    docstring = text_of(module / "model.py" if module.is_dir() else module.with_suffix(".py"))
    assert title in docstring
    assert f"https://{paper}" in docstring and f"https://github.com/{repository}" in docstring


@pytest.mark.parametrize("path", [README, *CARDS.values()], ids=lambda path: path.parent.name)
def test_data_sets_and_their_publishers_are_linked_where_they_are_first_named(path):
    text = path.read_text(encoding="utf-8")
    body = "\n".join(line for line in text.splitlines() if not line.startswith(("# ", "[")))
    for name in ("MovieLens", "Amazon", "RecBole", "S3-Rec", "SASRec"):
        first = re.search(rf"(?<![\w`/]){name}(?![\w`])", body)
        if first:
            assert body[: first.start()].endswith("["), f"{path}: {name} is not linked"
    references = set(re.findall(r"\]\[([\w-]+)\]", text))
    definitions = dict(re.findall(r"^\[([\w-]+)\]: (https://\S+)$", text, re.MULTILINE))
    assert references == set(definitions), path


@pytest.mark.parametrize("path", [README, *CARDS.values(), ROOT / "checkpoints" / "README.md"], ids=str)
def test_relative_links_lead_to_files(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path}: {target}"


@pytest.mark.parametrize("path", [README, *CARDS.values()], ids=lambda path: path.parent.name)
def test_figures_say_how_equal_timestamps_are_ordered(path):
    """Which item is held out depends on it; a line per user, Amazon's format here, is an order of its own."""
    text = text_of(path)
    assert "equal timestamps in" in text or "the order of each line" in text


def test_the_readme_says_what_the_order_of_ties_does_once():
    """Popularity's HR@50 on MovieLens 100K, as benchmarks/ties.py measures it."""
    text = text_of(README)
    assert text.count("415 of 943") == 1 and "from .1919 to .2163" in text and "benchmarks/ties.py" in text


def test_make_run_overwrites_no_run_but_its_own():
    """The default directory may hold a run of the user's, trained by the command that the README gives."""
    (command,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "--overwrite 1" in line]
    assert "--run_dir runs/quickstart " in command


@pytest.mark.parametrize("path", sorted(ROOT.glob("checkpoints/*/config.json")), ids=lambda path: path.parent.name)
def test_configurations_next_to_cards_are_accepted_and_say_what_their_protocol_does(path):
    config = config_file.read(str(path))
    metrics = json.loads((path.parent / "metrics.json").read_text(encoding="utf-8"))
    for name in ("model", "preset", "dataset"):
        assert config[name] == metrics[name]
    for name in ("protocol", "seed", "exclude_seen"):
        assert config["train"][name] == metrics[name]
    assert PROTOCOLS[metrics["protocol"]].exclude_seen in (None, metrics["exclude_seen"])
    recipe = parse(["--config", str(path), "--data_dir", "data"]).recipe
    assert recipe.model == config["model"] and recipe.config.epochs == config["train"]["epochs"]
    assert not os.path.isabs(config["data_dir"])
