"""What a JSON value may be: a schema, and the check of a value against it.

| schema                     | value                                                         |
|----------------------------|---------------------------------------------------------------|
| `int`, `bool`, `str`       | of that type; a bool is no integer                            |
| `float`                    | a finite number, whole or not                                 |
| `None`                     | null                                                          |
| `Number(int, 1, 9)`        | a number in that range                                        |
| `Text("a|b")`              | text that the whole of the pattern matches                    |
| `[schema]`                 | a list of such values                                         |
| `{"name": schema, ...}`    | an object with these fields and no others                     |
| `{"name": Optional(...)}`  | a field that may be absent                                    |
| `Mapping(schema, keys)`    | an object with any fields, or those that a pattern matches    |
| `(schema, schema, ...)`    | one of these; `(int, None)` is an integer or null             |
| `ANY`                      | any JSON value                                                |
"""

import dataclasses
import json
import re
from typing import Any

from tfrecs.errors import InputError

LONGEST_ECHO = 80


@dataclasses.dataclass(frozen=True)
class Number:
    """A number of a type, `int` or `float`, in a range that includes its ends."""

    type: type
    minimum: float | None = None
    maximum: float | None = None


@dataclasses.dataclass(frozen=True)
class Text:
    """Text that a regular expression matches from its first to its last character."""

    pattern: str


@dataclasses.dataclass(frozen=True)
class Optional:
    """A field of an object that may be absent."""

    schema: object


@dataclasses.dataclass(frozen=True)
class Mapping:
    """An object with any field names, or with those that the regular expression `keys` matches."""

    schema: object
    keys: str | None = None


ANY = object()
NOUNS = {int: "an integer", float: "a number", bool: "true or false", str: "text", None: "null", ANY: "any value"}


def check(value: Any, schema: Any, path: str, field: str = "") -> None:
    """Checks a JSON value against a schema.

    Args:
        value: what `json.loads` returned.
        schema: as the table in this module's docstring says.
        path: str, the file, for messages.
        field: str, where the value stands in the file, for messages.

    Raises:
        InputError: naming file and field and echoing the value.

    Example:
        >>> check({"size": [1, -2]}, {"size": [Number(int, 0)]}, "a.json")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: a.json: size[1]: expected an integer of at least 0, got -2
    """
    for alternative in schema if isinstance(schema, tuple) else (schema,):
        if _is_of(value, alternative):
            _check_parts(value, alternative, path, field)
            return
    where = f"{path}: {field}: " if field else f"{path}: "
    raise InputError(f"{where}expected {_description(schema)}, got {echo(value)}")


def echo(value: Any) -> str:
    """A JSON value for a message: on one line, in ASCII, of bounded length.

    Example:
        >>> echo("x" * 1000) == "'" + "x" * 79 + "..."
        True
    """
    text = ascii(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_ECHO else text[:LONGEST_ECHO] + "..."


def below(field: str, name: str) -> str:
    """Where a field of an object stands: `split.kind` for `kind` in `split`."""
    shown = name if re.fullmatch(r"[\w.-]{1,80}", name, re.ASCII) else echo(name)
    return f"{field}.{shown}" if field else shown


def _is_of(value: Any, schema: Any) -> bool:
    """Whether the outermost value is what the schema wants; what it holds is left to `_check_parts`."""
    if schema is ANY:
        return True
    if schema is None:
        return value is None
    if isinstance(schema, Number):
        if not _is_of(value, schema.type):
            return False
        too_small = schema.minimum is not None and value < schema.minimum
        too_large = schema.maximum is not None and value > schema.maximum
        return not too_small and not too_large
    if isinstance(schema, Text):
        return isinstance(value, str) and re.fullmatch(schema.pattern, value) is not None
    if isinstance(schema, dict | Mapping):
        return isinstance(value, dict)
    if isinstance(schema, list):
        return isinstance(value, list)
    if schema is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return type(value) is schema


def _check_parts(value: Any, schema: Any, path: str, field: str) -> None:
    if isinstance(schema, list):
        for index, part in enumerate(value):
            check(part, schema[0], path, f"{field}[{index}]")
    elif isinstance(schema, Mapping):
        for name, part in value.items():
            if schema.keys is not None and not re.fullmatch(schema.keys, name):
                raise InputError(f"{path}: {field}: not the name of a field: {echo(name)}, expected {schema.keys}")
            check(part, schema.schema, path, below(field, name))
    elif isinstance(schema, dict):
        for name in value:
            if name not in schema:
                raise InputError(f"{path}: unknown field {below(field, name)}")
        for name, part in schema.items():
            optional = isinstance(part, Optional)
            if name in value:
                check(value[name], part.schema if optional else part, path, below(field, name))
            elif not optional:
                raise InputError(f"{path}: no field {below(field, name)}")


def _description(schema: Any) -> str:
    if isinstance(schema, tuple):
        return " or ".join(map(_description, schema))
    if isinstance(schema, Number):
        noun = NOUNS[schema.type]
        if schema.minimum is not None and schema.maximum is not None:
            return f"{noun} from {schema.minimum} to {schema.maximum}"
        if schema.minimum is not None:
            return f"{noun} of at least {schema.minimum}"
        return noun if schema.maximum is None else f"{noun} of at most {schema.maximum}"
    if isinstance(schema, Text):
        return f"text like {schema.pattern}"
    if isinstance(schema, dict | Mapping):
        return "an object"
    return "a list" if isinstance(schema, list) else NOUNS[schema]
