"""A `.pth` is read from one unambiguous archive, and nothing that it names is called."""

import io
import pickle
import struct
import sys
import warnings
import zipfile

import numpy as np
import pytest

from tests import pth
from tfrecs.errors import InputError
from tfrecs.importers import torch_files

WEIGHTS = {"config": {"n_layers": 2}, "state_dict": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}}
PROGRAM = {"archive/data.pkl": pickle.dumps({}, 2), "archive/constants.pkl": b"", "archive/code/run.py": b"..."}


@pytest.fixture
def interpreted(monkeypatch):
    """Stands for PyTorch where it is not installed: the files that its TorchScript interpreter was given."""
    given, modules = [], pth.modules()

    def load(path, pickle_module=pickle, **_):
        with open(path, "rb") as file:  # PyTorch's reader looks further for the end record than Python's
            content = file.read()
        if b"constants.pkl" in content:
            given.append(path)
            return {}
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return pickle_module.load(io.BytesIO(file.read("archive/data.pkl")))

    modules["torch"].load = load
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return given


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def refusal(path):
    """What `load` says of a file."""
    with pytest.raises(InputError, match=f"^checkpoint {path}: ") as error:
        torch_files.load(str(path))
    return str(error.value)


def test_tensors_are_read_without_pytorch(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    pth.save(WEIGHTS | {"ids": np.array([3, 1], np.int64), "transposed": WEIGHTS["state_dict"]["weight"].T}, path)
    content = torch_files.load(str(path))
    assert content["config"] == {"n_layers": 2}
    np.testing.assert_array_equal(content["state_dict"]["weight"], [[0, 1, 2], [3, 4, 5]])
    assert content["ids"].tolist() == [3, 1] and content["ids"].dtype == np.int64
    np.testing.assert_array_equal(content["transposed"], [[0, 3], [1, 4], [2, 5]])


def test_a_program_with_bytes_after_it_is_refused(path, interpreted):
    pth.write(path, PROGRAM)
    assert "a TorchScript program" in refusal(path)
    with open(path, "ab") as file:
        file.write(bytes(66_000))
    assert "something follows its end record" in refusal(path)
    assert not interpreted


def test_a_program_with_a_second_index_is_refused(path, interpreted):
    """The first index lists a program, the second one harmless weights: two readers see two files."""
    buffer = io.BytesIO()
    pth.write(buffer, PROGRAM)
    with zipfile.ZipFile(buffer) as file:
        begin = file.start_dir
    program, weights = buffer.getvalue(), io.BytesIO()
    weights.write(program)
    pth.write(weights, pth.parts(WEIGHTS))
    path.write_bytes(program + weights.getvalue()[len(program) :])
    assert "belong to none" in refusal(path) or "belong to no member" in refusal(path)
    index = program[begin : -pth_end(program)]
    path.write_bytes(program[:begin] + index + program[begin:])
    refusal(path)
    assert not interpreted


def pth_end(content):
    """The length of the end record."""
    return len(content) - content.rindex(b"PK\5\6")


def test_an_archive_that_can_be_read_in_two_ways_is_refused(path):
    members = pth.parts(WEIGHTS)
    pth.write(path, members)
    sound = path.read_bytes()
    torch_files.load(str(path))
    end = sound.rindex(b"PK\5\6")
    start = struct.unpack_from("<L", sound, end + 16)[0]

    def with_index(change):
        """The file with its index as `change` leaves it, and an end record that agrees."""
        index, count = change(sound[start:end])
        record = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(index), start, 0)
        return sound[:start] + index + record

    count = len(members)
    entry = sound[start : sound.index(b"PK\1\2", start + 4)]
    cases = {
        "comment": sound[:-2] + b"\x04\x00note",
        "byte in front": b"#" + sound,
        "duplicate": with_index(lambda index: (index + entry, count + 1)),
        "hidden member": with_index(lambda index: (index[len(entry) :], count - 1)),
        "count": sound[: end + 8] + struct.pack("<2H", count + 1, count + 1) + sound[end + 12 :],
        "offset": sound[: end + 16] + struct.pack("<L", start - 1) + sound[end + 20 :],
        "other name": sound.replace(b"archive/data/0", b"archive/data/7", 1),
        "truncated": sound[:-30],
        "empty": b"",
    }
    for content in cases.values():
        path.write_bytes(content)
        refusal(path)


