"""Exceptions for bad input (exit code 2), for scores that are NaN or infinite and for too little memory (1).

Also text that is safe to print.
"""

import contextlib
import contextvars
import re
import types
from collections.abc import Iterable, Iterator, Mapping

_on_command_line = contextvars.ContextVar("on_command_line", default=False)
_names: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("names", default=types.MappingProxyType({}))
LONGEST_MESSAGE = 2000
DISK_IS_FULL = "No space left on device"
# What TensorFlow says of a tensor, among the lines of code where it was and its device.
ALLOCATED = re.compile(r"(?<=OOM when )allocating tensor with shape\[[\d,]*\](?: and type \w+)?")
LONGEST_VALUE = 300
# Marks that change the direction of the text around them, so that it reads as something else.
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSAFE = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff{DIRECTIONS}]")


class InputError(ValueError):
    """Bad input: the message names the file, line, field or flag and echoes the value.

    Whatever the message echoes is made safe to print, and both a long value and a long message are shortened.

    Example:
        >>> raise InputError("--epochs: expected an integer of at least 1, got 0")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: --epochs: expected an integer of at least 1, got 0
    """

    def __init__(self, message: object = "") -> None:
        text = re.sub(rf"\S{{{LONGEST_VALUE + 1},}}", lambda match: shortened(match[0], LONGEST_VALUE), str(message))
        super().__init__(shortened(shown(text), LONGEST_MESSAGE))


@contextlib.contextmanager
def command_line() -> Iterator[None]:
    """A context, or decorator, within which messages name flags: what a command line does.

    Example:
        >>> with command_line():
        ...     option("num_heads")
        '--num_heads'
    """
    token = _on_command_line.set(True)
    try:
        yield
    finally:
        _on_command_line.reset(token)


@contextlib.contextmanager
def naming(**names: str) -> Iterator[None]:
    """A context in which messages use the caller's names for options.

    Args:
        **names: the caller's name for an option, by the option's own.

    Example:
        >>> with naming(user_column="user"):
        ...     option("user_column")
        'user'
    """
    token = _names.set({**_names.get(), **names})
    try:
        yield
    finally:
        _names.reset(token)


def option(name: str, argument: str | None = None) -> str:
    """What a message calls an option: the argument from Python, the flag from a command line.

    Args:
        name: str, the flag without `--`; a value may follow it, `overwrite 1`.
        argument: str, the argument's name where it is another.

    Example:
        >>> option("num_heads"), option("negative_sampling", "distribution")
        ('num_heads', 'distribution')
    """
    on_command_line, names = _on_command_line.get(), _names.get()
    called = names.get(name, name if on_command_line else argument or name)
    return flag(called) if on_command_line else called


def flag(name: str) -> str:
    """An option's name as a command line has it: `--name`."""
    return f"--{name}"


def shown(value: object) -> str:
    r"""Text in which nothing steers a terminal: control characters and marks of direction are escaped, line ends too.

    Args:
        value: text, or what `str` makes text of.

    Returns:
        str.

    Example:
        >>> shown("caf\u00e9 \x1b[2J\u202e")
        'café \\x1b[2J\\u202e'
    """
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), str(value))


def shown_lines(text: object) -> str:
    """`shown` for text of several lines: its line ends stay."""
    return "\n".join(map(shown, str(text).split("\n")))


def shortened(text: str, length: int) -> str:
    """A text of at most `length` characters: a longer one loses its middle.

    Example:
        >>> shortened("abc" * 30, 40)
        'abcabcabca... 76 characters ...cabc'
    """
    if len(text) <= length:
        return text
    gap = f"... {len(text) - length} characters ..."
    kept = length - len(gap) - 5
    gap = f"... {len(text) - kept} characters ..."
    return text[: kept - kept // 3] + gap + text[len(text) - kept // 3 :]


class NotFiniteError(ArithmeticError):
    """A loss, weights or scores are NaN or infinite; the message says of which model, and where.

    Example:
        >>> raise NotFiniteError("AttRec: NaN or infinite scores for 3 of 8 test users")
        Traceback (most recent call last):
        ...
        tfrecs.errors.NotFiniteError: AttRec: NaN or infinite scores for 3 of 8 test users
    """


class OutOfMemoryError(MemoryError):
    """What is asked for does not fit into memory; the message says what was to be allocated."""


@contextlib.contextmanager
def naming_memory() -> Iterator[None]:
    """A context that what runs out of memory, of Python, NumPy or TensorFlow, leaves with `OutOfMemoryError`.

    Example:
        >>> with naming_memory():
        ...     raise MemoryError("Unable to allocate 7.4 GiB for an array")
        Traceback (most recent call last):
        ...
        tfrecs.errors.OutOfMemoryError: not enough memory: Unable to allocate 7.4 GiB for an array
    """
    try:
        yield
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        found = ALLOCATED.search(str(error))
        text = found[0] if found else str(error).partition("\n")[0]
        what = f": {shown(shortened(text, LONGEST_VALUE))}" if text else ""
        raise OutOfMemoryError(f"not enough memory{what}") from None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it says so; TensorFlow's class, which need not be imported here, stands for a full disk, too."""
    of_tensorflow = any(kind.__name__ == "ResourceExhaustedError" for kind in type(error).__mro__)
    return isinstance(error, MemoryError) or of_tensorflow and DISK_IS_FULL not in str(error)


def nearest(word: object, choices: Iterable[object]) -> str:
    """A hint naming the valid choice nearest to ``word``, or all of them when none is near.

    Args:
        word: the unknown name, as the user gave it.
        choices: iterable of valid names.

    Returns:
        A sentence fragment for the end of an error message.

    Example:
        >>> nearest("atrec", ["atrank", "attrec"])
        "did you mean 'attrec'?"
    """
    import difflib

    names = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "choose from " + ", ".join(sorted(names))
