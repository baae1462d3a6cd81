import dataclasses
import inspect

import pytest

from tfrecs.command_line import arguments
from tfrecs.errors import InputError, command_line, naming
from tfrecs.models import MODELS, declarations
from tfrecs.models.presets import ALIASES, PRESETS
from tfrecs.runs.config import CHANGEABLE, TrainConfig
from tfrecs.training import experiment, recipe

ATTREC = ("--model", "attrec")


def parse(*flags):
    return arguments.parse([*ATTREC, *flags])


@pytest.mark.parametrize(
    "flags, message",
    [
        ("dif_sr --valid_metric MRR@10", "--valid_metric: no metric 'mrr@10' of --protocol full_ranking"),
        ("dif_sr --layer_norm_eps 0", "--layer_norm_eps: expected a number above 0, got 0.0"),
        ("dif_sr --hidden_act foo", "--hidden_act: unknown value 'foo'"),
        ("dif_sr --loss_type XE", "--loss_type: unknown value 'xe'"),
        ("dif_sr --clip_grad_norm -1", "--clip_grad_norm: expected a number of at least 0, got -1.0"),
        ("attrec --max_seq_length 0", "--max_seq_length: expected"),
        ("attrec --max_history 0 --max_seq_length 0", "--max_history: expected"),
        ("attrec --keep_prob -0.5", "--dropout: expected a number in [0, 1), got 1.5"),  # of which -0.5 says nothing
        ("arerec --regularizer 1,0,0,0,0 --use_regularizer 0", "--use_regularizer 0: contradicts --regularizer"),
    ],
)
def test_a_message_names_the_flag_as_it_was_typed(flags, message):
    with command_line(), pytest.raises(InputError) as error:
        parsed = arguments.parse(["--model", *flags.split()])
        found = parsed.recipe
        with naming(**parsed.names):
            experiment.check_arguments(found.model, found.model_arguments, found.config)
    assert str(error.value).startswith(message)


def test_every_argument_of_a_model_and_of_training_is_in_the_help(capsys):
    for model in MODELS:
        with pytest.raises(SystemExit) as stop:
            arguments.parse(["--model", model, "--help"])
        assert stop.value.code == 0
        shown = capsys.readouterr().out
        parameters = inspect.signature(MODELS[model].__init__).parameters.values()
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
        decided = MODELS[model].minimal_sizes
        assert {"num_users", "num_items"} <= decided.keys() <= set(names)
        names = [name for name in names if name not in decided]
        fields = [field.name for field in dataclasses.fields(TrainConfig)]
        section = shown[shown.index("\nrun:") :]
        for name in (*names, *fields, *arguments.RUN_OPTIONS, *ALIASES[model]):
            assert f"\n  --{name} " in section, name
        for title in ("\nrun:", "\ntraining, preset recommended:", f"\nmodel {model}, ", "\nnames the originals used:"):
            assert title in shown
        assert "--num_users" not in shown


