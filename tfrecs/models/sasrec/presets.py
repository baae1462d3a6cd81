"""SASRec's presets, and the names its original gave to flags."""

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The model is the constructor's defaults.
    "recommended": {
        "model": {},
        "training": dict(
            learning_rate=2e-3,
            batch_tokens=2048,
            epochs=16,
            decay_epochs=16,
            select_metric="ndcg@10",
        ),
    },
    # `main.py`'s defaults. Kang and McAuley use --max_history 200 --dropout .2 on MovieLens 1M, where histories are
    # long, and 50 and .5 on Amazon's data and Steam.
    "original": {
        "model": dict(
            max_history=50,
            num_layers=2,
            num_heads=1,
            dim=50,
            inner_dim=50,
            dropout=0.5,
            attention_dropout=0.5,
            activation="relu",
            normalization="pre_residual",
            positions_from="end",
            scale_items=True,
            output_projection=False,
            inner_dropout=True,
            item_loss="bce",
            last_window=True,
            initializer_range=0.0,
        ),
        "training": dict(
            learning_rate=1e-3, batch_size=128, epsilon=1e-8, beta_2=0.98, epochs=201, select_metric="ndcg@10"
        ),
    },
}
SMALLEST_RUN = dict(dim=8, num_heads=2, num_layers=1, inner_dim=8, batch_tokens=60)  # for tests: seconds an epoch
# The original's names: (ours, how the value changes). Its --hidden_units and --dropout_rate are two arguments each.
ALIASES = {"maxlen": ("max_history", None), "num_blocks": ("num_layers", None)}
