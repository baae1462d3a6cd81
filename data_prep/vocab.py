"""Vocabularies: ids from 1 in ascending byte order of the raw token, one token a line."""

import os
from collections.abc import Iterable, Sequence

from tfrecs.data.manifest import Vocabulary, digest
from tfrecs.errors import InputError

DIRECTORY = "vocab"
RESERVED = ("user", "item", "action")


def write(directory: str, name: str, token_batches: Iterable[Sequence[str]]) -> Vocabulary:
    """Writes `vocab/<name>.txt`; line n (from 0) is the token of id n + 1.

    Args:
        directory: str, the data directory.
        name: str, `user`, `item`, `action` or an item attribute.
        token_batches: iterable of lists of str, in ascending byte order without repeats.

    Returns:
        a `tfrecs.data.manifest.Vocabulary`.

    Raises:
        InputError: a token is empty, contains a line break or is out of order.

    Example:
        >>> import tempfile
        >>> write(tempfile.mkdtemp(), "item", [["a", "b"]]).size
        2
    """
    os.makedirs(os.path.join(directory, DIRECTORY), exist_ok=True)
    relative = f"{DIRECTORY}/{name}.txt"
    path = os.path.join(directory, relative)
    size = 0
    last = b""
    with open(path, "wb") as file:
        for tokens in token_batches:
            for token in tokens:
                encoded = token.encode("utf-8")
                if not encoded or b"\n" in encoded or b"\r" in encoded:
                    raise InputError(f"{name}: a token must not be empty or contain a line break: {token!r}")
                if encoded <= last:
                    raise InputError(f"{name}: tokens out of order: {token!r} follows {last!r}")
                file.write(encoded + b"\n")
                last = encoded
            size += len(tokens)
    return Vocabulary(relative, digest(path)[0], size)