def test_help_shows_the_defaults_of_the_preset(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        parse("--help", "--preset", "original")
    shown = capsys.readouterr().out
    assert PRESETS["attrec"]["original"]["training"]["learning_rate"] == 0.01
    assert "training, preset original:" in shown and "(default 0.01)" in shown and "(default 0.003)" not in shown
    assert "--load_model 0|1" in shown and "start fresh where there is none (default 0)" in shown
    assert "for --embedding_dim" in shown


@pytest.mark.parametrize(
    "flags, name, value",
    [
        (("--emb_size", "32"), "embedding_dim", 32),
        (("--embedding_size=32",), "embedding_dim", 32),
        (("--neg_sample_count", "3"), "num_negatives", 3),
        (("--sequence_length", "7"), "max_history", 7),
        (("--max_seq_length", "7"), "max_history", 7),
        (("--target_length", "2"), "num_targets", 2),
        (("--w", "0.25"), "user_weight", 0.25),
        (("--gamma", "0.75"), "margin", 0.75),
        (("--l2_lambda", "0.125"), "l2", 0.125),
        (("--keep_prob", "0.75"), "dropout", 0.25),
        (("--keep_prob", "0.9"), "dropout", 0.1),
        (("--keep_prob", "0.9", "--dropout", "0.1"), "dropout", 0.1),
        (("--emb_size", "32", "--embedding_dim", "32"), "embedding_dim", 32),
        (("--shared_projection", "0"), "shared_projection", False),
    ],
)
def test_model_arguments_and_their_aliases(flags, name, value):
    parsed = parse(*flags)
    assert parsed.recipe.model_arguments[name] == value and type(parsed.recipe.model_arguments[name]) is type(value)
    assert parsed.recipe.given_model == {name: value}


@pytest.mark.parametrize(
    "flags, name, value",
    [
        (("--num_epochs", "3"), "epochs", 3),
        (("--grad_clip", "5"), "global_clipnorm", 5.0),
        (("--retrain", "1"), "retrain", True),
        (("--learning_rate", "1e-3"), "learning_rate", 0.001),
    ],
)
def test_training_options_and_their_aliases(flags, name, value):
    parsed = parse(*flags)
    assert getattr(parsed.recipe.config, name) == value
    assert parsed.recipe.given_config == {name: value}


def test_a_preset_holds_where_nothing_else_was_given():
    preset = PRESETS["attrec"]["original"]
    parsed = parse("--preset", "original", "--dropout", "0.25", "--batch_size", "17")
    assert parsed.recipe.model_arguments == preset["model"] | {"dropout": 0.25}
    expected = dataclasses.asdict(TrainConfig()) | preset["training"] | {"batch_size": 17}
    assert dataclasses.asdict(parsed.recipe.config) == expected
    assert (parsed.recipe.given_model, parsed.recipe.given_config) == ({"dropout": 0.25}, {"batch_size": 17})
    assert parsed.given_run == {"model": "attrec", "preset": "original"}


@pytest.mark.parametrize(
    "flags, message",
    [
        ((), "--model: required; choose from "),
        (("--model", "atrec"), "--model: unknown model 'atrec'; did you mean 'attrec'?"),
        ((*ATTREC, "--preset", "recomended"), "--preset: unknown preset 'recomended'; did you mean 'recommended'?"),
        ((*ATTREC, "--protocol", "full"), "--protocol: unknown value 'full'; "),
        ((*ATTREC, "--embeding_dim", "3"), "unknown flag '--embeding_dim'; did you mean '--embedding_dim'?"),
        ((*ATTREC, "--emb_siz=3"), "unknown flag '--emb_siz'; did you mean '--emb_size'?"),
        ((*ATTREC, "--epoch", "3"), "unknown flag '--epoch'; did you mean '--epochs'?"),
        ((*ATTREC, "epochs", "3"), "unknown argument 'epochs'; did you mean '--epochs'?"),
        ((*ATTREC, "--num_users", "3"), "unknown flag '--num_users'; did you mean"),
        ((*ATTREC, "--epochs"), "--epochs: expected one argument"),
        ((*ATTREC, "--epochs", "many"), "--epochs: expected an integer, got 'many'"),
        ((*ATTREC, "--epochs", "1.5"), "--epochs: expected an integer, got '1.5'"),
        ((*ATTREC, "--epochs", "0"), "--epochs: expected at least 1, got 0"),
        ((*ATTREC, "--num_epochs", "0"), "--num_epochs: expected at least 1, got 0"),
        ((*ATTREC, "--batch_size", "-4"), "--batch_size: expected at least 1, got -4"),
        ((*ATTREC, "--seed", "-1"), "--seed: expected at least 0, got -1"),
        ((*ATTREC, "--seed", "4294967296"), "--seed: expected at most 2147483647, got 4294967296"),
        ((*ATTREC, "--learning_rate", "fast"), "--learning_rate: expected a number, got 'fast'"),
        ((*ATTREC, "--learning_rate", "nan"), "--learning_rate: expected a number above 0, got nan"),
        ((*ATTREC, "--learning_rate", "inf"), "--learning_rate: expected a number above 0, got inf"),
        ((*ATTREC, "--global_clipnorm", "nan"), "--global_clipnorm: expected a number of at least 0, got nan"),
        ((*ATTREC, "--load_model", "yes"), "--load_model: expected 0 or 1, got 'yes'"),
        ((*ATTREC, "--run_dir", ""), "--run_dir: expected a name, got ''"),
        ((*ATTREC, "--num_recommendations", "-1"), "--num_recommendations: expected 0 to 1000000, got -1"),
        ((*ATTREC, "--optimizer", "adm"), "--optimizer: unknown value 'adm'; did you mean 'adam'?"),
        ((*ATTREC, "--strategy", "mirored"), "--strategy: unknown value 'mirored'; did you mean 'mirrored'?"),
        ((*ATTREC, "--strategy", "multi_worker"), "--strategy: unknown value 'multi_worker'; choose from auto, "),
        ((*ATTREC, "--retrain", "1", "--train_split", "train_valid"), "--retrain: needs --train_split train"),
        ((*ATTREC, "--emb_size", "3", "--embedding_dim", "4"), "--embedding_dim"),
        ((*ATTREC, "--keep_prob", "0.9", "--dropout", "0.2"), "are the same option and were given different values"),
    ],
)
def test_what_cannot_be_meant_is_named(flags, message):
    with pytest.raises(InputError) as error:
        arguments.parse(list(flags))
    assert message in str(error.value)


def _stored(**train):
    model = declarations.defaults("attrec") | {"num_users": 3, "num_items": 4, "margin": 0.5, "dropout": 0.5}
    return {"model": "attrec", "preset": "recommended", "model_arguments": model, "train": train}


def contradictions(stored, parsed):
    with command_line():
        named = [name for name in ("model", "preset") if name in parsed.given_run]
        return recipe.contradictions(stored, parsed.recipe, parsed.run["do_train"], named)


def test_contradictions_name_both_values():
    stored = _stored(**dataclasses.asdict(TrainConfig(seed=1)))
    parsed = parse("--preset", "original", "--gamma", "0.7", "--seed", "2", "--dropout", "0.5")
    assert contradictions(stored, parsed) == [
        "--preset original (the run has recommended)",
        "--margin 0.7 (the run has 0.5)",
        "--seed 2 (the run has 1)",
    ]


def test_what_a_preset_says_contradicts_nothing():
    assert contradictions(_stored(learning_rate=0.5), parse()) == []


def test_what_may_change_contradicts_nothing():
    changed = {"epochs": "9", "patience": "3", "keep_checkpoints": "7", "retrain": "1", "strategy": "none"}
    changed |= {"save_checkpoints_epochs": "2", "save_checkpoints_steps": "5", "eval_batch_size": "3"}
    changed |= {"steps_per_execution": "4"}
    assert set(changed) == set(CHANGEABLE)
    flags = [part for name, value in changed.items() for part in (f"--{name}", value)]
    assert contradictions(_stored(), parse(*flags)) == []


def test_an_option_that_the_stored_run_did_not_know_was_at_its_default():
    assert contradictions(_stored(), parse("--seed", "0")) == []
    assert contradictions(_stored(), parse("--seed", "1")) == ["--seed 1 (the run has 0)"]


@pytest.mark.parametrize(
    "flags, expected",
    [
        ("attrec --optimizer sgd --epsilon 1e-3", "--epsilon 0.001: has no effect with --optimizer sgd"),
        ("attrec --num_eval_negatives 9", "--num_eval_negatives 9: has no effect with --protocol full_ranking"),
        ("arerec --published_lists 1", "--published_lists True: has no effect with --protocol full_ranking"),
        ("sasrec --batch_tokens 99 --batch_size 32", "--batch_size 32: has no effect with --batch_tokens 99"),
        ("attrec --train_split train_valid --patience 2", "--patience 2: has no effect with --train_split train_valid"),
    ],
)
def test_what_would_be_ignored_is_refused(flags, expected):
    with pytest.raises(InputError) as caught, command_line():
        arguments.parse(["--model", *flags.split()])
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "flags, expected",
    [
        ("sasrec --num_negatives 5", "--num_negatives 5: has no effect with --item_loss ce"),
        ("sasrec --item_loss bce --calibration 0.5", "--calibration 0.5: has no effect with --item_loss bce"),
        ("dif_sr --attribute_weight 5", "--attribute_weight 5.0: has no effect with --attribute_predictor none"),
        ("atrank --time none --time_unit 9", "--time_unit 9.0: has no effect with --time none"),
        ("arerec --random_split_seed 3", "--random_split_seed 3: has no effect with --random_split 0.0"),
        (
            "dif_sr --negative_sampling popularity",
            "--negative_sampling popularity: has no effect, DIFSR draws no",
        ),
    ],
)
def test_what_a_model_would_ignore_is_refused(flags, expected):
    with command_line():
        made = arguments.parse(["--model", *flags.split()]).recipe
        with pytest.raises(InputError) as caught:
            experiment.check_arguments(made.model, made.model_arguments, made.config)
    assert str(caught.value).startswith(expected)


def test_what_a_preset_brings_gives_way_to_what_is_asked_for():
    assert arguments.parse(["--model", "dif_sr", "--batch_size", "64"]).recipe.config.batch_tokens == 0
    original = ["--model", "dif_sr", "--preset", "original"]
    assert arguments.parse([*original, "--batch_tokens", "64"]).recipe.config.batch_size == TrainConfig.batch_size
    assert arguments.parse([*original, "--optimizer", "sgd"]).recipe.config.epsilon == TrainConfig.epsilon
    assert arguments.parse([*original, "--train_split", "train_valid"]).recipe.config.patience == 0
    made = arguments.parse(["--model", "atrank", "--preset", "original", "--time", "none"]).recipe
    assert "bucket_rule" not in made.model_arguments
    stored = {"train": {"batch_size": 512, "batch_tokens": 2048}, "model_arguments": {}}
    resumed = arguments.parse(["--model", "dif_sr", "--batch_size", "512"]).recipe
    assert recipe.contradictions(stored, resumed, True) == ["batch_tokens 0 (the run has 2048)"]
