import numpy as np
import pytest

from data_prep.sources import movielens, options
from tfrecs.errors import InputError

RATINGS = [("10", "1", 3.0, 881), ("2", "1", 4.5, 882), ("10", "3", 1.0, 880)]


def write(directory, name):
    rows = [(u, i, f"{r:g}", str(t)) for u, i, r, t in RATINGS]
    if name == "ratings.csv":
        rows = [("userId", "movieId", "rating", "timestamp"), *rows]
    delimiter = {"u.data": "\t", "ratings.dat": "::", "ratings.csv": ","}[name]
    (directory / name).write_text("".join(delimiter.join(row) + "\n" for row in rows))


def open_log(directory, policy="error"):
    return movielens.open_log("ml-1m", {"raw_dir": str(directory), "on_bad_line": policy})


def read(log):
    rows = [row for table, _ in log.chunks() for row in table.to_pylist()]
    genres = {}
    for attribute, table in log.attribute_chunks():
        assert attribute in ("genres", "category")
        for row in table.to_pylist():
            if attribute == "genres":
                genres.setdefault(row["item"], []).append(row["value"])
    return [(r["user"], r["item"], r["rating"], r["timestamp"]) for r in rows], genres


@pytest.mark.parametrize("name", ["u.data", "ratings.dat", "ratings.csv"])
def test_ratings(tmp_path, name):
    write(tmp_path, name)
    log = open_log(tmp_path)
    assert read(log) == (RATINGS, {})
    assert log.fields == ("timestamp", "rating")
    assert list(log.provenance["raw_files"]) == [name]


def u_item(number, title, flags):
    ones = ["1" if index in flags else "0" for index in range(19)]
    return "|".join([number, title, "01-Jan-1995", "", "http://x", *ones])


@pytest.mark.parametrize(
    "ratings, movies, content",
    [
        # Flags 3, 4, 5 of u.genre are Animation, Children's, Comedy; 15 is Sci-Fi.
        ("u.data", "u.item", u_item("1", "Café", {3, 5}) + "\n" + u_item("3", "X", {15}) + "\n"),
        ("ratings.dat", "movies.dat", "1::Café (1995)::Animation|Comedy\n3::X::Sci-Fi\n"),
        (
            "ratings.csv",
            "movies.csv",
            'movieId,title,genres\n1,"Café, a ""film""",Animation|Comedy\n3,X,Sci-Fi\n4,Y,(no genres listed)\n',
        ),
    ],
)
def test_genres(tmp_path, ratings, movies, content):
    write(tmp_path, ratings)
    encoding = "utf-8" if movies.endswith(".csv") else "latin-1"
    (tmp_path / movies).write_text(content, encoding=encoding)
    log = open_log(tmp_path)
    assert log.attributes == {"genres": "list", "category": "token"}
    assert read(log)[1] == {"1": ["Animation", "Comedy"], "3": ["Sci-Fi"]}
    assert set(log.provenance["raw_files"]) == {ratings, movies}


def test_category_is_the_first_genre(tmp_path, command):
    raw = tmp_path / "raw"
    raw.mkdir()
    write(raw, "ratings.dat")
    (raw / "movies.dat").write_text("3::X::Sci-Fi|Action\n1::Y::Drama|War\n")
    data_dir = tmp_path / "data"
    assert command("--dataset", "ml-1m", "--raw_dir", raw, "--out_dir", data_dir)[0] == 0
    assert (data_dir / "vocab" / "category.txt").read_text() == "Drama\nSci-Fi\n"
    with np.load(data_dir / "item_attributes.npz") as table:
        # Rows: PAD, 1, 3.
        assert table["category/values"].tolist() == [1, 2]
        assert table["category/row_splits"].tolist() == [0, 0, 1, 2]
        assert table["genres/row_splits"].tolist() == [0, 0, 2, 4]
    code, _, err = command("--dataset", "ml-1m", "--raw_dir", raw, "--out_dir", raw / "x", "--category_from", "genres")
    assert code == 2 and "--category_from genres: dataset ml-1m has an item attribute 'category' already" in err


def test_bad_line_of_movies(tmp_path):
    write(tmp_path, "ratings.dat")
    (tmp_path / "movies.dat").write_text("1::A::B\n\n2::C\n")
    with pytest.raises(InputError, match=r"movies\.dat:3: expected 3 fields, found 2"):
        read(open_log(tmp_path))


def test_missing_and_empty(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        open_log(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds none of u\.data, ratings\.dat, ratings\.csv"):
        open_log(tmp_path)
    (tmp_path / "u.data").touch()
    with pytest.raises(InputError, match=r"u\.data: empty"):
        open_log(tmp_path)
    (tmp_path / "u.data").unlink()
    (tmp_path / "ratings.csv").write_text("user,movie\n")
    with pytest.raises(InputError, match=r"ratings\.csv: expected the header userId,movieId"):
        open_log(tmp_path)


def test_every_name_is_known_to_tensorflow_datasets():
    tfds = pytest.importorskip("tensorflow_datasets")
    configs = tfds.builder_cls("movielens").builder_configs
    sizes = {name.removesuffix("-ratings") for name in configs if name.endswith("-ratings")}
    assert {f"ml-{size}" for size in sizes} == set(options.MOVIELENS_NAMES)


def test_tensorflow_datasets(monkeypatch):
    """The real builder's features, with made-up rows in place of the download."""
    tfds = pytest.importorskip("tensorflow_datasets")

    def rows(self, *args, **kwargs):
        import tensorflow as tf

        genres = [[2, 4], [], [15]]
        examples = [
            {"user_id": u, "movie_id": i, "user_rating": r, "timestamp": t, "movie_genres": g}
            for (u, i, r, t), g in zip(RATINGS, genres, strict=True)
        ]
        spec = {
            "user_id": tf.TensorSpec([], tf.string),
            "movie_id": tf.TensorSpec([], tf.string),
            "user_rating": tf.TensorSpec([], tf.float32),
            "timestamp": tf.TensorSpec([], tf.int64),
            "movie_genres": tf.TensorSpec([None], tf.int64),
        }
        used = {"movie_id", "movie_genres"} if "movies" in self.info.full_name else set(spec)
        assert used <= set(self.info.features)
        assert kwargs["split"] == "train" and not kwargs["shuffle_files"]
        return tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=spec)

    builder = tfds.builder_cls("movielens")
    monkeypatch.setattr(builder, "download_and_prepare", lambda self: None)
    monkeypatch.setattr(builder, "as_dataset", rows)

    class Splits(dict):
        def __missing__(self, key):
            return type("Split", (), {"num_examples": 3})

    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", Splits())
    log = movielens.open_log("ml-100k", {"raw_dir": None, "on_bad_line": "error"})
    ratings, genres = read(log)
    assert ratings == RATINGS
    assert genres == {"1": ["Animation", "Comedy"], "3": ["Sci-Fi"]}
    assert log.provenance["tensorflow_datasets"].startswith("movielens/100k-ratings/")


def test_download_failure_offers_raw_dir(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    def fail(self):
        raise OSError("no network")

    monkeypatch.setattr(tfds.builder_cls("movielens"), "download_and_prepare", fail)
    with pytest.raises(InputError, match="raw_dir .*no network"):
        movielens.open_log("ml-20m", {"raw_dir": None, "on_bad_line": "error"})
