"""A room for every model: one anatomy, nothing of a model elsewhere, and few files to open."""

import ast

import pytest

from tests.test_layering import ROOT, imports_of, modules_of, part_of

ANATOMY = {"__init__.py", "arguments.py", "data.py", "model.py", "presets.py"}
MAX_FILES, MAX_FOLDERS = 12, 3
ROOMS = sorted(path.parent.name for path in (ROOT / "tfrecs" / "models").glob("*/model.py"))


def _room(name):
    """The model whose folder contains a module, or None."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["tfrecs", "models"] and len(parts) > 2 and parts[2] in ROOMS else None


@pytest.fixture(scope="module")
def imports():
    """Module to the modules of the repository that it imports, of all of tfrecs."""
    modules = modules_of(ROOT)
    return {
        name: imports_of(ast.parse(path.read_text(encoding="utf-8")), name, path.name == "__init__.py", modules)
        for name, path in modules.items()
        if name.split(".")[0] == "tfrecs"
    }


@pytest.mark.parametrize("room", ROOMS)
def test_every_model_has_one_anatomy(room, imports):
    """`grep "self.encoder ="` finds each layer where the constructor makes it."""
    files = {path.name: path for path in (ROOT / "tfrecs" / "models" / room).glob("*.py")}
    assert ANATOMY <= set(files) and len(files) <= MAX_FILES
    assert not [name for name, path in files.items() if "setattr(" in path.read_text(encoding="utf-8")]
    for name in imports:
        if _room(name) == room:
            assert not [target for target in imports[name] if _room(target) not in (None, room)], name


@pytest.mark.parametrize("room", ROOMS)
def test_reading_a_model_takes_few_files(room, imports):
    """From `model.py`: its folder, shared layers and losses; the base class, which every model shares, is read once."""
    opened, waiting = set(), [f"tfrecs.models.{room}.model"]
    while waiting:
        name = waiting.pop()
        if name not in opened and (_room(name) == room or part_of(name) in ("layers", "losses")):
            opened.add(name)
            waiting += imports[name] & set(imports)
    assert len(opened) <= MAX_FILES and len({name.rpartition(".")[0] for name in opened}) <= MAX_FOLDERS, opened


def test_what_is_one_models_is_in_its_folder(imports):
    """Nothing but importers imports from a model's folder, and shared layers and losses serve two models or more."""
    for name, targets in imports.items():
        if _room(name) is None and part_of(name) != "importers":
            assert not [target for target in targets if _room(target)], name
    users = {}
    for name, targets in imports.items():
        for target in targets:
            users.setdefault(target, set()).add(_room(name))
    for name in imports:
        if part_of(name) in ("layers", "losses") and name != "tfrecs.layers":
            assert len(users[name] - {None}) >= 2, f"{name} serves {users[name]}"
