"""Every flag that the originals' READMEs and scripts show: accepted with its meaning, or refused by name."""

import pytest

from tfrecs.command_line import arguments
from tfrecs.errors import InputError

# The published code's flags, read off `run.py`, `main.py` and the notebook, `train.py`, and RecBole's options with
# those of `configs/*.yaml`: a value -> what it is here, or the reason for a refusal. None: there is nothing to set, and
# a line is printed that says so, or the value is what happens anyway.
FLAGS = {
    "attrec": {
        "file_path input/u.data": ("run.raw_dir", "input"),
        "file_path input/log.csv": "expected MovieLens's u.data; for other files",
        "test_path input/test.csv": None,
        "train_path input/train.csv": None,
        "mode train": ("run.do_train", True),
        "mode test": ("run.do_train", False),
        "mode valid": "expected train or test, got 'valid'",
        "w 0.3": ("model.user_weight", 0.3),
        "num_epochs 30": ("config.epochs", 30),
        "sequence_length 5": ("model.max_history", 5),
        "target_length 3": ("model.num_targets", 3),
        "neg_sample_count 10": ("model.num_negatives", 10),
        "item_count 1685": None,
        "user_count 945": None,
        "embedding_size 100": ("model.embedding_dim", 100),
        "batch_size 256": ("config.batch_size", 256),
        "learning_rate 1e-2": ("config.learning_rate", 0.01),
        "keep_prob 0.5": ("model.dropout", 0.5),
        "l2_lambda 1e-3": ("model.l2", 0.001),
        "gamma 0.5": ("model.margin", 0.5),
        "grad_clip 10": ("config.global_clipnorm", 10.0),
        "save_path save_path/model1.ckpt": ("run.run_dir", "save_path/model1"),
    },
    "atrank": {
        "hidden_units 128": ("model.hidden_units", 128),
        "num_blocks 1": ("model.num_blocks", 1),
        "num_heads 8": ("model.num_heads", 8),
        "dropout 0.0": ("model.dropout", 0.0),
        "regulation_rate 0.00005": ("model.activation_penalty", 5e-5),
        "itemid_embedding_size 64": ("model.item_dim", 64),
        "cateid_embedding_size 64": ("model.attribute_dim", 64),
        "concat_time_emb True": ("model.time", "one_hot"),
        "from_scratch False": ("run.load_model", True),
        "from_scratch True": ("run.load_model", False),
        "from_scratch maybe": "expected 0 or 1, True or False, got 'maybe'",
        "model_dir save_path": ("run.run_dir", "save_path"),
        "optimizer sgd": ("config.optimizer", "sgd"),
        "optimizer adadelta": ("config.optimizer", "adadelta"),
        "optimizer rmsprop": ("config.optimizer", "rmsprop"),
        "learning_rate 0.1": ("config.learning_rate", 0.1),
        "max_gradient_norm 5.0": ("config.global_clipnorm", 5.0),
        "train_batch_size 32": ("config.batch_size", 32),
        "test_batch_size 128": ("config.eval_batch_size", 128),
        "max_epochs 10": ("config.epochs", 10),
        "display_freq 100": "progress is shown by time",
        "eval_freq 1000": "validation comes at the end of epochs",
        "net_type att-i2i": ("model.history_kind", "item"),
        "net_type att-a2i": ("model.target_kind", "item"),
        "net_type att-a2a": ("model.object_type", "kind"),
        "net_type att-c2i": ("model.history_kind", "coupon"),
        "net_type att-i2a": "the published code predicts all kinds from all of them only",
        "net_type rna-i2i": "the published RNN variants are not here",
        "net_type cnn-i2i": "the published CNN variants are not here",
        "net_type att": "expected att-a2a, or such as att-a2i and att-i2i, got 'att'",
        "net_type rnn-iq2i": "the published RNN variants are not here",
        "cuda_visible_devices 0": ("run.gpu_id", "0"),
        "per_process_gpu_memory_fraction 0.5": "TF_FORCE_GPU_ALLOW_GROWTH",
    },
    "arerec": {
        "dataset ml-1m": ("run.dataset", "ml-1m"),
        "data_path Data/": "needs --data_version",
        "data_version x": "needs --dataset NAME",
        "model_path Model/": "needs --dataset NAME",
        "model_name x": "needs --dataset NAME",
        "save_model 1": None,
        "save_model 0": "a run always writes checkpoints",
        "load_model 1": ("run.load_model", True),
        "load_weight_path cp-0002.ckpt": ("run.load_weight_path", "cp-0002.ckpt"),
        "do_train 1": ("run.do_train", True),
        "do_eval 1": ("run.do_eval", True),
        "save_checkpoints_epochs 2": ("config.save_checkpoints_epochs", 2),
        "epochs 2": ("config.epochs", 2),
        "batch_size 128": ("config.batch_size", 128),
        "region_size 7": ("model.region_size", 7),
        "emb_size 64": ("model.embedding_dim", 64),
        "use_attention 1": ("model.use_attention", True),
        "num_head 2": ("model.num_heads", 2),
        "max_seq_mode mean": "give --max_seq N",
        "max_seq 327": ("model.max_seq", 327),
        "lr 0.0001": ("config.learning_rate", 0.0001),
        "optimizer adam": ("config.optimizer", "adam"),
        "optimizer rms": ("config.optimizer", "rmsprop"),
        "use_dropout 0": ("model.dropout", (0.0,) * 9),
        "use_dropout 1": ("model.dropout", (0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)),
        "dropout [0,0,0,0.5,0.5,0,0,0,0.25]": ("model.dropout", (0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.25)),
        "use_regularizer 0": ("model.l2", (0.0,) * 5),
        "use_regularizer 1": ("model.l2", (0.001,) * 5),
        "regularizer [0.1,0,0,0,0]": ("model.l2", (0.1, 0.0, 0.0, 0.0, 0.0)),
        "topk [3,5,7,10]": ("config.topk", (3, 5, 7, 10)),
        "hrcutoff 3": None,
        "hrcutoff 4": "items are relevant from a rating of 3",
    },
    "dif_sr": {
        "gpu_id 0": ("run.gpu_id", "0"),
        "use_gpu True": None,
        "use_gpu False": ("run.gpu_id", "-1"),
        "seed 212": ("config.seed", 212),
        "state INFO": None,
        "state DEBUG": "there is one level of messages",
        "reproducibility True": None,
        "reproducibility False": "runs with equal seeds are always equal",
        "data_path dataset/": "describes raw data",
        "checkpoint_dir saved": "--run_dir names the directory",
        "show_progress True": None,
        "save_dataset False": None,
        "save_dataset True": "data are prepared once",
        "save_dataloaders False": None,
        "load_col {'inter':['user_id']}": "describes raw data",
        "MAX_ITEM_LIST_LENGTH 50": ("model.max_history", 50),
        "USER_ID_FIELD user_id": "describes raw data",
        "ITEM_ID_FIELD item_id": "describes raw data",
        "RATING_FIELD rating": "describes raw data",
        "TIME_FIELD timestamp": "describes raw data",
        "val_interval ~": "describes raw data",
        "filter_inter_by_user_or_item True": "--min_user_interactions",
        "user_inter_num_interval [5,inf)": "--min_user_interactions",
        "item_inter_num_interval [5,inf)": "--min_item_interactions",
        "n_layers 4": ("model.num_layers", 4),
        "n_heads 8": ("model.num_heads", 8),
        "hidden_size 256": ("model.dim", 256),
        "attribute_hidden_size [64]": ("model.attribute_dim", (64,)),
        "inner_size 256": ("model.inner_dim", 256),
        "hidden_dropout_prob 0.5": ("model.dropout", 0.5),
        "attn_dropout_prob 0.3": ("model.attention_dropout", 0.3),
        "hidden_act gelu": ("model.activation", "gelu"),
        "layer_norm_eps 1e-12": ("model.layer_norm_epsilon", 1e-12),
        "initializer_range 0.02": ("model.initializer_range", 0.02),
        "selected_features ['categories']": ("model.attributes", ("categories",)),
        "pooling_mode sum": ("model.pooling", "sum"),
        "loss_type CE": ("model.item_loss", "ce"),
        "fusion_type gate": ("model.fusion", "gate"),
        "lamdas [10]": ("model.attribute_weight", (10.0,)),
        "attribute_predictor linear": ("model.attribute_predictor", "linear"),
        "attribute_predictor MLP": ("model.attribute_predictor", "mlp"),
        "attribute_predictor not": ("model.attribute_predictor", "none"),
        "weight_sharing not": None,
        "weight_sharing item": "the published model reads no such option",
        "predictor_source item": None,
        "predictor_source feature": "the published model reads no such option",
        "behavior_feature not": None,
        "epochs 200": ("config.epochs", 200),
        "train_batch_size 2048": ("config.batch_size", 2048),
        "learner adam": ("config.optimizer", "adam"),
        "learner sparse_adam": ("config.optimizer", "lazy_adam"),
        "learning_rate 0.0001": ("config.learning_rate", 0.0001),
        "eval_step 2": ("config.eval_step", 2),
        "stopping_step 10": ("config.patience", 11),
        "clip_grad_norm ~": ("config.global_clipnorm", 0.0),
        "clip_grad_norm {'max_norm':5,'norm_type':2}": ("config.global_clipnorm", 5.0),
        "clip_grad_norm {'max_norm':5,'norm_type':1}": "expected a number or {'max_norm': N, 'norm_type': 2}",
        "weight_decay 0.01": ("config.weight_decay", 0.01),
        "neg_sampling None": None,
        "neg_sampling {'uniform':1}": "the softmax over all items needs no negatives",
        "eval_args {'mode':'full'}": "--protocol recbole ranks all items",
        "repeatable True": ("config.exclude_seen", False),
        "metrics ['Recall','NDCG']": None,
        "metrics ['Precision']": "no metric 'precision'",
        "topk [3,5,10,20]": ("config.topk", (3, 5, 10, 20)),
        "valid_metric NDCG@10": ("config.select_metric", "ndcg@10"),
        "valid_metric Hit@10": ("config.select_metric", "hr@10"),
        "valid_metric_bigger True": None,
        "valid_metric_bigger False": "each metric knows its direction",
        "eval_batch_size 128": ("config.eval_batch_size", 128),
        "loss_decimal_place 4": None,
        "metric_decimal_place 6": "the console shows 4 decimals",
        "config_file exp.yaml": "RecBole's YAML is not read",
        "config_files configs/Amazon_Beauty.yaml": "RecBole's YAML is not read",
    },
}
CASES = [(model, *flag.split(" ", 1), ours) for model, flags in FLAGS.items() for flag, ours in flags.items()]


