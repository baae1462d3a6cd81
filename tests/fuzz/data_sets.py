"""Damaged and forged files of prepared data."""

import dataclasses
import hashlib
import io
import os

import numpy as np
import tensorflow as tf

from data_prep.prepare import prepare
from tests.fuzz.harness import SilentChange
from tests.fuzz.stored import damage_regions, forge_json, replaced
from tfrecs import json_files
from tfrecs.data import manifest as manifests
from tfrecs.data import records, verification
from tfrecs.progress import StageProgress

# Per file: stretches of bytes, each damaged in every way of `mutations.REGION_KINDS`.
REGIONS, JSON, FORGED = 100, 2000, 300
SAMPLE = {"num_users": 40, "num_items": 240, "mean_length": 12, "num_shards": 2, "seed": 3}


def make_data(directory, **options):
    """Prepares the sample, small."""
    prepare("sample", directory, StageProgress(None), **SAMPLE | options)
    return directory


def read_data(data_dir):
    """Everything that a model could read of prepared data, as a digest; raises `SilentChange` where it is unsound."""
    manifest = manifests.load(data_dir)
    verification.verify(data_dir, manifest)
    digest = hashlib.sha256(repr((manifest.fields, sorted(manifest.attributes.items()))).encode())
    sizes = {"user": manifest.num_users, "item": manifest.num_items}
    for name in sorted(manifest.vocabularies):
        tokens = manifests.read_vocabulary(data_dir, manifest, name)
        if len(tokens) != sizes.get(name, len(tokens)) or len(set(tokens)) != len(tokens) or "" in tokens:
            raise SilentChange(f"the {name} vocabulary is unsound")
        digest.update(repr((name, tokens)).encode())
    _read_sequences(data_dir, manifest, digest)
    if manifest.attributes_sha256 is not None:
        with np.load(os.path.join(data_dir, manifests.ATTRIBUTES_FILE)) as file:
            for name in sorted(file.files):
                digest.update(name.encode() + file[name].tobytes())
    return digest.hexdigest()


def _read_sequences(data_dir, manifest, digest):
    paths, users, count = [os.path.join(data_dir, shard.path) for shard in manifest.shards], [], 0
    for batch in tf.data.TFRecordDataset(paths).batch(1000):
        parsed = records.parse(batch, manifest.fields)
        users += parsed["user"].numpy().tolist()
        items, split = parsed["item"], parsed["split"].numpy()
        count += len(items.flat_values)
        lengths = items.row_lengths().numpy()
        values = items.flat_values.numpy()
        if len(values) and not 1 <= values.min() <= values.max() <= manifest.num_items:
            raise SilentChange("item ids beyond the vocabulary")
        if not ((0 <= split[:, 0]) & (split[:, 0] <= split[:, 1]) & (split[:, 1] <= lengths)).all():
            raise SilentChange("parts of a split that do not follow each other")
        for name in ("user", "split", *manifest.fields):
            tensor = parsed[name]
            for part in (tensor.flat_values, tensor.row_splits) if name in manifest.fields else (tensor,):
                digest.update(part.numpy().tobytes())
    if sorted(users) != list(range(1, manifest.num_users + 1)) or count != manifest.num_interactions:
        raise SilentChange("other users or interactions than the manifest counts")


def run(report, directory):
    """Damages prepared data."""
    data_dir = make_data(os.path.join(directory, "data"))

    def read(_):
        return read_data(data_dir)

    damage_regions(report, "data set, bytes", data_dir, REGIONS, read)
    forge_json(report, "data set, dataset.json", data_dir, manifests.FILE_NAME, JSON, read)
    for case in range(report.count(FORGED)):
        random = report.random("shards", case)
        report.case("data set, forged shards", f"shards/{case}", _forge_shards, random, data_dir)
    for case in range(report.count(FORGED)):
        random = report.random("attributes", case)
        report.case("data set, forged attributes", f"attributes/{case}", _forge_attributes, random, data_dir)


def _signed(manifest):
    return json_files.text(manifests.FILE_NAME, dataclasses.asdict(manifest)).encode()


def _forge_shards(random, data_dir):
    """A shard with one wrong record, and digests and checksum that fit it."""
    manifest = manifests.load(data_dir)
    shard = random.choice(manifest.shards)
    path = os.path.join(data_dir, shard.path)
    examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(path)]
    features = random.choice(examples).features.feature
    name = random.choice(["user", "split", "split", "item", "timestamp"])
    values = features[name].int64_list.value
    place = random.randrange(len(values))
    wrong = {
        "user": (0, -1, manifest.num_users + 1, values[place] % manifest.num_users + 1, 2**62),
        "split": (-1, 10**6, 2**62, -(2**62)),
        "item": (0, -1, manifest.num_items + 1, 2**62),
        "timestamp": (-1, -(2**62)) if place else (2**62, 10**15),
    }[name]
    if random.random() < 0.1:
        features[name].Clear()
    elif random.random() < 0.1:
        values.append(values[-1])
        if name == "timestamp" and len(values) == len(features["item"].int64_list.value):
            return "equal"
    else:
        values[place] = random.choice(wrong)
    written = io.BytesIO()
    temporary = os.path.join(data_dir, "..", "forged.tfrecord")
    with tf.io.TFRecordWriter(temporary) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with open(temporary, "rb") as file:
        written = file.read()
    os.remove(temporary)
    entry = dataclasses.replace(shard, sha256=hashlib.sha256(written).hexdigest(), num_bytes=len(written))
    shards = tuple(entry if other is shard else other for other in manifest.shards)
    signed = _signed(dataclasses.replace(manifest, shards=shards))
    with replaced(data_dir, {shard.path: written, manifests.FILE_NAME: signed}):
        read_data(data_dir)
    raise SilentChange(f"a record with a wrong {name} is accepted")


def _forge_attributes(random, data_dir):
    """A table of attributes with one wrong array, and digests and checksum that fit it."""
    manifest = manifests.load(data_dir)
    path = os.path.join(data_dir, manifests.ATTRIBUTES_FILE)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    name = random.choice(sorted(arrays))
    array, kind = arrays[name], random.randrange(7)
    if kind == 0 and len(array):
        array[random.randrange(len(array))] = random.choice((-1, 10**9, 2**62, -(2**62)))
    elif kind == 1:
        arrays[name] = array[:-1]
    elif kind == 2:
        arrays[name] = array.astype(random.choice((np.float64, np.int8, "S4", bool)))
    elif kind == 3:
        arrays[name] = array.reshape(1, -1)
    elif kind == 4:
        del arrays[name]
    elif kind == 5:
        arrays[name] = np.append(array, array[-1:] + 1)
    else:
        arrays[f"{name}s"] = arrays.pop(name)
    written = io.BytesIO()
    np.savez(written, **arrays)
    content = written.getvalue()
    signed = _signed(dataclasses.replace(manifest, attributes_sha256=hashlib.sha256(content).hexdigest()))
    with replaced(data_dir, {manifests.ATTRIBUTES_FILE: content, manifests.FILE_NAME: signed}):
        read_data(data_dir)
    raise SilentChange(f"a wrong array {name} is accepted ({kind})")
