"""The arguments of a model, read from the text of its folder: to list them imports no TensorFlow.

The constructor's signature has the defaults, the docstrings' `Args:` the descriptions; in `arguments.py`, `ACCEPTED`
has the ranges and choices, and `WITHOUT_EFFECT` says which arguments others leave unread.
"""

import ast
import functools
import re
from pathlib import Path
from typing import Any

from tfrecs.models import MODELS

ROOT = Path(__file__).parents[2]
BASE = "tfrecs.models.recommender"


def defaults(model: str) -> dict[str, Any]:
    """The constructor arguments that a user chooses, with their defaults; sizes of the data have none.

    Args:
        model: str, a key of `models.MODELS`.

    Returns:
        dict of name to default, in the order of the signature.

    Example:
        >>> defaults("attrec")["max_history"]
        5
    """
    module = f"tfrecs.models.{model}.model"
    functions = [node for node in _class(module).body if isinstance(node, ast.FunctionDef)]
    arguments = next(node for node in functions if node.name == "__init__").args
    names = [argument.arg for argument in arguments.args][-len(arguments.defaults) :]
    values = _Names(module)
    return {name: values.value(node) for name, node in zip(names, arguments.defaults)}


def sizes(model: str) -> list[str]:
    """The constructor arguments that the data decides: those without a default.

    Args:
        model: str, a key of `models.MODELS`.

    Example:
        >>> sizes("attrec")
        ['num_users', 'num_items']
    """
    arguments = _constructor(model)
    return [argument.arg for argument in arguments.args[1 : len(arguments.args) - len(arguments.defaults)]]


def owners(name: str) -> list[str]:
    """The models that have a constructor argument of this name.

    Args:
        name: str.

    Returns:
        list of str, keys of `models.MODELS`.

    Example:
        >>> owners("region_size")
        ['arerec']
    """
    return [model for model in MODELS if name in defaults(model)]


def docstrings(model: str) -> tuple[str | None, ...]:
    """The docstrings that describe the arguments: the class's, the base's, and those that the class's points to.

    Args:
        model: str, a key of `models.MODELS`.

    Returns:
        tuple of str.
    """
    module = f"tfrecs.models.{model}.model"
    own, base = (ast.get_docstring(_class(name)) for name in (module, BASE))
    wanted = {name.rpartition(".")[2] for name in re.findall(r"see `([\w.]+)`", own or "")}
    imported = [node.module for node in _tree(module).body if isinstance(node, ast.ImportFrom) and node.module]
    nodes = [node for name in imported if _path(name).exists() for node in _tree(name).body]
    return (
        own,
        base,
        *(
            ast.get_docstring(node)
            for node in nodes
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in wanted
        ),
    )


def choices(model: str) -> dict[str, tuple[str, ...]]:
    """The arguments that take one of a few texts.

    Args:
        model: str, a key of `models.MODELS`.

    Returns:
        dict of name to tuple of str.

    Example:
        >>> choices("attrec")["diagonal"]
        ('masked', 'zeroed')
    """
    accepted = _Names(f"tfrecs.models.{model}.arguments")["ACCEPTED"]
    named = {name: rule for name, rule in accepted.items() if isinstance(rule, tuple)}
    return {name: tuple(choice for choice in rule if choice is not None) for name, rule in named.items()}


def without_effect(model: str) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """What `ranges.unread` takes, of a model.

    Args:
        model: str, a key of `models.MODELS`.

    Returns:
        dict of argument to `(other, values)`.

    Example:
        >>> without_effect("sasrec")["num_negatives"]
        ('item_loss', ('ce', 'bce'))
    """
    return _Names(f"tfrecs.models.{model}.arguments")["WITHOUT_EFFECT"]


def _constructor(model: str) -> ast.arguments:
    nodes = _class(f"tfrecs.models.{model}.model").body
    return next(node.args for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "__init__")


def _class(module: str) -> ast.ClassDef:
    return next(node for node in _tree(module).body if isinstance(node, ast.ClassDef))


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _path(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class _Names(dict[str, Any]):
    """The constants of a module by name, found where they are assigned or imported from."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self._module = module

    def value(self, node: ast.expr) -> Any:
        """The value of an expression of literals, constants and calls of `dict` and `tuple`."""
        builtins = {"__builtins__": {"dict": dict, "tuple": tuple, "range": range}}
        return eval(compile(ast.Expression(node), self._module, "eval"), builtins, self)

    def __missing__(self, name: str) -> Any:
        for node in _tree(self._module).body:
            if isinstance(node, ast.Assign):
                targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
                names = [getattr(target, "id", None) for target in targets]
                if name in names:
                    found = self.value(node.value)
                    return found if len(names) == 1 else found[names.index(name)]
            elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", None) == name and node.value:
                return self.value(node.value)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        whole = f"{node.module}.{alias.name}"
                        return _Module(whole) if _path(whole).exists() else _Names(node.module)[alias.name]
        raise KeyError(name)


class _Module:
    """A module whose constants are read as its attributes."""

    def __init__(self, module: str) -> None:
        self._names = _Names(module)

    def __getattr__(self, name: str) -> Any:
        return self._names[name]
