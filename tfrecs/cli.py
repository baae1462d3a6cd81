"""The command line of `examples/run.py`: data, training, evaluation, recommendations, export, in this order."""

import contextlib
import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notes and warnings; its errors are shown

from data_prep.prepare import run as prepare
from data_prep.sources import SOURCES
from tfrecs import files
from tfrecs.arguments import configure, contradictions, parse
from tfrecs.data.manifest import FILE_NAME, digest, load, read_vocabulary
from tfrecs.data.verification import verify
from tfrecs.errors import InputError, NotFiniteError, command_line, nearest
from tfrecs.models import MODELS
from tfrecs.progress import note, say
from tfrecs.runs import directory, history, listing, lock, metrics_file, pointer, record
from tfrecs.serving.export import export
from tfrecs.startup import exit_code
from tfrecs.training import summary
from tfrecs.training.experiment import Experiment, check_arguments, check_data, enable_determinism

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@command_line()
def main(argv=None):
    """Runs the command line.

    Args:
        argv: list of str; default the process's own.

    Returns:
        exit code: 0, 1 for a run that failed, 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM.
    """
    try:
        run(parse(sys.argv[1:] if argv is None else argv))
    except InputError as error:
        note(f"run.py: error: {error}")
        return 2
    except NotFiniteError as error:
        note(f"run.py: stopped: {error}")
        return 1
    except KeyboardInterrupt as error:
        note("run.py: interrupted; --load_model 1 resumes from the newest checkpoint")
        return exit_code(error)
    return 0


def run(arguments):
    """Does what a parsed command line asks for.

    Args:
        arguments: `tfrecs.arguments.Arguments`.

    Returns:
        dict, the content of `metrics.json`.

    Raises:
        InputError: bad input; where a flag is to blame, nothing was written.
        NotFiniteError: training, evaluation, recommendations or export ran into NaN or infinity.
    """
    options = arguments.run
    for text in arguments.notes:
        note(text)
    if options["gpu_id"] is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = options["gpu_id"]  # read when TensorFlow first looks for devices
    if options["dataset"] not in SOURCES:
        raise InputError(f"--dataset: unknown dataset {options['dataset']!r}; {nearest(options['dataset'], SOURCES)}")
    if options["export_dir"]:
        files.check_writable("--export_dir", options["export_dir"])
    _check_overwrite(options)
    run_dir = options["run_dir"] or _default_run_dir(arguments)
    start = run_dir, _starts_fresh(options), options["overwrite"]
    directory.check_start(*start)
    enable_determinism()
    check_arguments(options["model"], arguments.model, arguments.config)
    with contextlib.ExitStack() as stack:
        if record.is_marked(run_dir) and (options["do_train"] or options["do_eval"]):
            stack.enter_context(lock.exclusive(run_dir))
            directory.check_start(*start)
        return _run_in(run_dir, arguments, stack)


