"""What export leaves on disk, version by version and upon failure; the client, asking an export on the sample."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tfrecs import files, staging
from tfrecs.data.manifest import read_vocabulary
from tfrecs.errors import InputError, NotFiniteError
from tfrecs.models.attrec import AttRec
from tfrecs.progress import StageProgress
from tfrecs.serving.export import export

CLIENT = Path(__file__).parents[1] / "examples" / "serving_client.py"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A model, its data directory and manifest."""
    data_dir = str(tmp_path_factory.mktemp("sample") / "data")
    manifest = prepare("sample", data_dir, StageProgress(None), num_users=20, num_items=160)
    keras.utils.set_random_seed(1)
    return AttRec(manifest.num_users, manifest.num_items, embedding_dim=8), data_dir, manifest


@pytest.fixture(scope="module")
def folder(sample, tmp_path_factory):
    """A first export."""
    return export(*sample, str(tmp_path_factory.mktemp("first") / "not" / "there" / "yet"), k=3)


def test_versions_count_on_from_the_largest(sample, folder):
    export_dir = os.path.dirname(folder)
    assert os.path.basename(folder) == "1" and os.listdir(export_dir) == ["1"]
    os.makedirs(os.path.join(export_dir, "009"))
    os.makedirs(os.path.join(export_dir, "v12"))
    again = export(*sample, export_dir)
    assert again == os.path.join(export_dir, "10")
    assert sorted(os.listdir(export_dir)) == ["009", "1", "10", "v12"]
    assert os.stat(again).st_mode == os.stat(os.path.join(export_dir, "v12")).st_mode


def test_a_version_that_appears_meanwhile_is_left_alone(sample, tmp_path, monkeypatch):
    rename = staging.rename_to_new

    def overtaken(source, target):
        monkeypatch.undo()
        os.makedirs(os.path.join(target, "of another"))
        rename(source, target)

    monkeypatch.setattr(staging, "rename_to_new", overtaken)
    assert export(*sample, str(tmp_path)) == str(tmp_path / "2")
    assert os.listdir(tmp_path / "1") == ["of another"]


ARCHIVE = type(keras.export.ExportArchive())
FAILURES = [  # what fails, how, what export raises
    (ARCHIVE, "write_out", tf.errors.ResourceExhaustedError(None, None, "disk full"), InputError, "written: disk full"),
    (files, "write_json", OSError(28, "No space left on device"), InputError, "written: No space left on device"),
    (files, "write_json", KeyboardInterrupt(), KeyboardInterrupt, None),
]


@pytest.mark.parametrize("owner, name, failure, raised, message", FAILURES)
def test_a_failure_leaves_nothing_behind(sample, tmp_path, monkeypatch, owner, name, failure, raised, message):
    write = getattr(owner, name)

    def fail_at_the_end(*arguments, **options):
        write(*arguments, **options)
        raise failure

    (tmp_path / "1").mkdir()
    monkeypatch.setattr(owner, name, fail_at_the_end)
    with pytest.raises(raised, match=message):
        export(*sample, str(tmp_path))
    assert os.listdir(tmp_path) == ["1"] and not os.listdir(tmp_path / "1")


def test_what_cannot_be_exported_is_named(sample, tmp_path):
    model, data_dir, manifest = sample
    file = tmp_path / "file"
    file.write_text("")
    for export_dir in (file, file / "below"):
        with pytest.raises(InputError, match=f"export_dir {export_dir}: cannot be written: "):
            export(*sample, str(export_dir))
    target = str(tmp_path / "export")
    for k in (0, -1, 2.0, True, "10"):
        with pytest.raises(InputError, match=f"k: expected an integer of at least 1, got {k!r}"):
            export(*sample, target, k)
    with pytest.raises(InputError, match=f"{data_dir}: {manifest.num_items} items, but the model has 9"):
        export(AttRec(manifest.num_users, 9, embedding_dim=8), data_dir, manifest, target)
    other = shutil.copytree(data_dir, tmp_path / "other")
    path = other / manifest.vocabularies["item"].path
    path.write_text(path.read_text().replace("i", "j"))
    with pytest.raises(InputError, match=f"{path}: altered"):
        export(model, str(other), manifest, target)
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: listed in the manifest but No such file"):
        export(model, str(other), manifest, target)
    assert not os.path.exists(target) or not os.listdir(target)


