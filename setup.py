"""Packaging: `pip install .` brings TensorFlow for the CPU, `pip install .[gpu]` the CUDA libraries too."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# Read, not imported: importing the package would need its dependencies before they are installed.
VERSION = re.search(
    r'^__version__ = "([^"]+)"$', (ROOT / "tfrecs/__init__.py").read_text(encoding="utf-8"), re.M
).group(1)

# The CUDA libraries are published for Linux only.
LINUX_X86 = 'sys_platform == "linux" and platform_machine == "x86_64"'


def long_description():
    """The README without its links to files, which lead nowhere outside the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"!?\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


setup(
    name="tfrecs",
    version=VERSION,
    description="A Keras 3 zoo of attention-based sequential recommenders",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=["recommender systems", "sequential recommendation", "self-attention", "Keras", "TensorFlow"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["tfrecs", "tfrecs.*", "data_prep", "data_prep.*"]),
    package_data={"tfrecs": ["py.typed", "__init__.pyi"], "tfrecs.models": ["__init__.pyi"], "data_prep": ["py.typed"]},
    entry_points={"console_scripts": ["tfrecs = tfrecs.__main__:main"]},
    # TensorFlow 2.21 has builds for these.
    python_requires=">=3.10,<3.14",
    install_requires=[
        "tensorflow>=2.21,<2.22",
        # The tested ones: 3.12 is the last for Python 3.10. Exact resume reads the seed generators'
        # variables by name, so widen the bound only after the tests pass on the next minor version.
        "keras>=3.12,<3.16",
        "numpy>=2.0",
        "duckdb>=1.1",
        "pandas>=2.2",
        "pyarrow>=16",
        "matplotlib>=3.9",
        "tensorflow-datasets>=4.9.8",
    ],
    extras_require={
        "gpu": [f"tensorflow[and-cuda]>=2.21,<2.22; {LINUX_X86}"],
        "notebooks": ["ipykernel>=6.29", "jupyter>=1.1", "nbclient>=0.10", "pandas>=2.2"],
        "tensorboard": ["tensorboard>=2.20"],  # for keras.callbacks.TensorBoard, and to look at what runs write
        # scikit-learn is an oracle that tests compare with; the package does not import it.
        "dev": [
            "hypothesis>=6.100",
            "mypy>=2.4",
            "pytest>=8.2",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.9",
            "scikit-learn>=1.5",
            "tensorboard>=2.20",
        ],
    },
)
