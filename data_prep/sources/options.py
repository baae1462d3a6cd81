"""The options of every source; nothing here loads what reads the data, so that help and bad flags answer at once."""

from tfrecs.options import Option

ON_BAD_LINE = Option(
    str, "error", "stop at a line that cannot be read, or skip and count it", choices=("error", "skip")
)

MOVIELENS_NAMES = ("ml-100k", "ml-1m", "ml-20m", "ml-25m", "ml-latest-small")
SAMPLE = {
    "num_users": Option(int, 1500, "users to generate", 1, 10**9),
    "num_items": Option(int, 600, "items to generate", 20, 10**7),
    "mean_length": Option(int, 32, "mean number of interactions of a user", 3, 10**4),
    "seed": Option(int, 7, "seed of the generator", minimum=0),
    "kinds": Option(int, 0, "add queries and coupons to the items", 0, 1),
}
MOVIELENS = {
    "raw_dir": Option(str, None, "directory of the raw files"),
    "on_bad_line": ON_BAD_LINE,
}
AMAZON = {
    "raw_dir": Option(str, None, "directory of the raw files"),
    "reviews": Option(str, None, "file of reviews in raw_dir; default reviews_*.json or *_5.json, also with .gz"),
    "metadata": Option(str, None, "file of metadata in raw_dir; default meta_*.json, also with .gz"),
    "on_bad_line": ON_BAD_LINE,
}
ATOMIC = {
    "raw_dir": Option(str, None, "directory of the raw files"),
    "file": Option(str, None, "which log in raw_dir, if there are several"),
    "user_column": Option(str, "user_id", "name of the user column"),
    "item_column": Option(str, "item_id", "name of the item column"),
    "rating_column": Option(str, None, "name of the rating column; default rating, if there is one"),
    "timestamp_column": Option(str, None, "name of the timestamp column; default timestamp, if there is one"),
    "action_column": Option(str, None, "name of the action column; default action, if there is one"),
    "attributes": Option(
        str,
        None,
        "columns of the .item file to read, a,b,c; default all token columns except titles, names, addresses and such",
    ),
    "seq_separator": Option(str, " ", "separator of the values of a token_seq field"),
    "on_bad_line": ON_BAD_LINE,
}
SEQUENCES = {
    "raw_dir": Option(str, None, "directory of the raw files"),
    "file": Option(str, None, "which log in raw_dir, if there are several"),
    "attributes_file": Option(str, None, "which *_item2attributes.json in raw_dir, if there are several"),
    "attribute_name": Option(str, "categories", "name of the attribute"),
    "on_bad_line": ON_BAD_LINE,
}
ITEMS_FILE = {
    "items": Option(str, None, "table of item attributes: .csv, .tsv, .txt, also with .gz, or .parquet"),
    "items_item_column": Option(str, None, "item column of that table; default the name of the log's"),
    "items_columns": Option(
        str, None, "columns that become attributes, a,b,c; default all except titles, names, addresses and such"
    ),
    "items_lists": Option(str, None, "columns that hold several values, a,b,c; list columns of parquet are recognised"),
    "items_list_separator": Option(str, "|", "separator of the values of a list in text"),
    "items_kind": Option(str, None, "column of the kind of object (item, query, coupon)"),
    "items_delimiter": Option(str, None, "field separator of that table; default by the file name"),
}
DELIMITED = {
    "path": Option(str, None, "file to read: .csv, .tsv, .txt, also with .gz, or .parquet"),
    "user_column": Option(str, "user", "name of the user column"),
    "item_column": Option(str, "item", "name of the item column"),
    "timestamp_column": Option(str, None, "name of the timestamp column: ISO 8601 dates, or unix time in s, ms or us"),
    "rating_column": Option(str, None, "name of the rating column"),
    "action_column": Option(str, None, "name of the action column"),
    "delimiter": Option(str, None, "field separator; default by the file name"),
    "on_bad_line": ON_BAD_LINE,
    **ITEMS_FILE,
}
