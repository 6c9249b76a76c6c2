"""A power law of the error over data, 1 - AUROC = floor + scale * images ** -exponent, with its interval.

Hestness et al. 2017 (arXiv 1712.00409) found exponents of 0.07 to 0.35 across tasks. With few sizes the fit
is bootstrapped and nothing is read off it alone; the local gain per doubling stands beside it in `estimates`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXPONENTS = np.geomspace(0.02, 2.0, 120)
FEWEST_SIZES = 4
FURTHER = 10.0

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A fitted power law; intervals are 95 % percentiles of the bootstrap.

    Attributes:
        exponent, promised: the exponent, and the AUROC at ten times the data; estimate, low, high (both
            NaN where one seed is behind it).
        curve: AUROC at `images` by the fit, with its interval [3, N].
    """

    exponent: tuple[float, float, float]
    promised: tuple[float, float, float]
    images: Reals
    curve: Reals

    def without_intervals(self) -> PowerLaw:
        """The same fit; its intervals NaN, since of one seed they would say nothing of another."""
        none = np.full_like(self.curve[1:], np.nan)
        return PowerLaw(
            exponent=(self.exponent[0], np.nan, np.nan),
            promised=(self.promised[0], np.nan, np.nan),
            images=self.images,
            curve=np.vstack([self.curve[:1], none]),
        )


def fit(
    sizes: Reals, aurocs: Reals, covariance: Reals, rng: np.random.Generator, draws: int = 2_000
) -> PowerLaw | None:
    """Fit by least squares; bootstrap from the sizes' joint normal distribution. None for fewer than four
    sizes.

    Args:
        sizes, aurocs: [K], sizes ascending.
        covariance: of the AUROC over patients and seeds [K, K].
    """
    if len(sizes) < FEWEST_SIZES or not np.isfinite(covariance).all():
        return None
    sample = rng.multivariate_normal(aurocs, covariance, size=draws, check_valid="ignore")
    weights = 1 / np.maximum(np.diag(covariance), 1e-12)
    floor, scale, exponent = _least_squares(sizes, 1 - np.vstack([aurocs, sample]), weights)
    images = np.geomspace(sizes[0], FURTHER * sizes[-1], 40)
    curves = 1 - (floor[:, None] + scale[:, None] * (images / sizes[0]) ** -exponent[:, None])

    def interval(values: Reals) -> tuple[float, float, float]:
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return float(values[0]), float(low), float(high)

    band = np.quantile(curves[1:], [0.025, 0.975], axis=0)
    return PowerLaw(interval(exponent), interval(curves[:, -1]), images, np.vstack([curves[:1], band]))


def _least_squares(sizes: Reals, errors: Reals, weights: Reals) -> tuple[Reals, Reals, Reals]:
    """Floor, scale and exponent of each row of `errors` [D, K]: exact in floor and scale (neither below
    zero), over a ladder of exponents."""
    best = np.full(len(errors), np.inf)
    found = np.zeros((3, len(errors)))
    total = weights.sum()
    mean_error = errors @ weights / total
    for exponent in EXPONENTS:
        shape = (sizes / sizes[0]) ** -exponent
        mean_shape = shape @ weights / total
        spread = weights @ (shape - mean_shape) ** 2
        scale = np.maximum((errors - mean_error[:, None]) @ (weights * (shape - mean_shape)) / spread, 0)
        floor = mean_error - scale * mean_shape
        without = floor < 0
        scale[without] = np.maximum(errors[without] @ (weights * shape) / (weights @ shape**2), 0)
        floor[without] = 0
        loss = ((errors - floor[:, None] - scale[:, None] * shape) ** 2) @ weights
        better = loss < best
        best[better] = loss[better]
        found[:, better] = np.stack([floor, scale, np.full(len(errors), exponent)])[:, better]
    return found[0], found[1], found[2]
