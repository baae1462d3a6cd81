"""What setup.py asks for is used: an import behind every required package, and behind every extra."""

import ast
import importlib.metadata
import json
import re
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[1]
# Where the name that is installed is not the name that is imported.
MODULES = {"scikit-learn": "sklearn", "tensorflow-datasets": "tensorflow_datasets"}


@pytest.fixture(scope="module")
def declared():
    """The arguments of setup.py's `setup`."""
    with mock.patch("setuptools.setup") as setup:
        code = compile((ROOT / "setup.py").read_text(encoding="utf-8"), "setup.py", "exec")
        exec(code, {"__file__": str(ROOT / "setup.py"), "__name__": "setup"})
    return setup.call_args.kwargs


def names(requirements):
    """The packages that requirements name, without versions, extras and markers."""
    return sorted({re.match(r"[A-Za-z0-9._-]+", text)[0].lower() for text in requirements})


def imported(*folders):
    """The top-level modules that the Python files and notebooks of folders import, in functions too."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            found |= imports_of(path.read_text(encoding="utf-8"))
        for path in (ROOT / folder).rglob("*.ipynb"):
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            for cell in cells:
                if cell["cell_type"] == "code":
                    found |= imports_of("".join(cell["source"]))
    return found


def imports_of(text):
    modules = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
            modules.add(node.args[0].value)
    return {module.partition(".")[0] for module in modules}


def module_of(package):
    return MODULES.get(package, package.replace("-", "_"))


def test_every_required_package_is_imported(declared):
    used = imported("tfrecs", "data_prep")
    assert [name for name in names(declared["install_requires"]) if module_of(name) not in used] == []


def test_every_third_party_import_is_required(declared):
    required = {module_of(name) for name in names(declared["install_requires"])}
    installed = importlib.metadata.packages_distributions()
    third_party = {name for name in imported("tfrecs", "data_prep") if name in installed}
    assert third_party - required - {"tfrecs", "data_prep"} == set()


def test_every_extra_has_an_import_behind_it(declared):
    used = imported("tfrecs", "data_prep", "examples", "benchmarks", "tests")
    for extra, requirements in declared["extras_require"].items():
        assert {module_of(name) for name in names(requirements)} & used, extra


def test_documents_name_the_extras_there_are(declared):
    line = re.search(r"^Extras: (.*?), as in", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert re.findall(r"`(\w+)`", line) == list(declared["extras_require"])


def test_requirements_pin_what_setup_asks_for(declared):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = set(names(line for line in lines if line and not line.startswith("#")))
    wanted = {*names(declared["install_requires"]), *names(declared["extras_require"]["dev"])}
    assert wanted - pinned == set()
    assert pinned - wanted <= {"tensorflow-cpu", "etils"}  # the CPU build, and what keeps pip from searching
