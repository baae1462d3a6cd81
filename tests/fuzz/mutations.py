"""Damage to bytes and to JSON."""

import json

# Bytes that parsers take for something: separators, quotes, ends of line, marks, numbers at their limits.
PIECES = [
    *(b"\x00", b"\r", b"\n", b"\r\n", b"\t", b" ", b",", b";", b":", b"::", b"|", b'"', b"'", b'""', b"\\", b"#"),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xc2\xa0", b"\x0b", b"\x0c"),
    *(b"\x1b[2J", b"\xe2\x80\xae", b"\x1a", b"\x7f", b"\xf0\x9f\x98\x80", b"\xcc\x81"),
    *(b"0", b"-1", b"1e999", b"nan", b"inf", b"-0", b"1.5", b"0x10", b"1_000", b"+5", b"9" * 19, b"9" * 400, b"1e-999"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"2147483648", b"\xd9\xa1"),
    *(b"{", b"}", b"[", b"]", b"null", b"true", b"{}", b"[]", b"[" * 5000, b"NaN", b"Infinity", b'"\\ud800"', b"None"),
    *(b"", b"a" * 70_000, b",,,", b"\t\t\t", b":token", b"user_id:token", b"PK\x03\x04", b"PAR1", b"\x1f\x8b"),
]


def damaged(random, content):
    """Bytes with one to three pieces of damage; they may come out equal."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = random.choice(DAMAGES)(random, content)
    return content


def _flip(random, content):
    if not content:
        return content
    place, changed = random.randrange(len(content)), bytearray(content)
    changed[place] ^= 1 << random.randrange(8)
    return bytes(changed)


def _insert(random, content):
    place = random.randrange(len(content) + 1)
    return content[:place] + random.choice(PIECES) + content[place:]


def _replace(random, content):
    begin, end = _range(random, content)
    return content[:begin] + random.choice(PIECES) + content[end:]


def _delete(random, content):
    begin, end = _range(random, content)
    return content[:begin] + content[end:]


def _repeat(random, content):
    begin, end = _range(random, content)
    return content[:end] + content[begin:end] * random.randrange(1, 4) + content[end:]


def _zero(random, content):
    begin, end = _range(random, content)
    return content[:begin] + bytes(end - begin) + content[end:]


def _truncate(random, content):
    return content[: random.randrange(len(content) + 1)]


def _field(random, content):
    """Replaces what lies between two separators."""
    separators = [i for i, byte in enumerate(content) if byte in b"\t,:|\n \"'"]
    if not separators:
        return content
    index = random.randrange(len(separators))
    begin = separators[index] + 1
    end = separators[index + 1] if index + 1 < len(separators) else len(content)
    return content[:begin] + random.choice(PIECES) + content[end:]


def _lines(random, content):
    """Shuffles, drops or repeats lines, or changes how they end."""
    lines = content.split(b"\n")
    kind = random.randrange(4)
    if kind == 0:
        random.shuffle(lines)
    elif kind == 1:
        del lines[random.randrange(len(lines))]
    elif kind == 2:
        lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
    return random.choice((b"\n", b"\r\n", b"\r") if kind == 3 else (b"\n",)).join(lines)


def _empty(random, content):
    return random.choice((b"", b"\n", b"\xef\xbb\xbf", content[:1], content + content))


def _range(random, content):
    begin = random.randrange(len(content) + 1)
    return begin, min(len(content), begin + random.choice((1, 1, 2, 5, 20, 500)))


DAMAGES = (*(_flip, _insert, _replace, _delete, _repeat, _truncate, _lines, _field, _field), _zero, _empty)

VALUES = (
    *(None, True, False, 0, 1, -1, 2, 1.5, -0.0, 1e308, 2**31, 2**63 - 1, 2**63, 10**30, "", "x", "0", "1", "../x"),
    *(
        "/etc/passwd",
        "\x1b[2J",
        "\x00",
        "a" * 5000,
        "\ud800",
        [],
        {},
        [[]],
        [None],
        {"": None},
        ["x"] * 3,
        float("nan"),
    ),
    *("cp-0001", "none", "leave_one_out", "user", "item"),
)


def places(content, path=()):
    """The paths of all values within JSON."""
    yield path
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in parts:
        yield from places(value, (*path, key))


def forged(random, content):
    """`(what was done, JSON)` with one value changed, dropped, added or moved; most are still valid JSON."""
    content = json.loads(json.dumps(content))
    path = random.choice([path for path in places(content) if path])
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key, value = path[-1], parent[path[-1]]
    kind = random.choice(("value", "near", "near", "drop", "add", "type", "name"))
    if kind == "near" and isinstance(value, (int, float)) and not isinstance(value, bool):
        parent[key] = value + random.choice((-1, 1, 0.5, 1000, -1000, -value, value))
    elif kind == "near" and isinstance(value, str) and value:
        place = random.randrange(len(value))
        parent[key] = value[:place] + random.choice("0aZ./") + value[place + 1 :]
    elif kind == "drop":
        del parent[key]
    elif kind == "add" and isinstance(parent, list):
        parent.insert(key, random.choice((value, random.choice(VALUES))))
    elif kind == "type":
        parent[key] = random.choice((str(value), [value], {"value": value}, bool(value)))
    elif kind == "name" and isinstance(parent, dict):
        parent[f"{key}s"] = parent.pop(key)
    else:
        parent[key] = random.choice(VALUES)
    return f"{kind} {'.'.join(map(str, path))}", content


def regions(content, count):
    """`(begin, end)` of about `count` stretches that cover every byte."""
    size = max(1, -(-len(content) // count))
    return [(begin, min(len(content), begin + size)) for begin in range(0, len(content), size)]


def damage_region(random, content, begin, end, kind):
    """One kind of damage to one stretch."""
    stretch = content[begin:end]
    if kind == "flip":
        return content[:begin] + _flip(random, stretch) + content[end:]
    if kind == "truncate":
        return content[: random.randrange(begin, end)]
    if kind == "zero":
        return content[:begin] + bytes(end - begin) + content[end:]
    if kind == "delete":
        return content[:begin] + content[end:]
    if kind == "repeat":
        return content[:end] + stretch + content[end:]
    return content[:begin] + random.randbytes(end - begin) + content[end:]


REGION_KINDS = ("flip", "truncate", "zero", "delete", "repeat", "noise")
