"""The distribution of an estimate's error where variances from few seeds and from many patients add up.

Satterthwaite's degrees of freedom fail there: where three seeds happen to agree, the estimated variance is
too small and is taken to be known at the same time, so that tests at small levels reject true nulls several
times too often (docs/statistics.md, "Tails"). Here the unknown variances are averaged over instead, given
what was estimated of them (the fiducial argument of Behrens 1929 and Fisher 1935): s^2 freedom / chi^2 for
each part. That is Student's t for one part, normal for known parts, and in between conservative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr, ndtri, stdtr, stdtridf, stdtrit

Reals = NDArray[np.float64]
KNOWN = 300.0
"""Degrees of freedom from which on a variance counts as known."""
FEW_NODES, MANY_NODES, POWER = 16, 80, 6
SMALLEST_TAIL = 1e-15


@dataclass(frozen=True, slots=True)
class Chance:
    """The parts of an estimate's squared standard error.

    Attributes:
        patients: variance over patients that all seeds share.
        patients_freedom: its degrees of freedom.
        seeds: variance of the mean over seeds as they differ, what patients explain of that included.
        floor: what patients explain of it; the true value is no less.
        seeds_freedom: degrees of freedom of `seeds`.
    """

    patients: float
    patients_freedom: float
    seeds: float = 0.0
    floor: float = 0.0
    seeds_freedom: float = float("inf")

    @property
    def variance(self) -> float:
        """The squared standard error."""
        return self.patients + max(self.seeds, self.floor)

    def upper_tail(self, distance: float) -> float:
        """How likely the error is at least `distance`; NaN for one that is undefined."""
        return _upper_tail(self, distance)

    def quantile(self, tail: float) -> float:
        """The distance that the error exceeds with the probability `tail`, below one half."""
        return _quantile(self, tail)

    def freedom(self, tail: float) -> float:
        """Degrees of freedom of the t distribution that has the same quantile at `tail`."""
        ratio = self.quantile(tail) / float(np.sqrt(self.variance))
        if not ratio > -float(ndtri(tail)) * (1 + 1e-6):
            return float("inf")
        return float(stdtridf(1 - tail, ratio))


@lru_cache(maxsize=1024)
def _upper_tail(chance: Chance, distance: float) -> float:
    if chance.seeds <= 0:
        return float(stdtr(chance.patients_freedom, -distance / np.sqrt(chance.variance)))
    if chance.patients <= 0 and chance.floor <= 0:
        return float(stdtr(chance.seeds_freedom, -distance / np.sqrt(chance.seeds)))
    errors, weights = _errors(chance)
    return float(weights @ ndtr(-distance / errors))


@lru_cache(maxsize=1024)
def _quantile(chance: Chance, tail: float) -> float:
    error = float(np.sqrt(chance.variance))
    if chance.seeds <= 0:
        return error * float(stdtrit(chance.patients_freedom, 1 - tail))
    if chance.patients <= 0 and chance.floor <= 0:
        return error * float(stdtrit(chance.seeds_freedom, 1 - tail))
    errors, weights = _errors(chance)
    low, high = 0.0, error * float(-ndtri(tail))
    while float(weights @ ndtr(-high / errors)) > tail:
        low, high = high, 2 * high
    return float(brentq(lambda x: float(weights @ ndtr(-x / errors)) - tail, low, high, rtol=1e-9))


@lru_cache(maxsize=256)
def _errors(chance: Chance) -> tuple[Reals, Reals]:
    """Standard errors that are possible, and how likely each is [nodes]."""
    own, own_weights = scales(chance.seeds_freedom, MANY_NODES)
    shared, shared_weights = scales(chance.patients_freedom, FEW_NODES)
    seeds = np.maximum(chance.seeds * own, chance.floor)
    variance = chance.patients * shared[:, None] + seeds
    return np.sqrt(variance).ravel(), np.outer(shared_weights, own_weights).ravel()


@lru_cache(maxsize=256)
def scales(freedom: float, nodes: int) -> tuple[Reals, Reals]:
    """By what a variance may be larger than it was estimated, freedom / chi^2, and weights [nodes].

    Gauss and Legendre's nodes, crowded where chi^2 is small, since there the tail comes from.
    """
    if freedom >= KNOWN:
        return np.ones(1), np.ones(1)
    points, weights = np.polynomial.legendre.leggauss(nodes)
    place = (points + 1) / 2
    share = np.maximum(place**POWER, SMALLEST_TAIL)
    scales = freedom / (2 * gammaincinv(freedom / 2, share))
    return scales, weights / 2 * POWER * place ** (POWER - 1)
