"""The commands of the originals' READMEs, on small files in the formats that they read, end to end.

Only `python dataset.py`, `python run.py` and so on are replaced by this package's entry points; what makes a run small
is added at the end, where the README's command does not have it.
"""

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.raw_files import ratings, write_u_data

ROOT = Path(__file__).parents[2]
VERSION = "ml-100k_8020_minseq20_bs128_dper1.0"
NAME = "ml-100k_8020_bs128_lr0.0001_emb64_reg7_ms327_opadam_h2"

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(tmp_path):
    """Runs a command line in an empty directory; gives what it printed."""

    def run(line, code=0):
        words = shlex.split(line.replace("\\\n", " "))
        assert words[0] == "python"
        words = [str(ROOT / word) if word.startswith("examples/") else word for word in words[1:]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    return run


def metrics(path):
    return json.loads((path / "metrics.json").read_text())


def test_arerec(shell, tmp_path):
    (tmp_path / "Data" / "ml-100k").mkdir(parents=True)
    write_u_data(tmp_path / "Data" / "ml-100k" / "u.data")
    shell(
        r"""python -m data_prep.prepare \
    --data_path Data/ \
    --dataset ml-100k \
    --min_seq 20 \
    --test_ratio 0.2 \
    --batch_size 128 \
    --data_percent 1.0"""
    )
    stdout, _ = shell(f"python -m data_prep.prepare --dataset ml-100k --show_details '{VERSION}'")
    assert "interactions per item: min " in stdout
    shell(
        rf"""python examples/run.py --model arerec \
    --dataset ml-100k \
    --data_version '{VERSION}' \
    --save_checkpoints_epochs 2 \
    --epochs 2 \
    --batch_size 128 \
    --region_size 7 \
    --emb_size 64 \
    --use_attention 1 \
    --num_head 2 \
    --max_seq 327 \
    --lr 0.0001"""
    )
    run_dir = tmp_path / "Model" / "ml-100k" / NAME
    assert metrics(run_dir)["epochs_run"] == 2
    shell(
        rf"""python examples/run.py --model arerec \
    --dataset ml-100k \
    --data_version {VERSION} \
    --load_model 1 \
    --model_name '{NAME}' \
    --use_attention 1 \
    --load_weight_path 'cp-0002.ckpt' \
    --epochs 4 \
    --save_checkpoints_epochs 2"""
    )
    assert metrics(run_dir)["epochs_run"] == 4 and (run_dir / "cp-0004.index").exists()
    with open(run_dir / "history.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_attrec(shell, tmp_path):
    (tmp_path / "input").mkdir()
    write_u_data(tmp_path / "input" / "u.data")
    _, stderr = shell(
        "python examples/run.py --model attrec --file_path input/u.data --test_path input/test.csv --train_path "
        "input/train.csv --mode train --w 0.3 --num_epochs 30 --sequence_length 5 --target_length 3 "
        "--neg_sample_count 10 --item_count 1685 --user_count 945 --embedding_size 100 --batch_size 256 "
        "--learning_rate 1e-2 "
        "--keep_prob 0.5 --l2_lambda 1e-3 --gamma 0.5 --grad_clip 10 --save_path save_path/model1.ckpt"
    )
    assert "--item_count: counted in the data" in stderr
    found = metrics(tmp_path / "save_path" / "model1")
    assert (found["epochs_run"], found["preset"], found["dataset"]) == (30, "recommended", "ml-100k")
    test = "python examples/run.py --model attrec --mode test"
    stdout, _ = shell(f"{test} --file_path input/u.data --save_path save_path/model1.ckpt")
    assert "run directory: save_path/model1" in stdout


def test_atrank(shell, tmp_path):
    (tmp_path / "raw_data").mkdir()
    with open(tmp_path / "raw_data" / "reviews_Electronics_5.json", "w") as file:
        for user, item, rating, time in ratings():
            review = {"reviewerID": f"U{user}", "asin": f"A{item}", "overall": float(rating), "unixReviewTime": time}
            file.write(json.dumps(review) + "\n")
    with open(tmp_path / "raw_data" / "meta_Electronics.json", "w") as file:
        for item in range(1, 41):
            file.write(repr({"asin": f"A{item}", "categories": [["Electronics", f"Kind {item % 4}"]]}) + "\n")
    shell("python -m data_prep.prepare --dataset amazon --raw_dir raw_data --out_dir data/e")
    command = "python examples/run.py --model atrank --data_dir data/e --learning_rate=0.1 --max_epochs 1"
    shell(f"{command} --model_dir save_path --from_scratch=True --train_batch_size 256")
    assert metrics(tmp_path / "save_path")["epochs_run"] == 1
    _, stderr = shell(f"{command} --eval_freq 1000", code=2)
    assert "--eval_freq 1000: validation comes at the end of epochs" in stderr


def test_dif_sr(shell, tmp_path):
    folder = tmp_path / "dataset" / "Amazon_Beauty"
    folder.mkdir(parents=True)
    rows = [("user_id:token", "item_id:token", "rating:float", "timestamp:float"), *ratings()]
    (folder / "Amazon_Beauty.inter").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    items = "".join(f"{item}\tc{item % 5} d{item % 3}\n" for item in range(1, 41))
    (folder / "Amazon_Beauty.item").write_text("item_id:token\tcategories:token_seq\n" + items)
    _, stderr = shell(
        "python examples/run.py --gpu_id=0 --model=SASRecD --dataset='Amazon_Beauty' "
        "--config_files='configs/Amazon_Beauty.yaml'",
        code=2,
    )
    assert "--config_files configs/Amazon_Beauty.yaml: RecBole's YAML is not read" in stderr
    shell(
        "python -m data_prep.prepare --dataset atomic --raw_dir dataset/Amazon_Beauty --min_user_interactions 5 "
        "--min_item_interactions 5 --out_dir data/beauty"
    )
    # The entries of `configs/Amazon_Beauty.yaml` that are the model's and the training's, sizes and epochs lowered.
    stdout, stderr = shell(
        "python examples/run.py --gpu_id=0 --model=SASRecD --preset original --data_dir data/beauty --seed 212 "
        "--state INFO --reproducibility True --MAX_ITEM_LIST_LENGTH 10 --n_layers 1 --n_heads 2 --hidden_size 16 "
        "--attribute_hidden_size [8] --inner_size 16 --hidden_dropout_prob 0.5 --attn_dropout_prob 0.3 "
        "--hidden_act gelu --layer_norm_eps 1e-12 --initializer_range 0.02 --selected_features \"['categories']\" "
        "--pooling_mode sum --loss_type CE --fusion_type gate --lamdas [10] --attribute_predictor linear --epochs 3 "
        "--train_batch_size 2048 --learner adam --learning_rate 0.0001 --eval_step 2 --stopping_step 10 "
        "--clip_grad_norm ~ --weight_decay 0.0 "
        "--repeatable True --metrics \"['Recall','NDCG']\" --topk [3,5,10,20] --valid_metric Recall@20 "
        "--valid_metric_bigger True --eval_batch_size 128 --loss_decimal_place 4 --metric_decimal_place 4"
    )
    assert "1296 interactions, 25.92 per user on average, sparsity 35.20%" in stdout
    assert "validation, epoch 2, chosen by recall@20: " in stdout
    assert "model: DIFSR\n" in stderr and " trained, " in stderr
    assert "epoch 2/3  loss " in stderr and "item_loss " in stderr and "valid_recall@20 " in stderr
    with open(tmp_path / "runs" / "dif_sr-original-atomic" / "history.csv") as file:
        history = list(csv.DictReader(file))
    for row in history:
        total = float(row["item_loss"]) + float(row["categories_loss"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-5)
    assert [bool(row["valid_recall@3"]) for row in history] == [False, True, False]
