"""The original DIF-SR as a side of `benchmarks/compare.py`: https://github.com/AIM-SE/DIF-SR under PyTorch.

Usage: `python dif_sr.py CHECKOUT RAW_DIR ATTRIBUTE_DIM BATCH_SIZE`. RAW_DIR has Amazon Beauty as a line per user and
`Beauty_item2attributes.json`; they are written as RecBole's atomic files. It drives the published trainer, with
`configs/Amazon_Beauty.yaml`. Patches: names that numpy no longer has; the processor in place of a GPU.
"""

import json
import os
import sys
import tempfile
import time

checkout, raw_dir = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
attribute_dim, batch_size = (int(value) for value in sys.argv[3:5])
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), checkout]

import numpy as np  # noqa: E402

for alias in (float, int, bool, object, str):
    if alias.__name__ not in vars(np):
        setattr(np, alias.__name__, alias)

import torch  # noqa: E402
from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402
from server import serve  # noqa: E402

folder = tempfile.mkdtemp()
name = "Amazon_Beauty"
os.mkdir(os.path.join(folder, name))
with open(os.path.join(raw_dir, "Beauty_item2attributes.json"), encoding="utf-8") as file:
    attributes = json.load(file)
with open(os.path.join(folder, name, name + ".inter"), "w", encoding="utf-8") as file:
    file.write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
    with open(os.path.join(raw_dir, "Beauty.txt"), encoding="utf-8") as lines:
        for line in lines:
            user, *items = line.split()
            file.writelines(f"{user}\t{item}\t5\t{place}\n" for place, item in enumerate(items))
with open(os.path.join(folder, name, name + ".item"), "w", encoding="utf-8") as file:
    file.write("item_id:token\tcategories:token_seq\n")
    file.writelines(f"{item}\t{' '.join(map(str, values))}\n" for item, values in attributes.items())
os.chdir(folder)
sys.argv = sys.argv[:1]
config = Config(
    model="SASRecD",
    dataset=name,
    config_file_list=[os.path.join(checkout, "configs", name + ".yaml")],
    config_dict={
        "neg_sampling": None,
        "data_path": folder,
        "use_gpu": False,
        "attribute_hidden_size": [attribute_dim],
        "train_batch_size": batch_size,
        "show_progress": False,
        "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"], "item": ["item_id", "categories"]},
    },
)
init_seed(config["seed"], config["reproducibility"])
training, _, test = data_preparation(config, create_dataset(config))
model = get_model(config["model"])(config, training.dataset).to(config["device"])
trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


def epochs():
    """Batches, epoch after epoch."""
    while True:
        yield from training


batches = epochs()


def train(steps):
    """Targets (prefixes of histories) per second of training steps."""
    model.train()
    count, started = 0, time.perf_counter()
    for _ in range(steps):
        batch = next(batches).to(trainer.device)
        trainer.optimizer.zero_grad()
        loss = model.calculate_loss(batch)
        loss.item()
        loss.backward()
        trainer.optimizer.step()
        count += len(batch)
    return {"rate": count / (time.perf_counter() - started), "threads": torch.get_num_threads()}


def evaluate():
    """Users ranked per second, two batches of them."""
    model.eval()
    with torch.no_grad():
        trainer.item_tensor = test.dataset.get_item_feature().to(trainer.device).repeat(test.step)
        trainer.tot_item_num = test.dataset.item_num
        users, started = 0, time.perf_counter()
        for number, batch in enumerate(test):
            if number == 2:
                break
            interaction, scores, rows, positives = trainer._full_sort_batch_eval(batch)
            trainer.eval_collector.eval_batch_collect(scores, interaction, rows, positives)
            users += len(interaction)
        trainer.evaluator.evaluate(trainer.eval_collector.get_data_struct())
        return {"rate": users / (time.perf_counter() - started)}


train(1)  # sets things up
serve({"train": train, "evaluate": evaluate})
