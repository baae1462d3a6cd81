"""Small sound raw files of every source."""

import collections
import gzip
import io
import json

from pyarrow import csv, parquet

ROWS = [
    (f"u{i % 5}", f"i{i * 7 % 11}", 3 + i % 3, 880_000_000 + 100 * i, "view" if i % 3 else "buy") for i in range(24)
]


def _lines(separator, rows, header=None, end="\n"):
    rows = [header, *rows] if header else rows
    return "".join(separator.join(map(str, row)) + end for row in rows).encode()


def _numbers():
    return [(int(user[1:]) + 1, int(item[1:]) + 1, rating, time) for user, item, rating, time, _ in ROWS]


def _parquet():
    file = io.BytesIO()
    table = csv.read_csv(io.BytesIO(_lines(",", ROWS, ("user", "item", "rating", "time", "action"))))
    parquet.write_table(table, file, row_group_size=10)
    return file.getvalue()


def _reviews():
    keys = ("reviewerID", "asin", "overall", "unixReviewTime")
    return "".join(json.dumps(dict(zip(keys, row))) + "\n" for row in ROWS).encode()


def _metadata():
    products = [
        {"asin": f"i{i}", "categories": [["Toys", f"c{i % 3}"], ["Toys"]], "brand": "Ace" if i % 2 else None}
        for i in range(11)
    ]
    return "".join(f"{product!r}\n" for product in products).encode()


def _sequences():
    items = collections.defaultdict(list)
    for user, item, *_ in ROWS:
        items[user].append(item)
    return _lines(" ", [(user, *row) for user, row in items.items()])


def _genres(item):
    return "|".join([str(item), "Film, the", "01-Jan-1995", "", "http://x", *"0101000000000000010"])


FILES = {  # source -> [(files, options)], the first file is the log
    "ml-100k": [
        ({"u.data": _lines("\t", _numbers()), "u.item": "\n".join(map(_genres, range(1, 12))).encode()}, {}),
    ],
    "ml-1m": [
        (
            {
                "ratings.dat": _lines("::", _numbers()),
                "movies.dat": b"".join(b"%d::Film::Drama|War\n" % i for i in range(1, 12)),
            },
            {},
        )
    ],
    "ml-20m": [
        (
            {
                "ratings.csv": _lines(",", _numbers(), ("userId", "movieId", "rating", "timestamp"), "\r\n"),
                "movies.csv": b"movieId,title,genres\n"
                + b"".join(b'%d,"Film, a ""good"" one",Drama|War\n' % i for i in range(1, 12)),
            },
            {},
        )
    ],
    "amazon": [
        ({"reviews_Toys_5.json": _reviews(), "meta_Toys.json": _metadata()}, {}),
        ({"reviews_Toys_5.json.gz": gzip.compress(_reviews()), "meta_Toys.json.gz": gzip.compress(_metadata())}, {}),
    ],
    "atomic": [
        (
            {
                "toys.inter": _lines(
                    "\t",
                    ROWS,
                    ("user_id:token", "item_id:token", "rating:float", "timestamp:float", "action:token"),
                ),
                "toys.item": _lines(
                    "\t",
                    [(f"i{i}", "a b" if i % 2 else "c", "x", 1.5) for i in range(11)],
                    ("item_id:token", "categories:token_seq", "brand:token", "price:float"),
                ),
                "toys.user": _lines("\t", [("u1", 20)], ("user_id:token", "age:float")),
            },
            {},
        )
    ],
    "sequences": [
        (
            {
                "toys.txt": _sequences(),
                "toys_item2attributes.json": json.dumps({f"i{i}": [i % 3, i % 4] for i in range(11)}).encode(),
            },
            {},
        ),
        (
            {
                "toys.txt.gz": gzip.compress(_sequences()),
                "toys_item2attributes.json.gz": gzip.compress(json.dumps({f"i{i}": [i] for i in range(11)}).encode()),
            },
            {},
        ),
    ],
    "delimited": [
        (
            {"log.csv": _lines(",", ROWS, ("user", "item", "rating", "time", "action"))},
            {"rating_column": "rating", "timestamp_column": "time", "action_column": "action"},
        ),
        (
            {"log.csv": b'"user","item"\n' + b"".join(b'"u%d","i ""%d"",\nx"\n' % (i % 5, i % 7) for i in range(24))},
            {},
        ),
        (
            {"log.tsv.gz": gzip.compress(_lines("\t", ROWS, ("user", "item", "rating", "time", "action")))},
            {"timestamp_column": "time"},
        ),
        (
            {"log.parquet": _parquet()},
            {"rating_column": "rating", "timestamp_column": "time", "action_column": "action"},
        ),
        (
            {
                "log.csv": _lines(",", ROWS, ("user", "item", "rating", "time", "action")),
                "items.csv": b"item,kind,tags\n" + b"".join(b"i%d,item,a|b\n" % i for i in range(11)),
            },
            {"items": "items.csv", "items_lists": "tags", "items_list_separator": "|", "items_kind": "kind"},
        ),
    ],
}
