"""The command line and its data: made on the way, told apart, and refused where a model cannot learn from it."""

import pytest

from tfrecs import cli


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Two folders of sequences without ratings, times or attributes; they are the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, shift in (("tools", 1), ("toys", 5)):
        (tmp_path / name).mkdir()
        lines = [f"u{user} " + " ".join(f"i{(user + step) % 13 + shift}" for step in range(6)) for user in range(20)]
        (tmp_path / name / "log.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*flags):
    return cli.main(["--dataset", "sequences", "--num_recommendations", "0", "--do_eval", "0", "--epochs", "1", *flags])


def test_data_of_another_folder_is_not_taken_for_this_one(logs, capfd):
    flags = ("--model", "attrec", "--embedding_dim", "4")
    assert run(*flags, "--raw_dir", "tools") == 0
    assert run(*flags, "--raw_dir", "toys") == 2
    message = "--raw_dir toys: data/sequences was made of tools; name another --data_dir"
    assert message in capfd.readouterr().err
    assert run(*flags, "--raw_dir", "toys", "--data_dir", "data/toys") == 0
    assert run(*flags) == 0, "prepared data need no raw files"


@pytest.mark.parametrize("model, column", [("arerec", "timestamp, rating"), ("dif_sr", "item attributes")])
def test_what_the_data_lacks_is_named(logs, capfd, model, column):
    assert run("--model", model, "--raw_dir", "tools") == 2
    assert (
        f"--model {model}: data/sequences (sequences) has no {column}; "
        "models that work on it: atrank with --time none, attrec, dif_sr with --attributes none\n"
    ) in capfd.readouterr().err
    assert not (logs / "checkpoints").exists()