@pytest.fixture(scope="module")
def server(folder):
    """The address of a stand-in for TensorFlow Serving's predict method, answering from the export."""
    loaded = tf.saved_model.load(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/models/m:predict":
                inputs = {name: tf.constant(value, tf.string) for name, value in body["inputs"].items()}
                outputs = loaded.signatures[body["signature_name"]](**inputs)
                items = [[item.decode() for item in row] for row in outputs["items"].numpy()]
                status, answer = (
                    200,
                    json.dumps({"outputs": {"items": items, "scores": outputs["scores"].numpy().tolist()}}),
                )
            elif self.path == "/echo:predict":
                answer = json.dumps({"outputs": {"items": [[json.dumps(body["inputs"])]], "scores": [[1.0]]}})
                status = 200
            elif self.path == "/text:predict":
                status, answer = 200, "hello"
            else:
                status, answer = 404, json.dumps({"error": "Servable not found"})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def ask(*arguments):
    result = subprocess.run([sys.executable, CLIENT, *arguments], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


def test_the_client_prints_what_the_model_recommends(sample, server):
    model, data_dir, manifest = sample
    users, items = (read_vocabulary(data_dir, manifest, name) for name in ("user", "item"))
    history = tf.constant([[5, 9, 0, 0, 0]], tf.int64)
    url = f"{server}/v1/models/m:predict"
    for user, asked in ((4, ["--user", users[3]]), (0, [])):
        ids, scores = model.recommend({"user": tf.constant([user]), "history": history}, 3, excluded=history)
        code, out, err = ask("--url", url, "--history", f"{items[4]},{items[8]}", *asked)
        found = [line.split("\t") for line in out.splitlines()]
        assert (code, err) == (0, "") and [item for item, _ in found] == [items[i - 1] for i in ids[0].numpy()]
        assert [float(score) for _, score in found] == pytest.approx(scores[0].numpy().tolist(), rel=1e-5)
    code, out, _ = ask("--url", url)
    assert code == 0 and len(out.splitlines()) == 3


def test_the_client_sends_times_and_actions(server):
    flags = ("--history", "a,b", "--times", "5,7", "--actions", "view,buy")
    expected = {"user": [""], "history": [["a", "b"]], "timestamp": [[5, 7]], "action": [["view", "buy"]]}
    for now, value in (((), 0), (("--now", "9"), 9)):
        code, out, _ = ask("--url", f"{server}/echo:predict", *flags, *now)
        assert code == 0 and json.loads(out.split("\t")[0]) == expected | {"now": [value]}


@pytest.mark.parametrize("arguments, message", [
    (["--history", "a,b", "--times", "5"], "--times: expected one of each of 2 items, got 1"),
    (["--history", "a", "--actions", "view,buy"], "--actions: expected one of each of 1 items, got 2"),
    (["--times", "soon"], "--times: invalid seconds value: 'soon'"),
    (["--url", "{server}/v1/models/absent:predict"], "absent:predict: HTTP 404: Servable not found"),
    (["--url", "{server}/text:predict"], "/text:predict: not an answer of a tfrecs export"),
    (["--url", "http://127.0.0.1:9/v1/models/m:predict"], "models/m:predict: cannot be reached: "),
    (["--url", "localhost:8501"], "--url localhost:8501: expected http://HOST:PORT/v1/models/NAME:predict"),
    (["--url", "http://a:b/v1/models/m:predict"], "--url http://a:b/v1/models/m:predict: "),
    (["--timeout", "0"], "--timeout 0.0: expected seconds above 0"),
    (["--timeout", "soon"], "--timeout: invalid float value: 'soon'"),
    (["--usr", "u1"], "unrecognized arguments: --usr u1"),
])  # fmt: skip
def test_the_client_says_what_is_wrong(server, arguments, message):
    code, out, err = ask(*(argument.format(server=server) for argument in arguments))
    assert (code, out) == (2, "") and message in err and "Traceback" not in err


@pytest.mark.parametrize(
    "name, row, message",
    [
        ("items_long", 7, "NaN or infinite weights in items_long/embeddings"),
        ("items_long", slice(None), "NaN or infinite scores for "),
    ],
)
def test_a_model_whose_answers_are_no_numbers_is_not_exported(sample, tmp_path, name, row, message):
    model, data_dir, manifest = sample
    broken = AttRec(**{name: model.get_config()[name] for name in ("num_users", "num_items", "embedding_dim")})
    table = getattr(broken, name).embeddings
    values = table.numpy()
    values[row] = np.nan if isinstance(row, int) else 1e30  # whose square is infinite
    table.assign(values)
    with pytest.raises(NotFiniteError, match=f"AttRec: {message}"):
        export(broken, data_dir, manifest, str(tmp_path / "export"))
    assert not (tmp_path / "export").exists()