@pytest.mark.parametrize("model, name, value, ours", CASES, ids=lambda value: str(value)[:40])
def test_flags_of_the_originals(model, name, value, ours):
    argv = ["--model", model, f"--{name}", value]
    if isinstance(ours, str):
        with pytest.raises(InputError) as error:
            arguments.parse(argv)
        assert str(error.value).startswith(f"--{name}") and ours in str(error.value)
        return
    parsed = arguments.parse(argv)
    if ours is not None:
        group, _, option = ours[0].partition(".")
        found = {"run": parsed.run, "model": parsed.recipe.model_arguments, "config": parsed.recipe.config}[group]
        found = found[option] if isinstance(found, dict) else getattr(found, option)
        assert found == ours[1] and type(found) is type(ours[1])
    else:
        plain = arguments.parse(["--model", model])
        assert (parsed.run, parsed.recipe) == (plain.run | {"model": model}, plain.recipe)


def test_what_has_no_effect_in_the_published_code_either_is_said():
    notes = arguments.parse(["--model", "attrec", "--item_count", "1685", "--train_path", "input/train.csv"]).notes
    assert notes == (
        "--item_count: counted in the data, as the published code does whatever the flag says",
        "--train_path: nothing is read from there, as in the published code",
    )


def test_every_flag_is_in_the_help(capsys):
    for model in FLAGS:
        with pytest.raises(SystemExit):
            arguments.parse(["--model", model, "--help"])
        shown = capsys.readouterr().out
        for flag in FLAGS[model]:
            assert f"\n  --{flag.split()[0]} " in shown, flag


