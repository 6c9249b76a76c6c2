"""What an estimate and its error may be once more seeds, or more patients, are added to those that there are.

The seeds that there are stay, so that the later mean moves by what the new ones differ from them; the test
patients stay, so that their part of the error stays as well and shows in the test alone. How far the mean
moves, and which variance is seen then, follow from what one seed varies by. That is not known but averaged
over, as in `chance`: s^2 freedom / chi^2. Nothing is assumed of the true effect, but for a flat prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, ndtri

from analysis.statistics.chance import FEW_NODES, MANY_NODES, Chance, scales

Reals = NDArray[np.float64]
DRAWS = 256
LEAST = 1e-300


@dataclass(frozen=True, slots=True)
class Later:
    """Draws of what comes after.

    Attributes:
        moves: by how much the estimate moves [K].
        patients, patients_freedom: variance over patients that all seeds share, and its degrees of freedom.
        seeds: estimated variance of the mean over seeds [K].
        floor, seeds_freedom: as in `Chance`.
    """

    moves: Reals
    patients: float
    patients_freedom: float
    seeds: Reals
    floor: float
    seeds_freedom: float

    def upper_tail(self, distance: Reals) -> Reals:
        """As `Chance.upper_tail`, draw by draw [K]."""
        own, own_weights = scales(self.seeds_freedom, MANY_NODES)
        shared, shared_weights = scales(self.patients_freedom, FEW_NODES)
        if not self.patients > 0:
            shared, shared_weights = np.ones(1), np.ones(1)
        seeds = np.maximum(self.seeds[:, None] * own, self.floor)
        variance = self.patients * shared[:, None] + seeds[:, None, :]
        tails = ndtr(-distance[:, None, None] / np.sqrt(np.maximum(variance, LEAST)))
        return shared_weights @ (tails @ own_weights).T


def later(
    chance: Chance, seeds: int, more: float, patients: float = 1.0, *, larger: float = 0.0
) -> Later | None:
    """What may be once `more` seeds are added.

    Args:
        seeds: that there are, 2 or more; with fewer nothing is known of how they vary: None.
        more: 0 or more; infinite: what any number of seeds can reach.
        patients: how many times as many test patients, those that there are among them; 1 or more.
        larger: degrees of freedom by which the variance between seeds is taken to be smaller than it came
            out; 0 where nobody chose this estimate for how large it came out.
    """
    if seeds < 2 or not chance.seeds > 0 or not np.isfinite(chance.variance):
        return None
    first, second, third, fourth = _points()
    freedom = chance.seeds_freedom
    mean = np.maximum(chance.seeds * freedom / _chi_square(freedom + larger, first), chance.floor)
    added = 1 - 1 / patients
    mean = np.maximum(mean - chance.floor * added, 0.0)
    floor, common = chance.floor / patients, chance.patients / patients
    by_patients = np.sqrt((chance.patients + chance.floor) * added) * ndtri(fourth)
    new = ndtri(second)
    if np.isinf(more):
        moves = np.sqrt(mean) * new + by_patients
        return Later(moves, common, chance.patients_freedom * patients, np.zeros(DRAWS), 0.0, np.inf)
    total = seeds + more
    moves = np.sqrt(mean * more / total) * new + by_patients
    then = freedom * (total - 1) / (seeds - 1)
    squares = chance.seeds * freedom * np.ones(DRAWS)  # of sums of one seed, each over `seeds`
    if more:
        squares = squares + mean * (new**2 + _chi_square(then - freedom - 1, third))
    return Later(
        moves,
        common,
        chance.patients_freedom * patients,
        squares / then * seeds / total,
        floor * seeds / total,
        then,
    )


def _chi_square(freedom: float, points: Reals) -> Reals:
    """Quantiles [K]; zero for no degrees of freedom."""
    return 2 * gammaincinv(freedom / 2, points) if freedom > 1e-9 else np.zeros(len(points))


@lru_cache(maxsize=1)
def _points() -> tuple[Reals, ...]:
    """Evenly spread points of the four-dimensional unit cube: multiples of powers of a number."""
    ratio = 2.0
    for _ in range(64):  # the root of ratio^5 = ratio + 1
        ratio = (1 + ratio) ** (1 / 5)
    number = np.arange(1, DRAWS + 1, dtype=np.float64)
    return tuple((0.5 + number * ratio**-k) % 1.0 for k in (1, 2, 3, 4))
