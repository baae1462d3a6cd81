"""The package as pip installs it: what is in the wheel, and the commands of the README in an empty folder."""

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("tfrecs", "data_prep", "tests", "setup.py", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.slow


def pip(*arguments):
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the sources, so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    pip("wheel", *options, "--wheel-dir", folder / "dist", folder)
    (path,) = (folder / "dist").glob("tfrecs-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The `bin` of a fresh virtual environment with the wheel, which takes other packages from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip("--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", "--ignore-installed", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others) + "\n")
    return folder / "bin"


def test_the_wheel_has_both_packages_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert {
        "tfrecs/py.typed",
        "tfrecs/__init__.pyi",
        "tfrecs/models/__init__.pyi",
        "data_prep/prepare.py",
        "data_prep/sources/amazon.py",
    } <= names
    sources = {path.relative_to(ROOT).as_posix() for name in SOURCES[:2] for path in (ROOT / name).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources


def test_the_long_description_has_no_relative_link(wheel):
    with zipfile.ZipFile(wheel) as file:
        (path,) = [name for name in file.namelist() if name.endswith("/METADATA")]
        text = email.message_from_bytes(file.read(path)).get_payload()
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert len(targets) > 9 and all(target.startswith("https://") for target in targets)
    definitions = dict(re.findall(r"^\[([\w-]+)\]: (https://\S+)$", text, re.M))
    assert set(re.findall(r"\]\[([\w-]+)\]", text)) == set(definitions)


def test_the_commands_work_in_an_empty_folder(environment, tmp_path):
    def tfrecs(*arguments):
        variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        variables.pop("TF_CPP_MIN_LOG_LEVEL", None)
        done = subprocess.run(
            [environment / "tfrecs", *arguments], cwd=tmp_path, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert not re.search("absl|oneDNN|cuda|Traceback", done.stderr), done.stderr
        return done.stdout

    where = subprocess.run(
        [environment / "python", "-c", "import tfrecs, data_prep; print(tfrecs.__file__, data_prep.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert where.stdout.count(str(environment.parent)) == 2
    assert "run directory: runs/attrec-recommended-sample" in tfrecs("train", "--model", "attrec", "--epochs", "1")
    assert tfrecs("recommend", "--k", "3", "--out", "lists.csv") == "lists.csv: 4,500 rows\n"
    assert pd.read_csv(tmp_path / "lists.csv").groupby("user")["item"].nunique().eq(3).all()
    assert tfrecs("export") == "exported to export/attrec-recommended-sample/1\n"
    assert (tmp_path / "export" / "attrec-recommended-sample" / "1" / "saved_model.pb").exists()
    assert sorted(os.listdir(tmp_path)) == ["data", "export", "lists.csv", "runs"]
