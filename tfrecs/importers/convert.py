"""Converts a checkpoint of an original into a run directory: strictly, and written atomically."""

import contextlib
import dataclasses
import importlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from tfrecs.errors import InputError, nearest, option
from tfrecs.importers import NAMES
from tfrecs.importers.porter import NameTable, parts, port, read_checkpoint
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs.config import TrainConfig
from tfrecs.runs.directory import load_model, read_config, write_config, write_run
from tfrecs.runs.listing import first_line
from tfrecs.staging import stage
from tfrecs.training import recipe as recipes

IMPORTERS = {name: importlib.import_module(f"tfrecs.importers.{name}") for name in NAMES}


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        model: str, the model's name on the command line.
        preset: str, the preset that the weights belong to.
        arguments: dict, the constructor arguments, from the preset, the weights and the flags.
        variables: tuple of `(original name, shape)`, each read back and found equal bit for bit.
        ignored: tuple of str, names in the checkpoint that are no weights.
        note: str, what the importer has to say of constant tables; may be empty.
        item_ids: str, how ids relate to the original's.
        out: str, the run directory.
    """

    model: str
    preset: str
    arguments: dict[str, Any]
    variables: tuple[tuple[str, tuple[int, ...]], ...]
    ignored: tuple[str, ...]
    note: str
    item_ids: str
    out: str

    def __str__(self) -> str:
        lines = [f"{name} {list(shape)}: equal bit for bit" for name, shape in self.variables]
        lines.append(f"left out, no weights: {', '.join(self.ignored) or 'nothing'}")
        lines += [self.note] if self.note else []
        given = ", ".join(f"{name} {value}" for name, value in sorted(self.arguments.items()))
        lines.append(f"{self.model}, preset {self.preset}: {given}")
        lines.append(f"written: {self.out} (config.json, cp-0000); {self.item_ids}")
        lines.append(
            f"load it with tfrecs.runs.directory.load_model({self.out!r}), or evaluate it on data with the same ids:"
        )
        lines.append(
            f"python examples/run.py --model {self.model} --run_dir {self.out} --do_train 0 --data_dir PREPARED"
        )
        return "\n".join(lines)


def convert(
    name: str, checkpoint: str, out: str, given: Mapping[str, Any] | None = None, tables: str | None = None
) -> Conversion:
    """Converts a checkpoint of an original.

    An importer is a module with

    - `IGNORED`: regular expressions of names in a checkpoint that are no weights;
    - `preset(arrays)`: the name of the preset that the weights belong to;
    - `build(arrays, arguments)`: the model; `arguments` are the preset's with the given ones on top;
    - `name_table(model)`: original name to variable, or to a `porter.Part` of one;

    and optionally

    - `read(checkpoint)`: dict of original name to array, where it is no TensorFlow 1 checkpoint; raises `InputError`;
    - `stored_flags(checkpoint)`: dict of hyper-parameters that the original stored with its checkpoint, by our names;
    - `tables_in_checkpoint(checkpoint)`: dict of the constant tables that a checkpoint does hold, by original names;
    - `fill_tables(model, tables)`: assigns constant tables that are no weights, `tables` by their original names, and
      returns a sentence for the report; called with `{}` where none are given;
    - `sizes_from_tables(tables, arguments)`: dict of arguments that such tables decide; `arguments` as for `build`;
    - `ITEM_IDS`: a sentence, where ids are not those of the original.

    Args:
        name: str, a key of `IMPORTERS`.
        checkpoint: str, the prefix given to `tf.train.Saver`, or its directory.
        out: str, the run directory; must not exist. It is written atomically.
        given: dict of hyper-parameters that a checkpoint does not hold; by default as stored with the checkpoint, else
            as published.
        tables: str or None, an `.npz` file of constant tables; it wins over those that a checkpoint holds.

    Returns:
        a `Conversion`.

    Raises:
        InputError: an unknown model or argument, no checkpoint, names left over or missing on either side, tables that
            do not fit, an `out` that exists or cannot be written.

    Example:
        >>> convert("atrec", "model1.ckpt", "run")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: model: unknown model 'atrec'; did you mean 'attrec'?
    """
    if name not in IMPORTERS:
        raise InputError(f"{option('model')}: unknown model {name!r}; {nearest(name, IMPORTERS)}")
    out = os.path.normpath(out)
    if os.path.lexists(out):
        raise InputError(f"{option('out')} {out}: exists")
    importer = IMPORTERS[name]
    with _blaming(f"{option('checkpoint')} {checkpoint}"):
        arrays = getattr(importer, "read", read_checkpoint)(checkpoint)
    try:
        preset = importer.preset(arrays)
    except InputError as error:
        raise InputError(f"{option('checkpoint')} {checkpoint}: {error}") from None
    stored = importer.stored_flags(checkpoint) if hasattr(importer, "stored_flags") else {}
    recipe = recipes.create(name, preset, {**stored, **(given or {})})
    with _blaming(f"{option('checkpoint')} {checkpoint}"):
        found = importer.tables_in_checkpoint(checkpoint) if hasattr(importer, "tables_in_checkpoint") else {}
    found |= _tables(importer, tables)
    with _blaming(f"{option('tables')} {tables or checkpoint}"):
        sizes = (
            importer.sizes_from_tables(found, recipe.model_arguments) if hasattr(importer, "sizes_from_tables") else {}
        )
    with _blaming(f"{option('checkpoint')} {checkpoint}"):
        model = importer.build(arrays, recipe.model_arguments | sizes)
    table = importer.name_table(model)
    port(arrays, table, checkpoint, importer.IGNORED)
    note = _fill(importer, model, found, tables or checkpoint)
    _write(out, name, preset, model, recipe.config, importer, {key: arrays[key] for key in table})
    return Conversion(
        name,
        preset,
        {key: value for key, value in model.get_config().items() if key not in ("name", "trainable", "dtype")},
        tuple((key, np.shape(arrays[key])) for key in table),
        tuple(sorted(set(arrays) - set(table))),
        note,
        getattr(importer, "ITEM_IDS", "user and item ids are those of the original"),
        out,
    )


def _tables(importer: ModuleType, path: str | None) -> dict[str, np.ndarray]:
    if path is None:
        return {}
    if not hasattr(importer, "fill_tables"):
        raise InputError(f"{option('tables')} {path}: this model has no constant tables outside its checkpoint")
    try:
        with np.load(path) as file:
            return {key.removeprefix("input/"): file[key] for key in file.files}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{option('tables')} {path}: cannot be read as .npz: {error}") from None


@contextlib.contextmanager
def _blaming(source: str) -> Iterator[None]:
    """Raises errors of parsing a file again as `InputError`s that name the file."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{source}: it has no {error}") from None
    except (IndexError, TypeError, AttributeError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{source}: {first_line(error)}") from None


def _fill(importer: ModuleType, model: SequentialRecommender, tables: Mapping[str, np.ndarray], path: str) -> str:
    try:
        with _blaming("cannot be used"):
            return importer.fill_tables(model, tables) if hasattr(importer, "fill_tables") else ""
    except InputError as error:
        raise InputError(f"{option('tables')} {path}: {error}") from None


def _write(
    out: str,
    name: str,
    preset: str,
    model: SequentialRecommender,
    config: TrainConfig,
    importer: ModuleType,
    arrays: Mapping[str, np.ndarray],
) -> None:
    parent, base = os.path.split(os.path.abspath(out))
    with stage(parent, base, f"{option('out')} {out}") as staged:
        write_run(staged.directory, name, model, config)
        write_config(staged.directory, read_config(staged.directory) | {"preset": preset})
        _assert_equal(importer.name_table(load_model(staged.directory)), arrays, staged.directory)
        try:
            staged.publish(out)
        except FileExistsError:
            raise InputError(f"{option('out')} {out}: exists") from None


def _assert_equal(table: NameTable, arrays: Mapping[str, np.ndarray], run_dir: str) -> None:
    for name, part in parts(table).items():
        if part.numpy().tobytes() != arrays[name].tobytes():
            raise InputError(f"{run_dir}: {name} read back is not what was written")
