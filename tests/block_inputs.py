"""What the commands of the documents read: small files in the original formats, and small prepared data."""

import json
import shutil
from pathlib import Path

import numpy as np

from data_prep.prepare import prepare
from tests.code_blocks import PLACEHOLDERS, SMALLER
from tests.raw_files import ratings, write_u_data
from tfrecs.progress import StageProgress

GOLDEN = Path(__file__).parent / "golden"
DATA = {"data/ml-100k": "ml-100k", "data/beauty": "sequences", "data/ml-100k-genres": "atomic", "data/sample": "sample"}
RAW = {"ml-100k": "raw/movielens", "atomic": "raw/atomic", "sequences": "raw/beauty"}  # DIR, by --dataset
SMALL_SAMPLE = {"num_users": 60, "num_items": 80, "mean_length": 10}


class World:
    """What commands read, made in the current folder."""

    def raw(self, dataset):
        """Raw files in the format of a source; gives their folder."""
        folder = Path(RAW[dataset])
        if folder.exists():
            return str(folder)
        folder.mkdir(parents=True)
        if dataset == "ml-100k":
            write_u_data(folder / "u.data")
        elif dataset == "atomic":
            rows = [("user_id:token", "item_id:token", "rating:float", "timestamp:float"), *ratings()]
            (folder / "ml.inter").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
            items = "".join(f"{item}\t{1990 + item % 3}\tc{item % 5} d{item % 3}\n" for item in range(1, 41))
            (folder / "ml.item").write_text("item_id:token\trelease_year:token\tclass:token_seq\n" + items)
        else:
            rows, histories = sorted(ratings(), key=lambda row: row[3]), {}
            for user, item, _, _ in rows:
                histories.setdefault(user, [str(user)]).append(str(item))
            (folder / "Beauty.txt").write_text("".join(" ".join(words) + "\n" for words in histories.values()))
            attributes = {str(item): [item % 5 + 1, item % 3 + 6] for item in range(1, 41)}
            (folder / "Beauty_item2attributes.json").write_text(json.dumps(attributes))
        return str(folder)

    def data(self, data_dir):
        """Prepared data where a command reads some that no command of its section makes."""
        if not Path(data_dir).exists():
            name = DATA[data_dir]
            more = SMALL_SAMPLE if name == "sample" else {"raw_dir": self.raw(name)}
            prepare(name, data_dir, StageProgress(None), **more)

    def log(self):
        """A table of interactions and one of items."""
        rows = "".join(f"u{user},i{item},{time},view\n" for user, item, _, time in ratings())
        Path("log.csv").write_text("user,item,when,how\n" + rows)
        items = "".join(f"i{item},{'query' if item % 4 else 'item'},t{item % 3}|t{item % 2}\n" for item in range(1, 41))
        Path("items.csv").write_text("item,type,tags\n" + items)

    def originals(self, model):
        """A checkpoint of an original, under the name that the documents give it, and its tables."""
        Path("save_path").mkdir(exist_ok=True)
        if model == "dif_sr":
            shutil.copy(GOLDEN / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth", "SASRecD.pth")
        elif model == "arerec":
            shutil.copytree(GOLDEN / "ckpt_arerec_a_attention", ".", dirs_exist_ok=True)
            with np.load(GOLDEN / "arerec_a_attention.npz") as file:
                lists = json.loads(str(file["config"]))["item_user_sequences"]
            rows = np.array([(users + [0] * 5)[:5] for users in lists.values()])
            for name in ("lists.npz", "tables.npz"):
                np.savez(name, itemId=np.array([int(item) for item in lists]), item_user_sequence=rows)
        else:
            shutil.copytree(GOLDEN / f"ckpt_{model}_a", "save_path", dirs_exist_ok=True)
            if model == "atrank":
                with np.load(GOLDEN / "atrank_a.npz") as file:
                    np.savez("tables.npz", cate_list=file["input/cate_list"])

    def before(self, program, flags):
        """Makes what a command reads; gives the flags without placeholders."""
        values = dict(zip(flags, flags[1:], strict=False))
        if values.get("--dataset") in RAW and "--show_details" not in values:
            folder = self.raw(values["--dataset"])
            if "--data_path" in values:
                shutil.copytree(folder, Path(values["--data_path"]) / values["--dataset"])
            flags = [folder if flag == "DIR" else flag for flag in flags]
        if values.get("--path") == "log.csv":
            self.log()
        if program == "tfrecs.importers" and flags[0] == "convert":
            self.originals(values["--model"])
        if values.get("--preset") == "multi" and not Path("data/sample-kinds").exists():
            prepare("sample", "data/sample-kinds", StageProgress(None), kinds=1, **SMALL_SAMPLE)
        if values.get("--data_dir") in DATA:
            self.data(values["--data_dir"])
        if program == "tfrecs" and not Path("data/sample").exists():
            self.data("data/sample")
        return [SMALLER.get(flag, PLACEHOLDERS.get(flag, flag)) for flag in flags]
