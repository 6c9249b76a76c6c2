"""Variances between seeds, runs and counts, and their degrees of freedom, worked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.measures import Measures
from analysis.statistics.run_scatter import RunNoise, Scatter
from analysis.statistics.seeds import UNKNOWN, between_counts, between_runs, between_seeds

SCRATCH, FROZEN, PHOTOS = ("random", "none"), ("random", "backbone"), ("photos", "none")


# Several seeds


def test_a_complete_grid_with_what_patients_explain_by_hand() -> None:
    """Two networks, three seeds; seeds' means over the networks are 2, 3 and 7, their mean 4.

    Squares 4 + 1 + 9 = 14, over 3 x 2: 7 / 3, with two degrees of freedom. Errors on the patients that both
    networks of a seed share (variance 0.6), and seeds do not, explain 0.6 / 3 of it; what all six share,
    nothing.
    """
    values = np.array([1.0, 3.5, 5.0, 3.0, 2.5, 9.0])
    network, seed = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    weights = np.full(6, 1 / 6)
    within = 0.6 * np.equal.outer(seed, seed)
    for shared, explained in ((None, 0.0), (within, 0.2), (within + 5.0, 0.2), (np.full((6, 6), 5.0), 0.0)):
        part = between_seeds(values, weights, network, seed, shared)
        assert part.source == "measured"
        assert part.raw == pytest.approx(7 / 3)
        assert part.freedom == pytest.approx(2)
        assert part.explained == pytest.approx(explained)
        assert part.variance == pytest.approx(7 / 3 - explained)
        assert part.denominator == pytest.approx((7 / 3) ** 2 / 4)


def test_a_variance_goes_with_the_square_of_the_weights_however_small() -> None:
    values, network, seed = np.array([1.0, 3.5, 3.0, 2.5]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    whole = between_seeds(values, np.full(4, 0.25), network, seed, None)
    tiny = between_seeds(values, np.full(4, 0.25e-6), network, seed, None)
    assert whole.variance > 0
    assert tiny.variance == pytest.approx(1e-12 * whole.variance)
    assert tiny.freedom == pytest.approx(whole.freedom)


def test_patients_that_explain_more_than_was_seen_leave_nothing() -> None:
    part = between_seeds(np.array([1.0, 1.2]), np.full(2, 0.5), np.zeros(2, int), np.arange(2), np.eye(2))
    assert part.variance == 0
    assert part.explained == pytest.approx(0.5)
    assert part.raw == pytest.approx(0.01)


def test_one_seed_of_each_network_measures_nothing() -> None:
    assert between_seeds(np.arange(3.0), np.full(3, 1 / 3), np.arange(3), np.zeros(3, int), None) == UNKNOWN


# One seed


def cells_with(
    networks: list[str], arms: list[tuple[str, str]], noise: dict[tuple[str, str], RunNoise]
) -> Measures:
    """Stands in for measures: all that `between_runs` asks of them."""
    found: object = SimpleNamespace(
        cells=pd.DataFrame({"architecture": networks}), arms=arms, noise=lambda metric: noise
    )
    return found  # type: ignore[return-value]


def noise_of(freedom: float, pooled: Scatter) -> RunNoise:
    return RunNoise(pooled, {name: Scatter(k, k + 1.0, freedom) for k, name in enumerate("abcd", start=1)})


@pytest.mark.parametrize(
    ("own", "together", "denominator"),
    [(1.0, 60.0, (4 + 9 + 16 + 25) / 256 / 3), (20.0, 6.0, (14 / 16) ** 2 / 8)],
)
def test_runs_of_four_networks_count_with_their_own_scatter(
    own: float, together: float, denominator: float
) -> None:
    """Weights 1/4: variances 1 to 4 make 10 / 16, with the patients' part 2 to 5 make 14 / 16.

    Their degrees of freedom are Satterthwaite's, but no more than the whole arm has.
    """
    noise = {SCRATCH: noise_of(own, Scatter(100.0, 100.0, together))}
    part = between_runs(cells_with(list("abcd"), [SCRATCH] * 4, noise), "m", np.full(4, 0.25))
    assert part.source == "runs"
    assert part.variance == pytest.approx(10 / 16)
    assert part.denominator == pytest.approx(denominator)


@pytest.mark.parametrize(("pooled", "expected"), [(9.0, 9.0), (1.2, 1.5)])
def test_runs_of_two_networks_take_the_larger_scatter(pooled: float, expected: float) -> None:
    """Two networks, each a difference of two cells with 1/2: own variances make (1 + 2) / 2, the pooled one
    (1 + 1) / 2 times itself."""
    noise = {SCRATCH: noise_of(2.0, Scatter(pooled, pooled, 6.0))}
    halves = np.array([0.5, -0.5, 0.5, -0.5])
    part = between_runs(cells_with(list("aabb"), [SCRATCH] * 4, noise), "m", halves)
    assert part.variance == pytest.approx(expected)


def test_cells_without_weight_and_their_arms_do_not_count() -> None:
    noise = {SCRATCH: noise_of(2.0, Scatter(1.0, 1.0, 6.0))}
    weights = np.array([0.25, 0.25, 0.25, 0.25, 0.0])
    part = between_runs(cells_with(list("abcda"), [*[SCRATCH] * 4, PHOTOS], noise), "m", weights)
    assert part.variance == pytest.approx(10 / 16)


def test_two_arms_from_scratch_have_the_degrees_of_freedom_of_both() -> None:
    noise = {arm: noise_of(1000.0, Scatter(50.0, 50.0, 6.0)) for arm in (SCRATCH, FROZEN)}
    names, arms = list("abcdabcd"), [SCRATCH] * 4 + [FROZEN] * 4
    part = between_runs(cells_with(names, arms, noise), "m", np.array([0.25] * 4 + [-0.25] * 4))
    assert part.variance == pytest.approx(20 / 16)
    assert part.denominator == pytest.approx((28 / 16) ** 2 / (12 + 2))


def test_networks_that_scatter_less_than_nothing_together_scatter_nothing() -> None:
    own = {name: Scatter(-1.0, 0.5, 2.0) for name in "abcd"}
    noise = {SCRATCH: RunNoise(Scatter(1.0, 1.0, 6.0), own)}
    part = between_runs(cells_with(list("abcd"), [SCRATCH] * 4, noise), "m", np.full(4, 0.25))
    assert part.variance == 0
    assert part.denominator > 0


@pytest.mark.parametrize("other", [PHOTOS, FROZEN])
def test_an_upstream_or_an_arm_without_scatter_is_unknown(other: tuple[str, str]) -> None:
    noise = {arm: noise_of(2.0, Scatter(1.0, 1.0, 6.0)) for arm in (SCRATCH, PHOTOS)}
    measures = cells_with(list("abcda"), [*[SCRATCH] * 4, other], noise)
    assert between_runs(measures, "m", np.full(5, 0.2)) == UNKNOWN


# Counts


def counted(counts: dict[tuple[str, int, str, int], float]) -> Measures:
    """Measures from {(network, size, init, seed): count}."""
    rows = [
        {
            "architecture": a, "train_images": n, "init": i, "freeze": "none", "seed": s,
            "balance": "natural", "depth": 5, "parameters": 10, "spikes": v,
        }
        for (a, n, i, s), v in counts.items()
    ]  # fmt: skip
    return Measures(pd.DataFrame(rows))


def test_counts_of_several_seeds_are_quasi_poisson_by_hand() -> None:
    """Network a counts 0, 4 and 2, 2 at two sizes, network b 9, 15 and 10, 14.

    Half a count more in all: means (8 + 1/2) / 4 = 2.125 and 48.5 / 4 = 12.125. Squares around the means of
    seeds: a 4 + 4, b 9 + 9 + 4 + 4, over four degrees of freedom: dispersion (8 / 2.125 + 26 / 12.125) / 4.
    """
    table = {("a", 100): (0, 4), ("a", 200): (2, 2), ("b", 100): (9, 15), ("b", 200): (10, 14)}
    measures = counted(
        {(a, n, "random", s): float(v) for (a, n), pair in table.items() for s, v in enumerate(pair)}
        | {("a", 100, "photos", 0): 1e6, ("b", 100, "random", 2): float("nan")}
    )
    weights = np.zeros(10)
    weights[:4] = 1 / 4, 1 / 4, -1 / 4, -1 / 4
    dispersion = (8 / 2.125 + 26 / 12.125) / 4
    assert dispersion > 1
    part = between_counts(measures, "spikes", weights)
    assert part.source == "measured"
    assert part.freedom == 4
    assert part.variance == pytest.approx(dispersion * 2.125 / 4)
    assert part.denominator == pytest.approx(part.variance**2 / 6)
    assert (part.raw, part.explained) == (part.variance, 0)


def test_counts_are_taken_for_no_steadier_than_chance_makes_them() -> None:
    """Equal counts of 7: Poisson's variance, the mean (28 + 1/2) / 4, remains."""
    measures = counted({("a", n, "random", s): 7.0 for n in (100, 200) for s in (0, 1)})
    part = between_counts(measures, "spikes", np.array([0.5, 0.5, 0.0, 0.0]))
    assert part.variance == pytest.approx(28.5 / 4 / 2)