def test_a_longer_run_stretches_the_decay():
    def config(*flags):
        return arguments.parse(["--model", "attrec", *flags]).recipe.config

    assert config().decay_epochs == config().epochs == 12
    assert (config("--num_epochs", "30").decay_epochs, config("--num_epochs", "3").decay_epochs) == (30, 12)
    assert 0 < config("--num_epochs", "30").rate(29) < config("--num_epochs", "30").rate(12) < 4e-3
    with pytest.raises(InputError, match="--num_epochs: the learning rate is 0 after --decay_epochs 12, got 30"):
        config("--num_epochs", "30", "--decay_epochs", "12")


VERSION = ("--model", "arerec", "--dataset", "ml-100k", "--data_version", "ml-100k_8020_minseq20_bs128_dper1.0")


def test_a_data_version_names_the_data_and_the_run():
    flags = "--batch_size 128 --region_size 7 --emb_size 64 --use_attention 1 --num_head 2 --max_seq 327 --lr 0.0001"
    parsed = arguments.parse([*VERSION, *flags.split()])
    assert parsed.run["data_dir"] == "Data/ml-100k/ml-100k_8020_minseq20_bs128_dper1.0"
    name = "ml-100k_8020_bs128_lr0.0001_emb64_reg7_ms327_opadam_h2"
    assert parsed.run["run_dir"] == f"Model/ml-100k/{name}"
    resumed = arguments.parse([*VERSION, "--load_model", "1", "--model_name", name, "--model_path", "M"])
    assert resumed.run["run_dir"] == f"M/ml-100k/{name}"
    other = arguments.parse([*VERSION, *flags.split(), "--use_attention", "0", "--use_dropout", "1"])
    assert other.run["run_dir"] == "Model/ml-100k/ml-100k_8020_bs128_lr0.0001_emb64_reg7_ms327_opadam_do"
    assert arguments.parse([*VERSION, "--run_dir", "here"]).run["run_dir"] == "here"


