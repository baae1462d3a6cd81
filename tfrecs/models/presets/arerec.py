"""ARERec's presets, and the names its original gave to flags."""

PRESETS = {
    # Chosen on the validation ratings of ml-100k (seed 0): dropout of the units, as `run.py` has it with
    # `--use_dropout 1`, lowered the error most. The lazy Adam saves reading tables of which a batch touches little.
    "recommended": {
        "model": dict(dropout=(0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)),
        "training": dict(learning_rate=1e-3, batch_size=256, epochs=8, optimizer="lazy_adam"),
    },
    # `run.py`'s defaults; `max_seq` is there the mean length of the lists (on ml-100k, items of 20 ratings: 101).
    "original": {
        "model": dict(
            embedding_dim=64,
            max_seq=101,
            neighbours="all",
            padding_floor=True,
            random_split=0.2,
            probability_floor=1e-7,
        ),
        "training": dict(
            learning_rate=1e-4,
            batch_size=128,
            epochs=2,
            train_split="all",
            validation_split="test",
            protocol="rated_list",
            published_lists=True,
            select_metric="hr@10",
        ),
    },
}
# The original's flag names: (ours, how the value changes). Its `--use_dropout 0 --use_regularizer 0` are our defaults.
ALIASES = {
    "emb_size": ("embedding_dim", None),
    "num_head": ("num_heads", None),
    "regularizer": ("l2", None),
}
