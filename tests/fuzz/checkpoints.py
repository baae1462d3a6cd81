"""Damaged checkpoints of DIF-SR's original: refused, or read as what they were; a forged pickle runs nothing."""

import hashlib
import os
import pathlib

from tests import pth
from tests.fuzz import mutations
from tests.fuzz.stored import compare
from tfrecs.importers import convert, dif_sr_files, torch_archive

CASES = 10_000
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth"


def run(report, directory):
    """Damages the golden file's bytes, and its pickle within a sound archive."""
    path, sound = os.path.join(directory, "damaged.pth"), GOLDEN.read_bytes()
    archive = torch_archive.Archive(str(GOLDEN))
    members = {name: archive.read(name) for name in archive.names}
    expected = _read(str(GOLDEN))
    for case in range(report.count(CASES)):
        random = report.random("pth", case)
        _write(path, mutations.damaged(random, sound))
        report.case("checkpoint, bytes", f"pth/{case}", _read_and_compare, path, expected)
    pickled = next(name for name in members if name.endswith("data.pkl"))
    for case in range(report.count(CASES)):
        random = report.random("pickle", case)
        pth.write(path, members | {pickled: _damage(random, members[pickled])})
        report.case("checkpoint, pickle", f"pickle/{case}", _read_any, path)


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def _damage(random, pickled):
    """Bytes of a pickle with other bytes, or with steps of another kind among them."""
    if random.random() < 0.5:
        return mutations.damaged(random, pickled)
    changed = bytearray(pickled)
    for _ in range(random.randrange(1, 4)):
        changed[random.randrange(len(changed))] = random.choice(
            b"()]}.012NRQbcdeosuatj\x80\x81\x85\x86\x87\x88\x93\x94"
        )
    return bytes(changed)


def _read(path):
    """Everything that converting takes from a checkpoint, as a digest."""
    with convert._blaming(path):
        weights, attributes = dif_sr_files.read(path), dif_sr_files.tables_in_checkpoint(path)
    digest = hashlib.sha256(repr(dif_sr_files.stored_flags(path)).encode())
    for arrays in (weights, attributes):
        for name, array in sorted(arrays.items()):
            digest.update(repr((name, array.shape, array.dtype)).encode() + array.tobytes())
    return digest.hexdigest()


def _read_and_compare(path, expected):
    return compare(_read(path), expected)


def _read_any(path):
    _read(path)
    return "answered"
