"""MovieLens: the GroupLens files in a directory, or tensorflow-datasets where none is given.

`NAME_ratings.csv`, as ARERec publishes it, is read too: four columns under any header.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from data_prep.readers import blocks, movielens_tfds, text
from data_prep.readers.blocks import Layout
from data_prep.readers.log import BadLines, Log
from data_prep.sources.delimited import digest_raw
from tfrecs.errors import InputError, option

FIELDS = ("timestamp", "rating")
ROLES = {"user": 0, "item": 1, "rating": 2, "timestamp": 3}
LAYOUTS = {
    "u.data": blocks.Layout(ROLES, 4, "\t", quoted=False, header=False),
    "ratings.dat": blocks.Layout(ROLES, 4, "::", quoted=False, header=False),
    "ratings.csv": blocks.Layout(ROLES, 4, ",", quoted=True, header=True),
}
HEADER = ["userId", "movieId", "rating", "timestamp"]
# Of each file of movies: its encoding, and how a line is laid out.
MOVIE_FILES = {
    "u.data": ("u.item", "latin-1", blocks.Layout({}, 24, "|", quoted=False, header=False)),
    "ratings.dat": ("movies.dat", "latin-1", blocks.Layout({}, 3, "::", quoted=False, header=False)),
    "ratings.csv": ("movies.csv", "utf-8", blocks.Layout({}, 3, ",", quoted=True, header=True)),
}
NO_GENRES = "(no genres listed)"
# The flags at the end of a line of u.item, in their order in u.genre.
U_ITEM_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)


def open_log(name: str, options: Mapping[str, Any]) -> Log:
    """Opens a MovieLens log; where genres are known, items have `genres`, a list, and `category`, the first.

    Args:
        name: str, one of `data_prep.sources.options.MOVIELENS_NAMES`.
        options: dict, as `data_prep.sources.options.MOVIELENS`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: no ratings in the directory, an empty file or another header.
    """
    if options["raw_dir"] is None:
        return movielens_tfds.open_log(name)
    ratings, kind = _find_ratings(options["raw_dir"], name)
    path = os.path.join(options["raw_dir"], ratings)
    raw_files = {ratings: digest_raw(path)}
    layout = LAYOUTS[kind]
    if kind == ratings and layout.header and text.read_header(path, layout.delimiter) != HEADER:
        raise InputError(f"{path}: expected the header {','.join(HEADER)}")
    bad_lines = BadLines(options["on_bad_line"], {})
    provenance = {"raw_files": raw_files, "bad_lines": bad_lines.counts}
    log = Log(name, FIELDS, lambda: text.read(path, layout, bad_lines), provenance)
    movies, encoding, movie_layout = MOVIE_FILES[kind]
    movies_path = os.path.join(options["raw_dir"], movies)
    if os.path.exists(movies_path):
        raw_files[movies] = digest_raw(movies_path)
        log.attributes = {"genres": "list"}
        log.attribute_chunks = lambda: _genres(movies_path, encoding, movie_layout)
        log.add_first("genres", "category")
    return log


def _find_ratings(raw_dir: str, name: str) -> tuple[str, str]:
    """The file of ratings, and the one of `LAYOUTS` that it is laid out as."""
    if not os.path.isdir(raw_dir):
        raise InputError(f"{option('raw_dir')} {raw_dir}: no such directory")
    for ratings in LAYOUTS:
        if os.path.exists(os.path.join(raw_dir, ratings)):
            return ratings, ratings
    if os.path.exists(os.path.join(raw_dir, f"{name}_ratings.csv")):
        return f"{name}_ratings.csv", "ratings.csv"
    raise InputError(f"{option('raw_dir')} {raw_dir}: holds none of {', '.join(LAYOUTS)}, {name}_ratings.csv")


def _genres(path: str, encoding: str, layout: Layout) -> Iterator[tuple[str, pa.Table]]:
    """Yields the movies' genres, as `Log.attribute_chunks`."""
    has_header = layout.header
    for block, line, _ in blocks.blocks(path, layout):
        items, values = [], []
        for number, record in blocks.records(block, line, layout):
            if has_header:
                has_header = False
                continue
            try:
                fields = blocks.split_record(record.decode(encoding), layout)
            except UnicodeDecodeError:
                raise InputError(f"{path}:{number}: not {encoding}: {record[:80]!r}") from None
            except ValueError as error:
                raise InputError(f"{path}:{number}: {error}: {record[:80]!r}") from None
            if len(fields) != layout.num_columns:
                raise InputError(
                    f"{path}:{number}: expected {layout.num_columns} fields, found {len(fields)}: {record[:80]!r}"
                )
            for genre in _genres_of(fields):
                items.append(fields[0])
                values.append(genre)
        yield "genres", pa.table({"item": pa.array(items, pa.string()), "value": pa.array(values, pa.string())})


def _genres_of(fields: Sequence[str]) -> list[str]:
    if len(fields) == 3:
        return [genre for genre in fields[2].split("|") if genre not in ("", NO_GENRES)]
    flags = zip(U_ITEM_GENRES, fields[-len(U_ITEM_GENRES) :], strict=True)
    return [genre for genre, flag in flags if flag == "1"]
