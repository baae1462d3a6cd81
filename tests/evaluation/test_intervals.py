"""The bootstrap interval over users: closed forms, coverage by simulation, bad arguments."""

import math

import numpy as np
import pytest

from tfrecs.evaluation.intervals import bootstrap_interval


def test_width_is_that_of_the_normal_approximation():
    values = np.repeat([0.0, 1.0], [700, 300])
    low, high = bootstrap_interval(values, samples=20_000)
    error = math.sqrt(0.3 * 0.7 / 1000)
    assert low == pytest.approx(0.3 - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(0.3 + 1.96 * error, abs=0.1 * error)


def test_equals_drawing_the_users_one_by_one():
    values = np.random.default_rng(1).exponential(size=80)
    random = np.random.default_rng(2)
    means = values[random.integers(80, size=(100_000, 80))].mean(1)
    expected = np.quantile(means, [0.05, 0.95])
    assert bootstrap_interval(values, samples=100_000, level=0.9) == pytest.approx(expected, rel=0.01)


def test_equal_seeds_give_equal_intervals_and_a_constant_has_no_width():
    values = np.random.default_rng(0).random(500)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    assert bootstrap_interval(np.full(10, 0.25)) == (0.25, 0.25)


def hits(random):
    """943 users, of whom a fifth are hits, as HR@10 on MovieLens 100K."""
    return (random.random(943) < 0.2).astype(float), 0.2


def gains(random):
    """NDCG@10 of ranks that are uniform over 40 places."""
    places = np.arange(1, 41)
    gain = np.where(places <= 10, 1 / np.log2(places + 1), 0.0)
    return gain[random.integers(40, size=943)], gain.mean()


def reciprocals(random):
    """Reciprocal ranks, skewed: ranks are log-uniform over 100 places."""
    places = np.arange(1, 101)
    share = 1 / places / (1 / places).sum()
    return 1 / places[random.choice(100, size=943, p=share)], float((share / places).sum())


@pytest.mark.parametrize("draw", [hits, gains, reciprocals])
def test_95_percent_intervals_cover_the_truth_in_95_percent_of_simulated_cases(draw):
    random, covered = np.random.default_rng(0), []
    for case in range(200):
        values, truth = draw(random)
        low, high = bootstrap_interval(values, seed=case, samples=1000)
        covered.append(low <= truth <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"values": []}, "values"),
        ({"values": [[0.5]]}, "values"),
        ({"values": [0.5, math.nan]}, "values"),
        ({"values": [0.5], "samples": 0}, "samples"),
        ({"values": [0.5], "level": 1.0}, "level"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=rf"^{named}: "):
        bootstrap_interval(**arguments)