def test_counts_of_one_seed_go_by_levels_of_networks_and_sizes() -> None:
    """Three networks, three sizes; levels 20, 40, 60 and 0, 5, 10 leave 12, -12 and -12, 12 at four corners.

    Those sum to zero in every row and column, so that they are the residuals: four squares of 144, with
    (3 - 1) x (3 - 1) degrees of freedom.
    """
    corner = {("a", 100): 12.0, ("a", 400): -12.0, ("c", 100): -12.0, ("c", 400): 12.0}
    level, more = {"a": 20.0, "b": 40.0, "c": 60.0}, {100: 0.0, 200: 5.0, 400: 10.0}
    counts = {(a, n, "random", 0): level[a] + more[n] + corner.get((a, n), 0.0) for a in level for n in more}
    means = {a: (3 * level[a] + 15 + 0.5) / 3 for a in level}
    part = between_counts(counted(counts), "spikes", np.array([0.0, 0, 0, 0, 0, 1.0, 0, 0, 0]))
    dispersion = (288 / means["a"] + 288 / means["c"]) / 4
    assert part.source == "runs"
    assert part.freedom == 4
    assert dispersion > 1
    assert part.variance == pytest.approx(dispersion * means["b"])


def test_a_single_count_says_nothing_of_chance() -> None:
    assert between_counts(counted({("a", 100, "random", 0): 3.0}), "spikes", np.ones(1)) == UNKNOWN
