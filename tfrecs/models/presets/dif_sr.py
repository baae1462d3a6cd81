"""DIF-SR's presets, and the names its original gave to flags."""

PRESETS = {
    "recommended": {
        "model": dict(),
        "training": dict(
            learning_rate=2e-3,
            batch_tokens=2048,
            epochs=12,
            decay_epochs=12,
            select_metric="recall@20",
            protocol="recbole",
        ),
    },
}
ALIASES = {}
