import os

import pyarrow as pa
import pytest
import tensorflow as tf

from data_prep.engines import local
from data_prep.prepare import main
from data_prep.readers.log import FIELDS, Log
from tfrecs.data import manifest as manifests
from tfrecs.data import records, verification
from tfrecs.progress import StageProgress

ENGINE_OPTIONS = {
    "min_rating": None,
    "min_user_interactions": 1,
    "min_item_interactions": 1,
    "num_shards": 2,
    "memory_limit_mb": 200,
    "split": {"kind": "leave_one_out"},
}


@pytest.fixture
def run_engine(tmp_path):
    """Runs the engine over rows `(user, item, timestamp?, rating?, action?)`; gives (result, dir)."""
    made = []

    def run(rows, fields=(), chunk=2, attributes=None, attribute_chunks=(), **options):
        columns = ["user", "item", *fields]
        types = {"timestamp": pa.int64(), "rating": pa.float64()}

        def chunks():
            for begin in range(0, len(rows), chunk):
                part = zip(*rows[begin : begin + chunk], strict=True)
                arrays = {
                    name: pa.array(values, types.get(name, pa.string()))
                    for name, values in zip(columns, part, strict=True)
                }
                yield pa.table(arrays), (begin + chunk) / len(rows)

        directory = tmp_path / f"engine-{len(made)}"
        directory.mkdir()
        made.append(directory)
        log = Log("test", tuple(f for f in FIELDS if f in fields), chunks, {})
        log.attributes = attributes or {}
        log.attribute_chunks = lambda: iter(attribute_chunks)
        result = local.run(log, str(directory), ENGINE_OPTIONS | options, StageProgress(None))
        return result, directory

    return run


@pytest.fixture
def command(tmp_path, capsys):
    """Runs the command line; gives (exit code, stdout, stderr)."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def read_records():
    """Reads all records of a directory: user id -> (split, dict of lists)."""
    return _read_records


@pytest.fixture
def decoded():
    """Reads verified prepared data as tokens: user -> (split, [(item, *other fields)])."""

    def read(directory):
        manifest = manifests.load(directory)
        verification.verify(directory, manifest)
        tokens = {name: manifests.read_vocabulary(directory, manifest, name) for name in manifest.vocabularies}
        out = {}
        raw = _read_records(directory, manifest.fields, len(manifest.shards))
        for user, (split, sequence) in raw.items():
            for name in ("item", "action"):
                if name in sequence:
                    sequence[name] = [tokens[name][code - 1] for code in sequence[name]]
            rows = list(zip(*sequence.values(), strict=True))
            out[tokens["user"][user - 1]] = (tuple(split), rows)
        return out

    return read


def _read_records(directory, fields, num_shards=2):
    paths = [os.path.join(directory, records.shard_name(i, num_shards)) for i in range(num_shards)]
    found = {}
    for serialized in tf.data.TFRecordDataset(paths).batch(100):
        parsed = {name: value.numpy() for name, value in records.parse(serialized, fields).items()}
        for row, user in enumerate(parsed["user"].tolist()):
            assert user not in found
            sequence = {name: parsed[name][row].tolist() for name in fields}
            found[user] = (parsed["split"][row].tolist(), sequence)
    return found
