"""What a parsed command line of `examples/run.py` asks for: data, training, evaluation, recommendations, export."""

import os
import re
from typing import Any

from data_prep.prepare import prepare
from data_prep.sources import SOURCES
from tfrecs import api, files
from tfrecs.command_line.arguments import Arguments
from tfrecs.data.manifest import FILE_NAME, Manifest, digest, load, read_vocabulary
from tfrecs.data.verification import verify
from tfrecs.errors import InputError, nearest, option
from tfrecs.progress import note, say
from tfrecs.runs import metrics_file
from tfrecs.runs.config import JUDGED_BY
from tfrecs.serving.export import export
from tfrecs.training import session, summary
from tfrecs.training.experiment import Experiment


def run(arguments: Arguments) -> dict[str, Any]:
    """Does what a parsed command line asks for.

    Args:
        arguments: `tfrecs.command_line.arguments.Arguments`.

    Returns:
        dict, the content of `metrics.json`.

    Raises:
        InputError: bad input; where a flag is to blame, nothing was written.
        NotFiniteError: training, evaluation, recommendations or export ran into NaN or infinity.
    """
    options, recipe = arguments.run, arguments.recipe
    for text in arguments.notes:
        note(text)
    if options["dataset"] not in SOURCES:
        raise InputError(f"--dataset: unknown dataset {options['dataset']!r}; {nearest(options['dataset'], SOURCES)}")
    if options["export_dir"]:
        files.check_writable("--export_dir", options["export_dir"])
    run_dir = options["run_dir"] or _default_run_dir(arguments)
    actions = session.Actions(
        options["do_train"],
        options["do_eval"],
        options["load_model"],
        options["load_weight_path"],
        options["overwrite"],
        options["tensorboard"],
    )
    _check_flags(arguments)
    names = [name for name in ("model", "preset") if name in arguments.given_run]
    session.check(recipe, run_dir, actions, names)
    with session.locked(run_dir, actions) as stack:
        data_dir, manifest = _data(arguments)
        experiment, metrics = session.run(recipe, data_dir, manifest, run_dir, actions, stack, names)
        if actions.evaluate:
            say(f"\n{metrics_file.tables(metrics)}")
            chosen = summary.of_validation(metrics, experiment.config)
            if chosen:
                say(chosen)
        if actions.evaluate or actions.train:
            say(f"run directory: {run_dir} (metrics.json, history.csv, curves.png, checkpoints)")
        if options["num_recommendations"]:
            _print_recommendations(experiment, data_dir, manifest, options["num_recommendations"])
        if options["export_dir"]:
            say(f"exported to {export(experiment.model, data_dir, manifest, options['export_dir'])}")
    return metrics


def _check_flags(arguments: Arguments) -> None:
    """Refuses flags that would be ignored for what the others ask for."""
    options, given = arguments.run, {**arguments.given_run, **arguments.recipe.given_config}
    gpu_id = options["gpu_id"]
    if gpu_id is not None and not re.fullmatch(r"-1|\d+(,\d+)*|", gpu_id):
        raise InputError(
            f"{option('gpu_id')}: expected numbers of GPUs, such as 0 or 0,1, or -1 for none, got {gpu_id!r}"
        )
    if options["do_train"]:
        return
    if options["tensorboard"]:
        raise InputError("--tensorboard 1: has no effect with --do_train 0, which trains nothing")
    judging = [name for name in JUDGED_BY if name in given]
    if not options["do_eval"] and judging:
        raise InputError(f"{option(judging[0])}: has no effect with --do_eval 0, which evaluates nothing")


def _default_run_dir(arguments: Arguments) -> str:
    data_dir, name = _data_dir(arguments), _prepared_name(arguments)
    if os.path.exists(os.path.join(data_dir, FILE_NAME)):
        name = load(data_dir).name
    return api.default_run_dir(arguments.recipe, data_dir, name)


def _data_dir(arguments: Arguments) -> str:
    return arguments.run["data_dir"] or os.path.join("data", _prepared_name(arguments))


def _prepared_name(arguments: Arguments) -> str:
    return "-".join([arguments.run["dataset"], *_preparation(arguments)])


def _preparation(arguments: Arguments) -> dict[str, Any]:
    """The options that the preset gives the source, of those that it has."""
    return {k: v for k, v in arguments.recipe.data_options.items() if k in SOURCES[arguments.run["dataset"]].options}


def _data(arguments: Arguments) -> tuple[str, Manifest]:
    """The directory of the prepared data, made on the way if it has to be, and its manifest."""
    options, given = arguments.run, arguments.given_run
    name = options["dataset"]
    data_dir, wanted = _data_dir(arguments), _preparation(arguments)
    here = os.path.exists(os.path.join(data_dir, FILE_NAME))
    if not here and (options["raw_dir"] or not options["data_dir"]):
        if "path" in SOURCES[name].options:
            command = f"python -m data_prep.prepare --dataset {name} --path FILE --out_dir DIR"
            raise InputError(f"--dataset {name}: needs a description of its file; {command}, then --data_dir DIR")
        prepare(name, data_dir, **wanted, **({"raw_dir": options["raw_dir"]} if options["raw_dir"] else {}))
    manifest = load(data_dir)
    if "dataset" in given and name not in (manifest.name, manifest.provenance.get("source")):
        raise InputError(f"--dataset {name}: {data_dir} holds {manifest.name}")
    if here and options["raw_dir"]:
        if not manifest.provenance.get("raw_files"):
            raise InputError(f"--raw_dir {options['raw_dir']}: {data_dir} was made of no raw files; leave it out")
        _check_raw(options["raw_dir"], data_dir, manifest)
    verify(data_dir, manifest)
    say(
        f"data: {data_dir}: {manifest.name}, {manifest.num_users} users, {manifest.num_items} items, "
        f"{manifest.num_interactions} interactions, {summary.of_data(manifest)}"
    )
    return data_dir, manifest


def _check_raw(raw_dir: str, data_dir: str, manifest: Manifest) -> None:
    """Refuses raw files that the prepared data were not made of."""
    for file, sha256 in manifest.provenance.get("raw_files", {}).items():
        path = os.path.join(raw_dir, file)
        if not os.path.exists(path) or digest(path)[0] != sha256:
            raise InputError(
                f"--raw_dir {raw_dir}: not the {file} that {data_dir} was made of; name another --data_dir, "
                "or leave --raw_dir out"
            )


def _print_recommendations(experiment: Experiment, data_dir: str, manifest: Manifest, count: int) -> None:
    batch = next(iter(experiment.evaluator.batches("test", max_users=1)), None)
    if batch is None:
        return
    users, items = (read_vocabulary(data_dir, manifest, name) for name in ("user", "item"))
    user = users[int(batch["user"][0]) - 1]
    for kind in experiment.model.kind_names or (None,):
        ids, scores = experiment.model.recommend(batch, count, excluded=batch["seen"], kind=kind)
        of_kind = f" of kind {kind}" if kind else ""
        say(f"\n{count} recommendations{of_kind} for user {user}, from the history before the test item:")
        for rank, (item, score) in enumerate(zip(ids[0].numpy(), scores[0].numpy(), strict=True), 1):
            if item:
                say(f"{rank:3d}. item {items[int(item) - 1]}  score {score:.4f}")
