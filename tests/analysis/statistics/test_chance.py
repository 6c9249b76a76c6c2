"""The distribution of errors from few seeds and many patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from analysis.statistics.chance import Chance


@pytest.mark.parametrize("freedom", [1.0, 2.0, 4.0, 11.5])
@pytest.mark.parametrize("tail", [0.3, 0.025, 0.004, 1e-5])
def test_one_part_alone_is_students_t(freedom: float, tail: float) -> None:
    expected = stats.t.ppf(1 - tail, freedom) * 0.3
    seeds_alone = Chance(0.0, 1_000.0, 0.09, 0.0, freedom)
    nearly = Chance(1e-9, 1e9, 0.09, 0.0, freedom)
    patients_alone = Chance(0.09, freedom)
    for chance in (seeds_alone, nearly, patients_alone):
        assert chance.quantile(tail) == pytest.approx(expected, rel=1e-4)
        assert chance.upper_tail(expected) == pytest.approx(tail, rel=1e-3)
        assert chance.freedom(tail) == pytest.approx(freedom, rel=1e-3)


def test_known_parts_are_normal() -> None:
    chance = Chance(0.5, 1e6, 0.5, 0.0, 1e6)
    assert chance.quantile(0.01) == pytest.approx(stats.norm.ppf(0.99))
    assert chance.freedom(0.01) == np.inf


def test_the_mean_over_variances_is_what_sampling_them_gives() -> None:
    rng = np.random.default_rng(0)
    chance = Chance(1.0, 12.0, 0.8, 0.3, 2.0)
    patients = 1.0 * 12 / rng.chisquare(12, 400_000)
    seeds = np.maximum(0.8 * 2 / rng.chisquare(2, 400_000), 0.3)
    for distance in (1.0, 4.0, 12.0):
        p = ndtr(-distance / np.sqrt(patients + seeds))
        assert chance.upper_tail(distance) == pytest.approx(p.mean(), abs=4 * p.std() / np.sqrt(len(p)))
    assert chance.upper_tail(-2.0) == pytest.approx(1 - chance.upper_tail(2.0))


def test_what_patients_explain_is_the_least_also_where_all_seeds_share_nothing() -> None:
    """The variance between seeds is no less than 0.6, so that errors are larger than Student's t says."""
    chance, plain = Chance(0.0, 12.0, 0.8, 0.6, 2.0), Chance(0.0, 12.0, 0.8, 0.0, 2.0)
    seeds = np.maximum(0.8 * 2 / np.random.default_rng(2).chisquare(2, 400_000), 0.6)
    for distance in (0.25, 0.5, 1.0):
        p = ndtr(-distance / np.sqrt(seeds))
        tail = chance.upper_tail(distance)
        assert tail == pytest.approx(p.mean(), abs=4 * p.std() / np.sqrt(len(p)))
        assert tail > plain.upper_tail(distance) * 1.01
        assert chance.quantile(tail) == pytest.approx(distance, rel=1e-6)


@pytest.mark.parametrize("seeds", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("freedom", [1, 2, 4])
def test_true_nulls_are_rejected_no_more_often_than_the_level_says(freedom: int, seeds: float) -> None:
    """Known patients' variance 1, seeds' variance `seeds` from few seeds; Satterthwaite is far off at 10."""
    rng = np.random.default_rng(1)
    level, error = 0.05 / 12, np.sqrt(1 + seeds)
    found = seeds * rng.chisquare(freedom, 600) / freedom
    limits = np.array([Chance(1.0, 1e6, raw, 0.0, freedom).quantile(level) for raw in found])
    rate = ndtr(-limits / error)
    assert rate.mean() < level + 2 * rate.std() / np.sqrt(len(rate))
    if freedom == 2 and seeds == 10:
        variance = 1 + found
        degrees = variance**2 / (found**2 / (freedom + 2)) - 2
        assert ndtr(-np.sqrt(variance) * stats.t.ppf(1 - level, degrees) / error).mean() > 3 * level