def _run_in(run_dir, arguments, stack):
    """What a command line asks for, in its run directory; the `ExitStack` keeps the directory's lock."""
    options = arguments.run
    data_dir, manifest = _data(arguments)
    preset, model_arguments, config, resume = _stored(run_dir, arguments, data_dir, manifest)
    check_data(options["model"], model_arguments, config, data_dir, manifest)
    experiment = Experiment(options["model"], model_arguments, config, data_dir, manifest, run_dir)
    metrics = {
        "model": options["model"],
        "preset": preset,
        "dataset": manifest.name,
        "protocol": config.protocol,
        "seed": config.seed,
        "exclude_seen": experiment.judge.protocol.exclude_seen,
        "retrained_on_validation": config.retrain,
        "num_users": manifest.num_users,
        "num_items": manifest.num_items,
        "num_interactions": manifest.num_interactions,
    }
    name, ranks = options["load_weight_path"], None
    if options["do_train"]:
        note(summary.of_model(experiment.model))
        note(f"training: {metrics_file.title(metrics, config.train_split)}; at most {config.epochs} epochs")
        experiment.check()
        stack.enter_context(lock.exclusive(run_dir))
        describe = {"preset": preset}
        progress, retrained = experiment.train(resume, name, describe, options["tensorboard"], options["overwrite"])
        metrics |= metrics_file.of_training(progress, retrained)
    else:
        path, progress = experiment.load(name)
        note(f"judging {path}")
        checkpoint = os.path.relpath(path, run_dir)
        metrics |= {"checkpoint": checkpoint} | _of_judged(checkpoint, progress)
        metrics["retrained_on_validation"] = _is_of_second_phase(checkpoint)
    if options["do_eval"]:
        test, ranks = metrics_file.of_test(experiment)
        metrics |= test
        say(f"\n{metrics_file.tables(metrics)}")
        chosen = summary.of_validation(metrics, config)
        if chosen:
            say(chosen)
    if options["do_eval"] or options["do_train"]:
        metrics_file.plot(run_dir, progress, metrics, config.train_split)
        history.write_ranks(run_dir, read_vocabulary(data_dir, manifest, "user") if ranks else (), ranks)
        files.write_json(os.path.join(run_dir, "metrics.json"), metrics | history.environment())
        say(f"run directory: {run_dir} (metrics.json, history.csv, curves.png, checkpoints)")
    if options["num_recommendations"]:
        _print_recommendations(experiment, data_dir, manifest, options["num_recommendations"])
    if options["export_dir"]:
        say(f"exported to {export(experiment.model, data_dir, manifest, options['export_dir'])}")
    return metrics


def _starts_fresh(options):
    return options["do_train"] and options["load_weight_path"] is None and not options["load_model"]


def _check_overwrite(options):
    if options["overwrite"] and not _starts_fresh(options):
        name = "load_model 1" if options["load_model"] else "load_weight_path"
        raise InputError(f"--overwrite 1: removes the run that --{name if options['do_train'] else 'do_train 0'} needs")


def _default_run_dir(arguments):
    """`runs/<model>-<preset>-<dataset>`."""
    options, data_dir, name = arguments.run, _data_dir(arguments), _prepared_name(arguments)
    if os.path.exists(os.path.join(data_dir, FILE_NAME)):
        name = load(data_dir).name
    if not SAFE_NAME.fullmatch(name):
        raise InputError(
            f"{os.path.join(data_dir, FILE_NAME)}: name: {name[:100]!r} cannot be part of a path; --run_dir names one"
        )
    return os.path.join("runs", f"{options['model']}-{options['preset']}-{name}")


def _data_dir(arguments):
    return arguments.run["data_dir"] or os.path.join("data", _prepared_name(arguments))


def _prepared_name(arguments):
    return "-".join([arguments.run["dataset"], *_preparation(arguments)])


def _preparation(arguments):
    """The options that the preset gives the source, of those that it has."""
    return {k: v for k, v in arguments.data.items() if k in SOURCES[arguments.run["dataset"]].OPTIONS}


def _data(arguments):
    """The directory of the prepared data, made on the way if it has to be, and its manifest."""
    options, given = arguments.run, arguments.given_run
    name = options["dataset"]
    data_dir, wanted = _data_dir(arguments), _preparation(arguments)
    here = os.path.exists(os.path.join(data_dir, FILE_NAME))
    if not here and (options["raw_dir"] or not options["data_dir"]):
        if "path" in SOURCES[name].OPTIONS:
            command = f"python -m data_prep.prepare --dataset {name} --path FILE --out_dir DIR"
            raise InputError(f"--dataset {name}: needs a description of its file; {command}, then --data_dir DIR")
        prepare(name, data_dir, **wanted, **({"raw_dir": options["raw_dir"]} if options["raw_dir"] else {}))
    manifest = load(data_dir)
    if "dataset" in given and name not in (manifest.name, manifest.provenance.get("source")):
        raise InputError(f"--dataset {name}: {data_dir} holds {manifest.name}")
    if here and options["raw_dir"]:
        _check_raw(options["raw_dir"], data_dir, manifest)
    verify(data_dir, manifest)
    say(
        f"data: {data_dir}: {manifest.name}, {manifest.num_users} users, {manifest.num_items} items, "
        f"{manifest.num_interactions} interactions, {summary.of_data(manifest)}"
    )
    return data_dir, manifest


