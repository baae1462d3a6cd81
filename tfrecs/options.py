"""How an argument becomes a flag: its type from its default, its help from the docstring."""

import argparse
import inspect
import re


def documented(*owners):
    """What the `Args:` sections of class docstrings say of each argument; base classes fill in `see ...`.

    Example:
        >>> from tfrecs.runs.config import TrainConfig
        >>> documented(TrainConfig)["strategy"]
        '`auto` (all GPUs), `none` (one device) or `mirrored` (all GPUs, else all logical CPUs)'
    """
    texts = {}
    for base in (base for owner in owners for base in owner.__mro__[:2]):
        section = re.search(r"Args:\n(.*?)(\n\n|\Z)", inspect.cleandoc(base.__doc__ or ""), re.S)
        for entry in re.split(r"\n    (?=\S)", "\n" + section[1] if section else "")[1:]:
            names, _, text = entry.partition(":")
            text = re.sub(r"^(int|float|str|bool|dict|tuple)(, |\. (?=NOTE))", "", " ".join(text.split())).rstrip(".")
            for name in names.split(", "):
                if name not in texts or texts[name].startswith("see "):
                    texts[name] = text
    return texts


def text(text, default):
    """A flag's help: what it is, and its default."""
    return (text if default is None or default == () else f"{text} (default {spelled(default)})").replace("%", "%%")


def spelled(value):
    """A value as one writes it after its flag.

    Example:
        >>> spelled(("brand", "category")), spelled(True), spelled(0.5)
        ('brand,category', '1', '0.5')
    """
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(int(value) if isinstance(value, bool) else value)


def kind(default):
    """What stands for a flag's value in the help."""
    if isinstance(default, bool):
        return "0|1"
    if isinstance(default, tuple):
        return f"{kind(default[0] if default else None)},..."
    return "STR" if default is None else type(default).__name__.upper()


def converter(default):
    """`f(text)`, a value of the type of `default`; raises `argparse.ArgumentTypeError`, echoing the text."""
    wanted = str if default is None else type(default)
    if wanted is tuple:
        entry = converter(default[0] if default else None)
        return lambda text: tuple(entry(part.strip(" '\"")) for part in text.strip().strip("[]").split(","))

    def convert(text):
        if wanted is bool:
            if text in ("0", "1"):
                return text == "1"
            raise argparse.ArgumentTypeError(f"expected 0 or 1, got {text!r}")
        try:
            value = wanted(text)
        except ValueError:
            value = None
        if value is None or value == "":
            noun = {int: "an integer", float: "a number", str: "a name"}[wanted]
            raise argparse.ArgumentTypeError(f"expected {noun}, got {text!r}")
        return value

    return convert
