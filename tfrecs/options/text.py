"""Values as text: how one writes a value after its flag, and how such text is read."""

from typing import Any

from tfrecs.errors import InputError, option

NOUNS = {int: "an integer", float: "a number", str: "a name", bool: "0 or 1"}


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def spelled(value: object) -> str:
    """A value as one writes it after its flag.

    Example:
        >>> spelled(("brand", "category")), spelled(True), spelled(0.5)
        ('brand,category', '1', '0.5')
        >>> spelled("\\t")
        "'\\\\t'"
    """
    if isinstance(value, str) and not value.strip():
        return repr(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(int(value) if isinstance(value, bool) else value)


def read(name: str, text: str, wanted: type | tuple[Any, ...]) -> Any:
    """The text after a flag as a value.

    Args:
        name: str, the flag, for messages.
        text: str.
        wanted: `int`, `float`, `str` or `bool`; or a tuple, whose first entry has the type of all.

    Returns:
        the value.

    Raises:
        InputError: naming the flag and echoing the text.

    Example:
        >>> read("sizes", "[3, 4]", (1, 2)), read("do_train", "1", bool)
        ((3, 4), True)
    """
    if isinstance(wanted, tuple):
        entry = type(wanted[0]) if wanted else str
        return tuple(read(name, part.strip(" '\""), entry) for part in text.strip().strip("[]").split(","))
    if wanted is bool and text in ("0", "1"):
        return text == "1"
    try:
        value = "" if wanted is bool else wanted(text)
    except ValueError:
        value = ""
    if value == "" or not is_unicode(text):
        noun = NOUNS[wanted] if is_unicode(text) else "text in UTF-8"
        raise InputError(f"{option(name)}: expected {noun}, got {text!r}")
    return value
