"""An estimate with its interval, and how two of them, with and without doubtful cells, become one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from analysis.statistics.chance import Chance
from analysis.statistics.seeds import SeedPart


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its interval; NaN where undefined. Fields as in `analysis.tables.schema.ESTIMATES`.

    Attributes:
        patient_variance: the part of the squared standard error that more patients would lower.
        doubtful: cells that failed or collapsed among those that the contrast asks for.
        degrees_of_freedom: of the t distribution behind the 95 % interval; tests go by `chance`.
        chance: the parts of the squared standard error.
        networks_missing: networks that were planned with all of its cells and have not all of them once.
        networks_alone: networks that have all of them once, where there are other seeds.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    seed_part: SeedPart
    smallest_effect: float
    seeds: int
    patients: int | None
    positives: int | None
    cells: int
    cells_missing: int
    patient_variance: float = 0.0
    doubtful: int = 0
    networks_missing: tuple[str, ...] = ()
    networks_alone: tuple[str, ...] = ()
    chance: Chance | None = None

    def upper_tail(self, distance: float) -> float:
        """How likely chance alone moves the estimate up by `distance`; NaN if that is undefined."""
        return self._chance.upper_tail(distance) if self.standard_error > 0 else float("nan")

    def quantile(self, tail: float) -> float:
        """The distance that chance alone exceeds with the probability `tail`; NaN if that is undefined."""
        return self._chance.quantile(tail) if self.standard_error > 0 else float("nan")

    @property
    def _chance(self) -> Chance:
        return self.chance or Chance(self.standard_error**2, self.degrees_of_freedom)


def together(found: tuple[Estimate, ...]) -> Estimate | None:
    """One estimate with an interval that spans all; None without any.

    The point estimate is that of the runs that ended as training should; it never stands by itself.
    """
    if len(found) < 2:
        return found[0] if found else None
    first = found[0]
    unknown = next((one.seed_part for one in found if one.seed_part == "unknown"), first.seed_part)
    return dataclasses.replace(
        first,
        low=min(one.low for one in found) if all(np.isfinite(one.low) for one in found) else float("nan"),
        high=max(one.high for one in found) if all(np.isfinite(one.high) for one in found) else float("nan"),
        standard_error=max(one.standard_error for one in found),
        degrees_of_freedom=min(one.degrees_of_freedom for one in found),
        chance=max(found, key=lambda one: one.standard_error).chance,
        seed_part=unknown,
        smallest_effect=max(one.smallest_effect for one in found),
        networks_missing=tuple(dict.fromkeys(name for one in found for name in one.networks_missing)),
        networks_alone=tuple(dict.fromkeys(name for one in found for name in one.networks_alone)),
    )
