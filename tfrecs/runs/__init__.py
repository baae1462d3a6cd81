"""The contents of a run directory: configuration, checkpoints, history, metrics, and the marker that lists them."""
