"""What an undecided claim needs: how many more seeds decide it with 80 %, in how many hours, or why none do.

Forecast from the claim's own estimate, its variance between seeds and over patients with their degrees of
freedom, by the test and at the level of its verdict (`analysis.statistics.later`). Either decision counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.claims.hours import Hours
from analysis.claims.judged import Judged
from analysis.statistics.contrasts import POWER
from analysis.statistics.estimate import Estimate
from analysis.statistics.later import later

MOST_SEEDS = 256
MOST_PATIENTS = 1_000.0
"""Times as many patients as there are: more are not looked for."""
CHOSEN = 0.5
"""Claims that are undecided are among those whose variance came out large, from 2 degrees of freedom on by
about half a degree of freedom in grids like the presets' (tests/benchmarks/seeds_forecast.py)."""
SMALLEST_STEP = 0.02
"""Share by which the number of patients may be too large."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What an undecided claim needs.

    Attributes:
        seeds: how many more decide it with `POWER`; None where none, or no more than `MOST_SEEDS`, would.
        at_best: how likely any number of seeds decides it.
        patients: where no number of seeds would: test patients, those that there are among them, with which
            enough seeds would; None where that is not so, or is out of reach.
        hours: of the cells that the claim asks for with so many seeds; None where nothing is known of it.
        obstacle: where no number of seeds would, what keeps them from it besides patients, as sentences.
    """

    seeds: int | None
    at_best: float
    patients: int | None = None
    hours: Hours | None = None
    obstacle: str = ""


DOUBTFUL = (
    "Left out and at the worst, the runs that failed or ended at chance lead to different ends: mend them."
)


def needed(j: Judged, a_seed: Hours | None = None, obstacle: str = "") -> Needed | None:
    """What would decide `j`; None where it is decided, or where nothing can be said (one seed, say).

    Args:
        a_seed: what one more seed of the cells that the claim asks for costs.
        obstacle: why support may not be given however clear the numbers are, as sentences; else empty.
    """
    found = j.found
    if found is None or j.verdict != "undecided" or not j.readings:
        return None
    if found.networks_missing or found.networks_alone:
        return None
    if any(one.seed_part != "measured" or one.seeds < 2 for one in j.readings):
        return None

    def chance_of(more: float, patients: float = 1.0) -> float:
        return decided(j, more, patients, supportable=not obstacle) or 0.0

    if decided(j, np.inf) is None:
        return None
    at_best = chance_of(np.inf)
    if at_best >= POWER:
        seeds = _fewest_seeds(lambda more: chance_of(more) >= POWER)
        return Needed(seeds, at_best, None, a_seed.times(seeds) if a_seed and seeds else None)
    if found.patients and chance_of(np.inf, MOST_PATIENTS) >= POWER:
        return Needed(
            None, at_best, _fewest_patients(found.patients, lambda k: chance_of(np.inf, k) >= POWER)
        )
    if obstacle and (decided(j, np.inf, MOST_PATIENTS if found.patients else 1.0) or 0.0) >= POWER:
        return Needed(None, at_best, obstacle=obstacle)
    return Needed(None, at_best, obstacle=DOUBTFUL if len(j.readings) > 1 else "")


def _fewest_patients(there: int, enough: Callable[[float], bool]) -> int:
    """The number of patients from which on it is enough, `MOST_PATIENTS` times as many at most."""
    low, high = 1.0, MOST_PATIENTS
    while high > low * (1 + SMALLEST_STEP):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if enough(middle) else (middle, high)
    return int(np.ceil(high * there))


def _fewest_seeds(enough: Callable[[int], bool]) -> int | None:
    """The smallest number up to `MOST_SEEDS` that is enough; None if none is."""
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high > low + 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def decided(j: Judged, more: float, patients: float = 1.0, *, supportable: bool = True) -> float | None:
    """How likely the claim is decided once `more` seeds are added; None where nothing can be said.

    Args:
        patients: how many times as many test patients as there are.
    """
    both = [_passes(j, one, more, patients) for one in j.readings]
    if any(one is None for one in both):
        return None
    supported, refuted = (np.logical_and.reduce([one[k] for one in both if one is not None]) for k in (0, 1))
    return float(np.mean((supported & supportable) | refuted))


def _passes(
    j: Judged, one: Estimate, more: float, patients: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Draw by draw, whether the test that supports and the one that refutes reject."""
    if one.chance is None:
        return None
    chosen = CHOSEN if one.chance.seeds_freedom >= 2 else 0.0
    then = later(one.chance, one.seeds, more, patients, larger=chosen)
    if then is None:
        return None
    margin, level, value = j.margin, j.level, one.estimate + then.moves
    if j.claim.expects == "zero":
        size = np.abs(value)
        beyond = then.upper_tail(size - margin) + then.upper_tail(size + margin)
        return then.upper_tail(margin - size) <= level, beyond <= level
    upwards = -value if j.claim.expects == "negative" else value
    above, below = then.upper_tail(upwards - margin) <= level, then.upper_tail(margin - upwards) <= level
    return (below, above) if j.claim.expects == "not_positive" else (above, below)
