"""Names of a package that are imported when they are first used, so that importing the package itself is quick."""

import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any


def attributes(
    package: str, places: Mapping[str, str], packages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package whose names are in modules below it.

    Args:
        package: str, the package's `__name__`.
        places: dict of name to the module below `package` that defines it, `model` or `attrec.model`.
        packages: names of packages below `package` that are offered too.

    Returns:
        `(__getattr__, __dir__)`, to be assigned in the package's `__init__.py`.

    Example:
        >>> find, names = attributes("tfrecs", {"InputError": "errors"})
        >>> find("InputError").__module__, names()
        ('tfrecs.errors', ['InputError'])
    """

    def find(name: str) -> Any:
        if name in packages:
            return importlib.import_module(f"{package}.{name}")
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{places[name]}"), name)

    return find, lambda: sorted([*places, *packages])
