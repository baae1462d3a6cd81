"""Runs: configuration, distribution, checkpoints, evaluation and the loop."""
