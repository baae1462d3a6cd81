"""The architecture as a test: the import order, read off the AST of every module."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tfrecs", "data_prep", "examples", "benchmarks", "tests")
MAX_LINES = 300

# Low to high. A part imports itself and lower parts; parts of one rank are strangers. The root
# (`tfrecs/__init__.py`, the version) lies under everything, so it imports nothing of the package.
RANKS = {
    "lazy": -1,
    "": 0,
    "errors": 1,
    "startup": 1,
    "arguments": 2,
    "files": 2,
    "json_schema": 2,
    "options": 2,
    "progress": 2,
    "staging": 2,
    "json_files": 3,
    "data": 4,
    "layers": 4,
    "losses": 4,
    "metrics": 4,
    "optimizers": 4,
    "models": 5,
    "evaluation": 6,
    "serving": 6,
    "runs": 7,
    "training": 8,
    "importers": 9,
    "api": 10,
    "command_line": 11,
    "__main__": 12,
}
OPEN_TO_DATA_PREP = {
    "tfrecs",
    "tfrecs.arguments",
    "tfrecs.errors",
    "tfrecs.options",
    "tfrecs.startup",
    "tfrecs.files",
    "tfrecs.progress",
    "tfrecs.staging",
    "tfrecs.data.schema",
    "tfrecs.data.manifest",
    "tfrecs.data.records",
    "tfrecs.data.verification",
}
OPEN_TO_LAYERS = {"keras", "numpy", "tensorflow", "tfrecs", *sys.stdlib_module_names}


def violations(root):
    """Every breach of the layout under `root`, one sentence each.

    Args:
        root: `pathlib.Path`, a directory that holds some of `FOLDERS`.

    Returns:
        list of str, `path: what is wrong`; empty for a sound tree.
    """
    found = []
    modules = modules_of(root)
    for name, path in modules.items():
        where = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > MAX_LINES:
            found.append(f"{where}: {lines} lines, at most {MAX_LINES}")
        if "utils" in name.split("."):
            found.append(f"{where}: a module named utils")
        if name.startswith("tfrecs.") and part_of(name) not in RANKS:
            found.append(f"{where}: tfrecs.{part_of(name)} has no place in the import order")
        is_package = path.name == "__init__.py"
        for target in sorted(imports_of(ast.parse(text, where), name, is_package, modules)):
            breach = _breach(name, target)
            if breach:
                found.append(f"{where}: imports {target}; {breach}")
    return found


def modules_of(root):
    """Dotted name to path of every Python file in the folders, and of those beside them."""
    paths = [*root.glob("*.py")]
    for folder in FOLDERS:
        paths.extend((root / folder).rglob("*.py"))
    modules = {}
    for path in sorted(paths):
        parts = path.relative_to(root).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def imports_of(tree, name, is_package, modules):
    """What a module imports, in functions too; `from a import b` is a.b where that is a module."""
    targets = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".")
                package = package[: len(package) - node.level + is_package]
                base = ".".join(package + ([base] if base else []))
            for alias in node.names:
                full = f"{base}.{alias.name}"
                targets.add(full if full in modules else base)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            argument = getattr(node.args[0], "value", None)
            if called in ("import_module", "__import__") and isinstance(argument, str):
                targets.add(argument)
    return targets


def part_of(name):
    """The part of the package a dotted name lies in, "" for the package itself."""
    return (name.split(".") + [""])[1]


def _breach(name, target):
    """Why module `name` must not import `target`, or None."""
    home, source = name.split(".")[0], target.split(".")[0]
    here, there = part_of(name), part_of(target)
    if home == "tfrecs" and here == "layers" and source not in OPEN_TO_LAYERS:
        return "layers know no framework but keras and tensorflow"
    if source in ("examples", "benchmarks", "tests") and home != source:
        return f"nothing imports {source}"
    if source == "tfrecs":
        if there == "command_line" and here != "command_line" and home not in ("examples", "tests"):
            return "only examples and tests import the command line"
        if home == "data_prep" and target not in OPEN_TO_DATA_PREP:
            return f"data_prep knows {', '.join(sorted(OPEN_TO_DATA_PREP))} only"
        if home == "tfrecs" and here != there and here in RANKS:
            if RANKS.get(there, 99) >= RANKS[here]:
                return f"tfrecs.{here} is not above tfrecs.{there}" if here else "the root is lowest"
    if source == "data_prep" and home == "tfrecs" and here not in ("api", "command_line"):
        return "of tfrecs, only api and command_line import data_prep"
    return None


def _write(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


# A sound tree with every kind of import that is allowed.
SOUND = {
    "tfrecs/__init__.py": '__version__ = "0"\n',
    "tfrecs/errors.py": "import difflib\n",
    "tfrecs/files.py": "from tfrecs.errors import InputError\n",
    "tfrecs/data/__init__.py": "",
    "tfrecs/data/schema.py": "import tensorflow as tf\n",
    "tfrecs/data/manifest.py": "from tfrecs import __version__\nfrom tfrecs.data import schema\n",
    "tfrecs/data/windows.py": "from .schema import PAD\nfrom .. import errors\n",
    "tfrecs/layers/__init__.py": "from tfrecs.layers.masks import mask\n",
    "tfrecs/layers/masks.py": "import math\nimport keras\nimport numpy as np\n",
    "tfrecs/models/__init__.py": "",
    "tfrecs/models/recommender.py": "from tfrecs.data import windows\nfrom tfrecs.layers import mask\n",
    "tfrecs/training/__init__.py": "",
    "tfrecs/runs/directory.py": "from tfrecs import files, models\n",
    "tfrecs/command_line/__init__.py": "",
    "tfrecs/command_line/arguments.py": "from tfrecs.runs import directory\n",
    "tfrecs/command_line/run.py": "from tfrecs.command_line import arguments\ndef main():\n    import data_prep\n",
    "data_prep/__init__.py": "",
    "data_prep/prepare.py": "import tfrecs\nfrom tfrecs.data import manifest, schema\n",
    "examples/run.py": "from tfrecs.command_line.run import main\n",
    "tests/test_cli.py": "import tfrecs.command_line.run\nfrom data_prep import prepare\n",
}

VIOLATIONS = [
    # file, its text, how the one sentence goes on
    (
        "tfrecs/__init__.py",
        "from tfrecs.models import recommender",
        "imports tfrecs.models.recommender; the root",
    ),
    (
        "tfrecs/errors.py",
        "import tfrecs.data.schema",
        "imports tfrecs.data.schema; tfrecs.errors is",
    ),
    (
        "tfrecs/files.py",
        "from tfrecs import data",
        "imports tfrecs.data; tfrecs.files is",
    ),
    (
        "tfrecs/runs/directory.py",
        "from tfrecs.training import loop",
        "imports tfrecs.training; tfrecs.runs is",
    ),
    (
        "tfrecs/data/windows.py",
        "from tfrecs import layers",
        "imports tfrecs.layers; tfrecs.data is",
    ),
    ("tfrecs/data/windows.py", "from ..layers.masks import mask", "imports tfrecs.layers.masks"),
    ("tfrecs/data/__init__.py", "from .. import command_line", "imports tfrecs.command_line; only examples"),
    ("tfrecs/losses.py", "import tfrecs.metrics", "imports tfrecs.metrics; tfrecs.losses is"),
    (
        "tfrecs/layers/masks.py",
        "def f():\n    from tfrecs.data import schema",
        "imports tfrecs.data",
    ),
    ("tfrecs/layers/masks.py", "from torch import nn", "imports torch; layers know"),
    (
        "tfrecs/models/recommender.py",
        "import tfrecs.training.loop",
        "imports tfrecs.training.loop; tfrecs.",
    ),
    (
        "tfrecs/serving/export.py",
        "from tfrecs.importers import x",
        "imports tfrecs.importers; tfrecs.serving",
    ),
    ("tfrecs/serving/export.py", "import tfrecs.nowhere", "imports tfrecs.nowhere; tfrecs.serving is"),
    ("tfrecs/training/loop.py", "import data_prep", "imports data_prep; of tfrecs, only api"),
    (
        "tfrecs/training/loop.py",
        "import_module('tfrecs.command_line.run')",
        "imports tfrecs.command_line.run; only examples",
    ),
    ("tfrecs/training/loop.py", "from tests import x", "imports tests; nothing imports tests"),
    ("tfrecs/zoo.py", "", "tfrecs.zoo has no place in the import order"),
    (
        "data_prep/prepare.py",
        "from tfrecs.data import windows",
        "imports tfrecs.data.windows; data",
    ),
    (
        "data_prep/prepare.py",
        "from tfrecs.data import Shard",
        "imports tfrecs.data; data_prep knows",
    ),
    (
        "data_prep/prepare.py",
        "from tfrecs.command_line.run import main",
        "imports tfrecs.command_line.run; only examples",
    ),
    ("benchmarks/run.py", "from tfrecs import command_line", "imports tfrecs.command_line; only examples"),
    ("data_prep/utils.py", "", "a module named utils"),
    ("tests/utils/tmp.py", "", "a module named utils"),
    ("setup.py", "x = 1\n" * 301, "301 lines, at most 300"),
]


def test_the_repository_keeps_the_layout():
    modules = modules_of(ROOT)
    assert {"tfrecs", "tfrecs.errors", "tfrecs.data.schema", "tests.test_layering"} <= set(modules)
    assert violations(ROOT) == []


def test_contributing_states_this_order():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    stated = text.partition("low to high: ")[2].partition(". ")[0].split(" < ")
    parts = {name: rank for name, rank in RANKS.items() if name not in ("lazy", "", "__main__")}
    ranks = [sorted(name for name in parts if parts[name] == rank) for rank in sorted(set(parts.values()))]
    assert [sorted(group.split(" | ")) for group in stated] == ranks
    names = re.findall(r"`tfrecs\.(?:(\w+)\.)?\{([\w,]+)\}`", text)
    stated = {
        f"tfrecs.{part}.{name}" if part else f"tfrecs.{name}" for part, group in names for name in group.split(",")
    }
    assert stated == OPEN_TO_DATA_PREP - {"tfrecs"}


def test_a_sound_tree_has_no_violations(tmp_path):
    _write(tmp_path, SOUND)
    assert violations(tmp_path) == []


@pytest.mark.parametrize("path, text, sentence", VIOLATIONS)
def test_each_violation_is_reported_once(tmp_path, path, text, sentence):
    _write(tmp_path, SOUND | {path: text})
    found = violations(tmp_path)
    assert len(found) == 1, found
    assert found[0].startswith(f"{path}: {sentence}")