def test_two_members_of_one_name_are_refused(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of the duplicate
        pth.write(path, [*pth.parts(WEIGHTS).items(), ("archive/data.pkl", pickle.dumps({}, 2))])
    assert "2 members are called 'archive/data.pkl'" in refusal(path)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(path):
    pth.write(path, pth.parts(WEIGHTS) | {"archive/data/1": bytes(1 << 26)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "compressed" in refusal(path)


def test_every_damaged_byte_of_the_golden_file_is_seen(golden, path):
    """Flips a bit in one byte of every 41: of members, headers, index and end record."""
    sound = (golden / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth").read_bytes()
    expected = repr(torch_files.load(str(golden / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth")))
    for place in [*range(0, len(sound), 41), *range(len(sound) - 98, len(sound))]:
        damaged = bytearray(sound)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        try:
            assert repr(torch_files.load(str(path))) == expected  # a byte of padding, a date
        except InputError:
            pass


def build(target, state):
    """A pickle that gives the function `target`, "module\\nname", attributes, then is a dict."""
    return b"\x80\x02c" + target + b"\n" + pickle.dumps(state, 2)[2:-1] + b"b0}."


def test_no_function_is_given_attributes(path, interpreted):
    function = sys.modules["torch._utils"]._rebuild_tensor_v2
    state = (None, {"__defaults__": ("changed",)})
    pth.write(path, pth.archived(build(b"torch._utils\n_rebuild_tensor_v2", state)))
    assert "gives attributes to torch._utils._rebuild_tensor_v2" in refusal(path)
    assert function.__defaults__ is None
    for target in (b"collections\nOrderedDict", b"builtins\ndict", b"os\nsystem"):
        pth.write(path, pth.archived(build(target, state)))
        assert "gives attributes to" in refusal(path)


def test_nothing_that_is_named_is_called(path, tmp_path):
    made = tmp_path / "made"
    calls = {
        "reduce": b"cbuiltins\nopen\n(" + pickle.dumps(str(made), 0)[:-1] + b"Vw\ntR0}.",
        "dotted": b"\x80\x04\x8c\x0bcollections\x8c\x0fOrderedDict.get\x93)R0}.",
        "object": b"cbuiltins\nobject\n)\x810}.",
    }
    for call in calls.values():
        pth.write(path, pth.archived(call))
        assert torch_files.load(str(path)) == {}
    for call in (b"(ibuiltins\nopen\n.", b"(cbuiltins\nopen\no.", b"\x82\x01.", b"P1\n."):
        pth.write(path, pth.archived(call))
        assert "which torch.save never writes" in refusal(path)
    assert not made.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (0, (3, 3), (3, 1)),
        (0, (2, 3), (100, 1)),
        (-1, (2,), (1,)),
        (5, (2,), (1,)),
        (0, (1 << 40,), (0,)),
        (0, (6,) * 30, (0,) * 30),
        (0, (2, 3), (1,)),
        (0.0, (2,), (1,)),
    ],
)
def test_a_tensor_stays_within_its_storage(path, arguments, monkeypatch):
    reduce = pth._Pickler.reducer_override

    def forged(pickler, value):
        function, (storage, *_) = reduce(pickler, value)
        return function, (storage, *arguments, False, {})

    with monkeypatch.context() as patch:
        patch.setattr(
            pth._Pickler,
            "reducer_override",
            lambda pickler, value: forged(pickler, value) if isinstance(value, np.ndarray) else NotImplemented,
        )
        pth.save(np.arange(6, dtype=np.float32), path)
    refusal(path)


def test_a_small_file_that_takes_much_time_or_memory_is_refused(path):
    names = pickle.dumps(dict.fromkeys(map(str, range(1000))), 2)
    bombs = {
        "attributes": names[:-1] + b"q\0cos\nx\n)R" + b"h\0b" * 9000 + b".",
        "deep key": b"}" + b")" + b"\x85" * 300_000 + b"Ns.",
        "memo": b"\x80\x02}r\xff\xff\xff\xff.",
        "announced": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
    }
    for pickled in bombs.values():
        pth.write(path, pth.archived(pickled))
        try:
            assert torch_files.load(str(path)) == {}
        except InputError as error:
            assert len(str(error)) < 1000


def test_a_pipe_is_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.pth")
    assert "not a regular file" in refusal(tmp_path / "pipe.pth")
