"""Confidence intervals of means over users, by the bootstrap; numpy only."""

import numpy as np
from numpy.typing import ArrayLike

SAMPLES, LEVEL = 2000, 0.95
BLOCK = 1 << 22  # numbers drawn at a time: bounds memory


def bootstrap_interval(
    values: ArrayLike, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean over users.

    Users are drawn with replacement, as many as there are, and their values averaged; the interval holds the middle
    `level` of these means. It says how far the figure would move with other users of the same kind. It does not say
    how far it moves with another training seed. Efron, *Bootstrap methods: another look at the jackknife*, 1979.

    Users with equal values are drawn together, so the cost grows with the number of distinct values.

    Args:
        values: float array `[users]`, one value per user, at least one.
        seed: int; equal seeds give equal intervals.
        samples: int, how many times the users are drawn.
        level: float in (0, 1).

    Returns:
        `(low, high)`, floats.

    Raises:
        ValueError: naming the argument: no users, a value that is not finite, no samples, or a level outside (0, 1).

    Example:
        >>> low, high = bootstrap_interval([0.0, 1.0] * 200)
        >>> bool(0.44 < low < 0.46), bool(0.54 < high < 0.56)
        (True, True)
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"values: expected a vector of one value per user, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("values: not all finite")
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a share between 0 and 1, got {level}")
    distinct, counts = np.unique(values, return_counts=True)
    random, shares, means = np.random.default_rng(seed), counts / values.size, []
    for first in range(0, samples, rows := max(1, BLOCK // distinct.size)):
        drawn = random.multinomial(values.size, shares, size=min(rows, samples - first))
        means.append(drawn @ distinct / values.size)
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
