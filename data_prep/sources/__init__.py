"""Where logs come from: one module a source, one entry a dataset name.

A source module has `OPTIONS`, a dict of name to `tfrecs.options.Option`, and
`open_log(name, options)`, which returns a `data_prep.readers.log.Log`.
"""

from data_prep.sources import amazon, atomic, delimited, movielens, sample, sequences

SOURCES = {
    "sample": sample,
    **dict.fromkeys(movielens.NAMES, movielens),
    "amazon": amazon,
    "atomic": atomic,
    "sequences": sequences,
    "delimited": delimited,
}
