"""JSON files with a checksum, which show that they are as tfrecs wrote them."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tfrecs import files, json_schema
from tfrecs.errors import InputError
from tfrecs.json_schema import below, echo

CHECKSUM = "checksum"
# More than any file that tfrecs writes.
LARGEST_FILE = 16 << 20
DEEPEST = 32
LARGEST_INTEGER = 2**63 - 1


def write(path: str, content: Mapping[str, Any]) -> None:
    """Writes an object with its checksum; the file is replaced in one step.

    Args:
        path: str.
        content: dict of JSON values with text as keys; `checksum` is not one of them.

    Raises:
        InputError: a value that JSON cannot hold (NaN, an infinity, more than 64 bits), or the file cannot be
            written.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "run.json")
        >>> write(path, {"epochs": 3})
        >>> read(path, {"epochs": json_schema.Number(int, 1)}, "a run's configuration")
        {'epochs': 3}
    """
    files.write_text(path, text(path, content))


def text(path: str, content: Mapping[str, Any]) -> str:
    """The text that `write` writes, checksum included; arguments and errors as there."""
    if CHECKSUM in content:
        raise InputError(f"{path}: {CHECKSUM}: the name is taken by the checksum")
    _check_values(path, content)
    return _text({**content, CHECKSUM: _digest(content)})


def read(path: str, schema: Any, what: str, remedy: str = "make it again") -> dict[str, Any]:
    """Reads an object that `write` wrote.

    Args:
        path: str.
        schema: dict of field to schema, as `tfrecs.json_schema` says.
        what: str, what the file holds, for messages, `a run's configuration`.
        remedy: str, how to get a sound file, for messages.

    Returns:
        dict, without the checksum.

    Raises:
        InputError: naming the file, and the field where one is wrong, and echoing the value: it cannot be read, is
            not JSON, has no checksum or another, or does not follow the schema.

    Example:
        >>> read(__file__, {}, "a run's configuration")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: ...json_files.py: not a run's configuration: not JSON: ...
    """
    content = load(path, what, remedy)
    json_schema.check(content, schema, path)
    return content


def load(path: str, what: str, remedy: str = "make it again") -> dict[str, Any]:
    """`read` without a schema: only JSON, its limits and the checksum are checked."""
    raw = _bytes(path, what)
    content = _parse(raw, path, what)
    if CHECKSUM not in content:
        raise InputError(
            f"{path}: it has no checksum, so this version of tfrecs did not write it, or it was edited; {remedy}"
        )
    checksum = content.pop(CHECKSUM)
    # Equal text, and not only equal content: damage to a space or to the last digit of a number shows, too.
    if checksum != _digest(content) or _text(content | {CHECKSUM: checksum}).encode() != raw:
        raise InputError(f"{path}: damaged or edited: its content does not match its checksum; {remedy}")
    return content


def _bytes(path: str, what: str) -> bytes:
    """The content of a file of a size that fits."""
    with files.open_regular(path) as file:
        try:
            content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise InputError(f"{path}: not {what}: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: not {what}: larger than {LARGEST_FILE:,} bytes")
    return content


def _parse(raw: bytes, path: str, what: str) -> dict[str, Any]:
    try:
        decoded = raw.decode("utf-8")
        content = json.loads(decoded, object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {what}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not {what}: not JSON: line {error.lineno}: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{path}: not {what}: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path}: not {what}: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not {what}: expected an object, got {ascii(content)[:80]}")
    _check_values(path, content)
    return content


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"the field {echo(name)} occurs twice")
        content[name] = value
    return content


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"a number of {len(digits)} digits: {digits[:20]}...")
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"not a finite number: {name}")


def _check_values(path: str, content: Mapping[str, Any]) -> None:
    """Refuses what JSON or its readers cannot hold, wherever it stands."""
    found = _problem(content)
    if found:
        field, problem = found
        raise InputError(f"{path}: {field}: {problem}")


def _problem(value: Any, depth: int = 0) -> tuple[str, str] | None:
    """`(field, what is wrong)` of the first wrong value, or None; the field is relative to the value."""
    if isinstance(value, dict | list | tuple):
        if depth > DEEPEST:
            return "", "nested too deeply"
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not (isinstance(key, str) and _is_unicode(key)):
                return "", f"not the name of a field: {ascii(key)[:80]}"
            found = _problem(part, depth + 1)
            if found:
                field, problem = found
                here = below("", key) if isinstance(key, str) else f"[{key}]"
                return here + ("." if field and not field.startswith("[") else "") + field, problem
    elif isinstance(value, str):
        return None if _is_unicode(value) else ("", f"not valid Unicode: {echo(value)}")
    elif isinstance(value, float):
        return None if math.isfinite(value) else ("", f"not a finite number: {value}")
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return "", f"more than 64 bits: {hex(value)[:80]}"
    return None


def _is_unicode(value: str) -> bool:
    """Whether there is no half of a surrogate pair in it, which UTF-8 cannot hold."""
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _digest(content: Mapping[str, Any]) -> str:
    """The sha256 of the content as text, the checksum left out."""
    return "sha256:" + hashlib.sha256(_text(content).encode()).hexdigest()
