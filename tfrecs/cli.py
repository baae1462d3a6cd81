"""The command line of `examples/run.py`: data, training, evaluation, recommendations, export, in this order."""

import os
import sys

from data_prep.prepare import prepare
from data_prep.sources import SOURCES
from tfrecs import files
from tfrecs.arguments import contradictions, parse
from tfrecs.data.manifest import FILE_NAME, load, read_vocabulary, verify
from tfrecs.errors import InputError, nearest
from tfrecs.export import export
from tfrecs.training import checkpoints, reports
from tfrecs.training.config import TrainConfig
from tfrecs.training.experiment import Experiment, enable_determinism
from tfrecs.training.loop import NotFiniteError

SHOWN = ("hr@10", "hr@50", "ndcg@10", "mrr")


def main(argv=None):
    """Runs the command line.

    Args:
        argv: list of str; default the process's own.

    Returns:
        exit code: 0, 1 for a run that failed, 2 for bad input, 130 for an interrupt.
    """
    try:
        run(parse(sys.argv[1:] if argv is None else argv))
    except InputError as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    except NotFiniteError as error:
        print(f"run.py: stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("run.py: interrupted; --load_model 1 resumes from the newest checkpoint", file=sys.stderr)
        return 130
    return 0


def run(arguments):
    """Does what a parsed command line asks for.

    Args:
        arguments: `tfrecs.arguments.Arguments`.

    Returns:
        dict, the content of `metrics.json`.
    """
    options = arguments.run
    data_dir, manifest = _data(options)
    run_dir = options["run_dir"] or os.path.join("checkpoints", f"{options['model']}-{manifest.name}")
    checkpoint = options["load_weight_path"]
    resume = options["load_model"] or checkpoint is not None or not options["do_train"]
    model_arguments, config, resume = _stored(run_dir, arguments, resume, checkpoint)
    enable_determinism()
    experiment = Experiment(options["model"], model_arguments, config, data_dir, manifest, run_dir)
    metrics = {"model": options["model"], "preset": options["preset"], "dataset": manifest.name,
               "protocol": options["protocol"], "seed": config.seed, "exclude_seen": config.exclude_seen,
               "retrained_on_validation": config.retrain, "num_users": manifest.num_users,
               "num_items": manifest.num_items, "num_interactions": manifest.num_interactions}
    history = []
    if options["do_train"]:
        progress, retrained = experiment.train(resume, checkpoint, {"preset": options["preset"]})
        history = progress.history
        metrics |= _training_metrics(progress, retrained)
    else:
        name = experiment.load(checkpoint)
        print(f"judging {name}", flush=True)
    if options["do_eval"]:
        metrics |= _evaluate(experiment, manifest, history)
        files.write_json(os.path.join(run_dir, "metrics.json"), metrics | reports.environment())
        print(f"run directory: {run_dir} (metrics.json, history.csv, curves.png, checkpoints)")
    if options["num_recommendations"]:
        _print_recommendations(experiment, data_dir, manifest, options["num_recommendations"])
    if options["export_dir"]:
        print(f"exported to {export(experiment.model, data_dir, manifest, options['export_dir'])}")
    return metrics


def _data(options):
    name, data_dir = options["dataset"], options["data_dir"]
    if data_dir is None:
        if name not in SOURCES:
            raise InputError(f"--dataset: unknown dataset {name!r}; {nearest(name, SOURCES)}")
        data_dir = os.path.join("data", name)
        if not os.path.exists(os.path.join(data_dir, FILE_NAME)):
            given = {"raw_dir": options["raw_dir"]} if options["raw_dir"] else {}
            prepare(name, data_dir, **given)
    manifest = load(data_dir)
    verify(data_dir, manifest)
    print(f"data: {data_dir}: {manifest.num_users} users, {manifest.num_items} items, "
          f"{manifest.num_interactions} interactions", flush=True)
    return data_dir, manifest


def _stored(run_dir, arguments, resume, checkpoint):
    """Hyper-parameters of the run that is resumed, or those of the command line for a fresh one."""
    if not resume:
        return arguments.model, arguments.config, False
    there = checkpoints.newest(run_dir)
    if there is None:
        if checkpoint is None and arguments.run["do_train"]:
            print(f"no checkpoint in {run_dir}: starting fresh", flush=True)
            return arguments.model, arguments.config, False
        raise InputError(f"{os.path.join(run_dir, checkpoint or 'cp-*')}: no such checkpoint")
    if checkpoint is not None:
        checkpoints.find(run_dir, checkpoint)
    stored = checkpoints.read_config(run_dir)
    wrong = contradictions(stored, arguments)
    if wrong:
        raise InputError(f"{run_dir}: the stored run has other hyper-parameters: {'; '.join(wrong)}; "
                         "leave them out, or start anew with --load_model 0 or another --run_dir")
    sizes = ("num_users", "num_items")
    model_arguments = {k: v for k, v in stored["model_arguments"].items() if k not in sizes}
    arguments.run["preset"] = stored.get("preset", arguments.run["preset"])
    changed = {k: v for k, v in arguments.given_config.items()}
    return model_arguments, TrainConfig(**{**stored["train"], **changed}), True


def _training_metrics(progress, retrained):
    epoch = progress.best["epoch"] if progress.best else progress.epoch
    last = progress.history[epoch - 1]
    metrics = {"epochs_run": progress.epoch, "best_epoch": epoch}
    metrics |= {name: value for name, value in last.items() if name.startswith(("valid_", "test_"))}
    metrics["loss"] = last["loss"]
    seconds, examples = progress.train_seconds, progress.examples
    if retrained:
        seconds, examples = seconds + retrained.train_seconds, examples + retrained.examples
    rate = examples / seconds if seconds else 0.0
    return metrics | {"train_seconds": seconds, "train_examples": examples, "train_examples_per_second": rate,
                      "valid_eval_seconds": progress.eval_seconds}


def _evaluate(experiment, manifest, history):
    test, seconds = experiment.evaluate("test")
    baselines = experiment.baselines("test")
    rows = {experiment.model_name: test, **baselines}
    if manifest.oracle:
        rows["best reachable"] = manifest.oracle
    print(f"\ntest, full ranking, {'seen items excluded' if experiment.config.exclude_seen else 'all items'}, "
          f"{test['users']} users")
    print(reports.table(rows), flush=True)
    metrics = {"test_users": test["users"], "eval_seconds": seconds}
    metrics |= {f"test_{name}": value for name, value in test.items() if name != "users"}
    for label, values in baselines.items():
        metrics |= {f"{label}_{name}": value for name, value in values.items() if name != "users"}
    for name, value in (manifest.oracle or {}).items():
        metrics[f"oracle_{name}"] = value
        if f"test_{name}" in metrics and value:
            metrics[f"share_of_oracle_{name}"] = metrics[f"test_{name}"] / value
    if "share_of_oracle_hr@10" in metrics:
        print(f"{experiment.model_name} reaches {metrics['share_of_oracle_hr@10']:.1%} of the best reachable HR@10")
    levels = {label: values["ndcg@10"] for label, values in baselines.items() if "ndcg@10" in values}
    reports.plot_history(experiment.run_dir, history, levels)
    return metrics


def _print_recommendations(experiment, data_dir, manifest, count):
    batch = next(iter(experiment.evaluation_batches("test", max_users=1)), None)
    if batch is None:
        return
    users, items = (read_vocabulary(data_dir, manifest, name) for name in ("user", "item"))
    ids, scores = experiment.model.recommend(batch, count, excluded=batch["seen"])
    print(f"\n{count} recommendations for user {users[int(batch['user'][0]) - 1]}:")
    for rank, (item, score) in enumerate(zip(ids[0].numpy(), scores[0].numpy(), strict=True), 1):
        if item:
            print(f"{rank:3d}. item {items[int(item) - 1]}  score {score:.4f}")
