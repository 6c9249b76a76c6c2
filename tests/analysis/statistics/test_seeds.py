"""The between-seed part: what networks of a seed share, imputed shares, and what one seed cannot see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics.contrasts import estimate
from analysis.statistics.measures import Measures
from analysis.statistics.seeds import between_seeds
from analysis.statistics.terms import Contrast, Term

NAMES = ("a", "b", "c", "d", "e", "f", "g")
MEAN = Contrast("mean", "train_loss", (Term(1.0, 100),), "nats")


def grid(losses: dict[tuple[str, int], float], init: str = "random", size: int = 100) -> Measures:
    """One size and arm from {(network, seed): loss}."""
    rows = [
        {
            "architecture": a, "train_images": size, "init": init, "freeze": "none", "seed": s,
            "balance": "natural",
            "depth": 5 + NAMES.index(a), "parameters": 10 ** (5 + NAMES.index(a)), "train_loss": v,
        }
        for (a, s), v in losses.items()
    ]  # fmt: skip
    return Measures(pd.DataFrame(rows))


def test_what_networks_of_a_seed_share_is_in_the_interval() -> None:
    """Half of a seed's luck is common to seven networks: the mean's variance is four times what it would be
    otherwise. Blocks cover 95 %; networks taken as independent replicates cover less than 80 %."""
    rng = np.random.default_rng(0)
    covered, before = 0, 0
    for _ in range(500):
        values = 20 + rng.normal(size=(1, 3)) + rng.normal(size=(7, 3))
        found = estimate(grid({(a, s): values[k, s] for k, a in enumerate(NAMES) for s in range(3)}), MEAN)
        assert found is not None
        assert found.degrees_of_freedom == pytest.approx(2)
        covered += found.low <= 20 <= found.high
        error = np.sqrt(values.var(axis=1, ddof=1).sum() / 3) / 7
        before += abs(values.mean() - 20) <= stats.t.ppf(0.975, 14) * error
    assert covered / 500 == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 500))
    assert before / 500 < 0.80


def test_a_complete_grid_is_a_t_test_of_the_seeds_sums() -> None:
    rng = np.random.default_rng(1)
    values = 10 + rng.normal(size=(7, 5))
    found = estimate(grid({(a, s): values[k, s] for k, a in enumerate(NAMES) for s in range(5)}), MEAN)
    assert found is not None
    exact = stats.ttest_1samp(values.mean(axis=0), 10).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_a_second_seed_of_one_network_is_one_degree_of_freedom() -> None:
    """Six networks' shares are imputed from the one that has two seeds, and rest on its degree of freedom.

    Networks of unit variance: the mean's is (6 + 1/2) / 49. The donor's own share is a half of one of them,
    so what is seen is scaled by 13; the scaled variance has one degree of freedom, and intervals cover 95 %.
    With the denominator of the donor's share alone the degrees of freedom would be 13 x 13 x 3 - 2 = 505.
    """
    rng = np.random.default_rng(2)
    network, seed = np.array([0, 0, 1, 2, 3, 4, 5, 6]), np.array([0, 1, 0, 0, 0, 0, 0, 0])
    weights = np.where(network == 0, 0.5, 1.0) / 7
    variances, covered = [], 0
    for _ in range(2_000):
        values = rng.normal(size=8)
        part = between_seeds(values, weights, network, seed, None)
        assert part.source == "measured"
        assert part.variance**2 / part.denominator - 2 == pytest.approx(1)
        variances.append(part.variance)
        covered += abs(weights @ values) <= stats.t.ppf(0.975, 1) * np.sqrt(part.variance)
    assert np.mean(variances) == pytest.approx(6.5 / 49, rel=0.1)
    assert covered / 2_000 == pytest.approx(0.95, abs=0.015)


def test_what_patients_explain_of_the_seeds_differences_is_taken_off() -> None:
    """Errors on the patients alone, independent between seeds: nothing is left for the seeds on average."""
    rng = np.random.default_rng(3)
    network, seed = np.repeat(np.arange(7), 3), np.tile(np.arange(3), 7)
    weights, shared = np.full(21, 1 / 21), 0.02**2 * np.eye(21)
    parts = [between_seeds(0.02 * rng.normal(size=21), weights, network, seed, shared) for _ in range(400)]
    raw = [between_seeds(0.02 * rng.normal(size=21), weights, network, seed, None) for _ in range(400)]
    assert np.mean([part.variance for part in raw]) == pytest.approx(0.02**2 / 21, rel=0.15)
    assert np.median([part.variance for part in parts]) < 0.3 * 0.02**2 / 21


@pytest.mark.parametrize(("init", "source"), [("random", "runs"), ("photos", "unknown")])
def test_one_seed_sees_nothing_of_an_upstream_networks_luck(init: str, source: str) -> None:
    rng = np.random.default_rng(4)
    tables = [
        grid({(a, 0): 9 + float(rng.normal()) for a in NAMES}, init, size).cells
        for size in (100, 200, 400, 800)
    ]
    measures = Measures(pd.concat(tables, ignore_index=True))
    found = estimate(measures, Contrast("mean", "train_loss", (Term(1.0, 100, init),), "nats"))
    assert found is not None
    assert found.seed_part == source
    assert np.isnan(found.low) == (source == "unknown")
