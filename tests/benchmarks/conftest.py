import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def program():
    """`f(name) -> module`: a program of `benchmarks/`, imported as when it is run."""
    made = {}

    def load(name):
        if name not in made:
            spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
            made[name] = importlib.util.module_from_spec(spec)
            sys.path.insert(0, str(BENCHMARKS))
            try:
                spec.loader.exec_module(made[name])
            finally:
                sys.path.remove(str(BENCHMARKS))
        return made[name]

    return load


@pytest.fixture
def raw_dir(tmp_path):
    """A directory with a tiny `u.data`: 12 users with 12 of 30 items each; odd users have tied last seconds."""
    random = np.random.default_rng(0)
    lines = []
    for user in range(1, 13):
        for place, item in enumerate(random.permutation(30)[:12] + 1):
            second = 1000 + (10 if user % 2 and place == 11 else place)
            lines.append(f"{user}\t{item}\t{random.integers(1, 6)}\t{second}\n")
    path = tmp_path / "raw"
    path.mkdir()
    (path / "u.data").write_text("".join(lines))
    return path