def _check_raw(raw_dir, data_dir, manifest):
    """Refuses raw files that the prepared data were not made of."""
    for file, sha256 in manifest.provenance.get("raw_files", {}).items():
        path = os.path.join(raw_dir, file)
        if not os.path.exists(path) or digest(path)[0] != sha256:
            raise InputError(
                f"--raw_dir {raw_dir}: not the {file} that {data_dir} was made of; name another --data_dir, "
                "or leave --raw_dir out"
            )


def _stored(run_dir, arguments, data_dir, manifest):
    """Preset and hyper-parameters of the run that is resumed or judged, or those of the command line."""
    options, checkpoint = arguments.run, arguments.run["load_weight_path"]
    fresh = options["preset"], arguments.model, arguments.config, False
    if _starts_fresh(options):
        return fresh
    if checkpoint is not None:
        listing.find(run_dir, checkpoint)
    elif listing.newest(run_dir) is None:
        if not options["do_train"]:
            raise InputError(f"{run_dir}: no checkpoint there to judge; --do_train 1 trains first")
        note(f"no checkpoint in {run_dir}: starting fresh")
        return *fresh[:3], True  # a run that stopped before its first checkpoint goes on, and needs no --overwrite
    for folder in (run_dir, os.path.join(run_dir, directory.RETRAIN)):
        if pointer.exists(folder) and pointer.read(folder) is None:
            path = os.path.join(folder, pointer.FILE_NAME)
            note(f"{path}: damaged; the checkpoints themselves are listed, {listing.newest(folder)} is the newest")
    stored = directory.read_config(run_dir)
    wrong = contradictions(stored, arguments)
    if wrong:
        raise InputError(
            f"{run_dir}: the stored run has other hyper-parameters: {'; '.join(wrong)}; "
            "leave them out, or start afresh with --load_model 0 --overwrite 1 or in another --run_dir"
        )
    directory.check_data(run_dir, stored, data_dir, manifest, options["do_train"])
    decided = MODELS[stored["model"]].smallest
    model_arguments = {k: v for k, v in stored["model_arguments"].items() if k not in decided}
    try:
        config = configure(stored["train"], arguments.given_config)
        check_arguments(stored["model"], model_arguments, config)
    except (TypeError, InputError) as error:
        path = os.path.join(run_dir, directory.CONFIG_FILE)
        raise InputError(f"{path}: not a configuration of this version: {error}") from None
    return stored.get("preset", options["preset"]), model_arguments, config, True


def _is_of_second_phase(checkpoint):
    """Whether a checkpoint, named relative to its run directory, was trained on validation items too."""
    return os.path.dirname(checkpoint) == directory.RETRAIN


def _of_judged(checkpoint, progress):
    """What is known of a checkpoint that was not trained here; its validation metrics, where an epoch ends.

    Args:
        checkpoint: str, its name, relative to the run directory.
        progress: `Progress`, of the phase that chose its epoch.
    """
    name = os.path.basename(checkpoint)
    _, (epoch, step) = listing.position(name)
    by_name = {"epochs_run": epoch, "best_epoch": epoch} | metrics_file.of_epoch(progress, epoch)
    if _is_of_second_phase(checkpoint) or name.startswith("best-"):
        return metrics_file.of_training(progress)
    return {"epochs_run": epoch} if step else by_name


def _print_recommendations(experiment, data_dir, manifest, count):
    batch = next(iter(experiment.judge.batches("test", max_users=1)), None)
    if batch is None:
        return
    users, items = (read_vocabulary(data_dir, manifest, name) for name in ("user", "item"))
    user = users[int(batch["user"][0]) - 1]
    for kind in experiment.model.kind_names or (None,):
        ids, scores = experiment.model.recommend(batch, count, excluded=batch["seen"], kind=kind)
        say(f"\n{count} recommendations{f' of kind {kind}' if kind else ''} for user {user}:")
        for rank, (item, score) in enumerate(zip(ids[0].numpy(), scores[0].numpy(), strict=True), 1):
            if item:
                say(f"{rank:3d}. item {items[int(item) - 1]}  score {score:.4f}")
