import json
import os
import random

import pytest

from tfrecs import json_files
from tfrecs.errors import InputError
from tfrecs.json_schema import ANY, Mapping, Number, Optional, Text, check

CONTENT = {"name": "été", "rates": [0.001, 1], "best": None, "sizes": {"user": 3}, "seed": 2**63 - 1}
SCHEMA = {
    "name": str,
    "rates": [Number(float, 0, 1)],
    "best": (float, None),
    "sizes": Mapping(Number(int, 0), "user|item"),
    "seed": int,
    "note": Optional(str),
}


@pytest.fixture
def path(tmp_path):
    json_files.write(str(tmp_path / "run.json"), CONTENT)
    return str(tmp_path / "run.json")


def rejects(path, *parts):
    with pytest.raises(InputError) as caught:
        json_files.read(path, SCHEMA, "a run's configuration", "train again")
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and len(message) < 400 + len(path)
    for part in parts:
        assert part in message


def put(path, content):
    with open(path, "wb") as file:
        file.write(content)


def test_what_was_written_is_read(path):
    assert json_files.read(path, SCHEMA, "a run's configuration") == CONTENT
    assert os.listdir(os.path.dirname(path)) == ["run.json"]


def test_every_damaged_byte_is_seen(path):
    with open(path, "rb") as file:
        sound = file.read()
    generator = random.Random(7)
    for place in range(len(sound)):
        for byte in (sound[place] ^ (1 << generator.randrange(8)), ord(" "), ord("\n"), 0):
            if byte != sound[place]:
                put(path, sound[:place] + bytes([byte]) + sound[place + 1 :])
                rejects(path)
        put(path, sound[:place])
        rejects(path)
        put(path, sound[:place] + sound[place + 1 :])
        rejects(path)


def test_no_checksum_says_how_to_make_it_again(path):
    put(path, json.dumps(CONTENT, indent=2).encode())
    rejects(path, "no checksum", "train again")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not a run's configuration: not JSON: line 1"),
        (b"[1]", "expected an object, got [1]"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a": 1, "a": 2}', "the field 'a' occurs twice"),
        (b'{"a": NaN}', "not a finite number: NaN"),
        (b'{"a": -Infinity}', "not a finite number: -Infinity"),
        (b'{"a": [0, {"b": 1e400}]}', "a[1].b: not a finite number: inf"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits: 99999999999999999999..."),
        (b'{"a": 9223372036854775808}', "a: more than 64 bits"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "nested too deeply"),
        (b'{"a": "\\ud800"}', "a: not valid Unicode"),
        (b'{"\\ud800": 1}', "not the name of a field"),
        (b'{"checksum": 5}', "does not match its checksum"),
        (b'{"checksum": "sha256:00"}', "does not match its checksum"),
        (b" " * (json_files.LARGEST_FILE + 1), "larger than"),
    ],
)
def test_content_that_is_refused(path, content, message):
    put(path, content)
    rejects(path, message)


def test_a_file_that_cannot_be_read(tmp_path):
    rejects(str(tmp_path / "none.json"), "No such file")
    rejects(str(tmp_path), "not a regular file")
    os.mkfifo(tmp_path / "pipe")
    rejects(str(tmp_path / "pipe"), "not a regular file")
    rejects("/dev/null", "not a regular file")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": 5}, "name: expected text, got 5"),
        ({"name": "x" * 500 + "\x1b"}, None),
        ({"rates": 5}, "rates: expected a list, got 5"),
        ({"rates": [0, True]}, "rates[1]: expected a number from 0 to 1, got true"),
        ({"rates": [1.5]}, "rates[0]: expected a number from 0 to 1, got 1.5"),
        ({"best": "\x1b[31m" * 100}, "best: expected a number or null, got '\\x1b[31m"),
        ({"sizes": {"user": -1}}, "sizes.user: expected an integer of at least 0, got -1"),
        ({"sizes": {"user": 1.0}}, "sizes.user: expected an integer of at least 0, got 1.0"),
        ({"sizes": {"colour": 1}}, "sizes: not the name of a field: 'colour', expected user|item"),
        ({"seed": True}, "seed: expected an integer, got true"),
        ({"seed": None}, "seed: expected an integer, got null"),
        ({"note": None}, "note: expected text, got null"),
        ({"colour": 1}, "unknown field colour"),
        ({"\x1b": 1}, "unknown field '\\x1b'"),
    ],
)
def test_the_schema_is_checked_of_files_with_a_sound_checksum(path, change, message):
    json_files.write(path, CONTENT | change)
    if message is None:
        assert json_files.read(path, SCHEMA, "a run") == CONTENT | change
    else:
        rejects(path, message)


def test_a_missing_field(path):
    json_files.write(path, {"name": "x"})
    rejects(path, "no field rates")


def test_text_matches_a_pattern_as_a_whole():
    check({"split": "none"}, {"split": Text("none|ratio")}, "a.json")
    check({"split": {"kind": [1, "x"]}}, {"split": ANY}, "a.json")
    with pytest.raises(InputError, match="a.json: split: expected text like none|ratio, got 'nones'"):
        check({"split": "nones"}, {"split": Text("none|ratio")}, "a.json")
    with pytest.raises(InputError, match=r"got 'none\\n'"):
        check({"split": "none\n"}, {"split": Text("none|ratio")}, "a.json")


@pytest.mark.parametrize(
    "content, message",
    [
        ({"history": [{"loss": float("nan")}]}, r"history\[0\].loss: not a finite number: nan"),
        ({"seed": 10**5000}, "seed: more than 64 bits"),
        ({"checksum": "x"}, "the name is taken"),
    ],
)
def test_what_cannot_be_read_is_not_written(path, content, message):
    with pytest.raises(InputError, match=message):
        json_files.write(path, content)
    assert json_files.read(path, SCHEMA, "a run's configuration") == CONTENT