def test_a_data_version_says_how_much_is_held_out():
    version = VERSION[-1].replace("8020", "7030")
    recipe = arguments.parse([*VERSION[:-1], version, "--preset", "original"]).recipe
    assert recipe.model_arguments["random_split"] == 0.3
    assert "random_split" not in arguments.parse(VERSION).recipe.given_model


@pytest.mark.parametrize(
    "flags, message",
    [
        ((*VERSION, "--data_dir", "elsewhere"), "--data_dir elsewhere: contradicts --data_version ml-100k_8020"),
        ((*VERSION, "--run_dir", "r", "--model_name", "x"), "--run_dir r: contradicts --data_version ml-100k_8020"),
        ((*VERSION, "--run_dir", "r", "--model_path", "M/"), "--run_dir r: contradicts --data_version ml-100k_8020"),
        (("--model", "attrec", "--load_model", "0", "--load_weight_path", "cp-1"), "--load_model 0: contradicts"),
        ((*VERSION[:-1], "mine"), "--data_version mine: expected a name such as"),
        (
            ("--model", "arerec", "--use_dropout", "0", "--dropout", "0,0,0,0,0,0,0,0,0.5"),
            "--use_dropout 0: contradicts",
        ),
        (
            ("--model", "dif_sr", "--stopping_step", "10", "--patience", "3"),
            "--patience 3: contradicts --stopping_step",
        ),
        (("--model", "dif_sr", "--weight_decay", "-1"), "--weight_decay: expected a number of at least 0, got -1"),
        (("--model", "dif_sr", "--weight_decay", "1", "--optimizer", "lazy_adam"), "--weight_decay: rows at rest"),
        (("--model", "dif_sr", "--topk", "0"), "--topk: expected integers of at least 1, got 0"),
        (("--model", "dif_sr", "--topk", "3", "--protocol", "pair_auc"), "--topk: --protocol pair_auc ranks no list"),
        (("--model", "dif_sr", "--eval_step", "0"), "--eval_step: expected at least 1, got 0"),
    ],
)
def test_contradictions_are_named(flags, message):
    with pytest.raises(InputError) as error:
        arguments.parse(list(flags))
    assert message in str(error.value)


def test_early_stopping_counts_validations():
    parsed = arguments.parse(["--model", "dif_sr", "--stopping_step", "10", "--eval_step", "2"])
    # RecBole: the counter has to exceed 10, and validation comes every other epoch.
    assert parsed.recipe.config.patience == 22 and parsed.recipe.config.eval_step == 2


def test_the_original_s_name_of_dif_sr_and_its_first_release():
    parsed = arguments.parse(["--model", "SASRecD", "--preset", "first_release"])
    assert parsed.run["model"] == "dif_sr"
    # `configs/Amazon_Beauty.yaml` of commit 7fcdbb4.
    expected = {"num_layers": 4, "num_heads": 4, "dim": 256, "attribute_dim": (256,), "inner_dim": 256, "dropout": 0.5}
    expected |= {"attention_dropout": 0.3, "fusion": "gate", "attribute_weight": (10.0,), "pooling": "sum"}
    model, config = parsed.recipe.model_arguments, parsed.recipe.config
    assert expected.items() <= model.items() and model["max_history"] == 7
    assert (config.learning_rate, config.batch_size, config.epochs, config.eval_step) == (1e-4, 2048, 200, 2)
