"""The between-seed part of a contrast's variance, beyond the part that patients explain.

A seed number gives other weights and another order in another network, so networks are independent
replicates.

* Several seeds (`measured`): each network's paired sums differ between seeds; their variance over the number
  of seeds, less what patients explain of it (seeds share the test patients, but not the errors made on them).
* One seed (`runs`): the scatter of single runs around smooth learning curves (`analysis.runs`) stands in.
* Neither (`unknown`): one seed and too few sizes or networks to judge that scatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.measures import Measures

SeedPart = Literal["measured", "runs", "unknown"]


@dataclass(frozen=True, slots=True)
class SeedsPart:
    """A variance, and the sum over its parts of square / (degrees of freedom + 2), its `doubt`."""

    source: SeedPart
    variance: float
    doubt: float


UNKNOWN = SeedsPart("unknown", 0.0, 0.0)


def between_seeds(
    values: NDArray[np.float64],
    network: NDArray[np.intp],
    weights: NDArray[np.float64],
    shared: NDArray[np.float64] | None,
) -> SeedsPart:
    """From the differences between seeds; a network with one seed takes the mean variance of the others.

    Args:
        values: one paired sum per network and seed [B].
        network: position of each in `weights` [B].
        weights: of each network's mean in the contrast [A].
        shared: covariance of `values` over patients [B, B], or None.
    """
    count = np.bincount(network, minlength=len(weights))
    several = count > 1
    spread, explained = np.zeros(len(weights)), np.zeros(len(weights))
    for k in np.flatnonzero(several):
        mine = network == k
        spread[k] = np.var(values[mine], ddof=1, dtype=np.float64)
        if shared is not None:
            own = shared[np.ix_(mine, mine)]
            explained[k] = (np.trace(own) - own.sum() / count[k]) / (count[k] - 1)
    spread[~several], explained[~several] = spread[several].mean(), explained[several].mean()
    share = weights**2 / count
    doubt = ((share * spread)[several] ** 2 / (count[several] + 1)).sum()
    return SeedsPart("measured", max(float(share @ (spread - explained)), 0.0), float(doubt))


def between_runs(measures: Measures, metric: str, coefficients: NDArray[np.float64]) -> SeedsPart:
    """From the scatter of single runs; unknown if an arm that takes part has none.

    Args:
        coefficients: weight of every cell in the contrast [cells].
    """
    noise = measures.noise(metric)
    share: dict[tuple[str, str], float] = {}
    for row in np.flatnonzero(coefficients):
        arm = measures.arms[row]
        share[arm] = share.get(arm, 0.0) + float(coefficients[row]) ** 2
    if not share.keys() <= noise.keys():
        return UNKNOWN
    variance = sum(weight * noise[arm].variance for arm, weight in share.items())
    doubt = sum((weight * noise[arm].raw) ** 2 / (noise[arm].freedom + 2) for arm, weight in share.items())
    return SeedsPart("runs", variance, doubt)


def between_counts(measures: Measures, metric: str, coefficients: NDArray[np.float64]) -> SeedsPart:
    """For counts of rare events per run, whose variance grows with their mean: quasi-Poisson.

    The variance of one run is its network's mean count times one dispersion for the whole arm (never below
    that of Poisson). The dispersion comes from differences between seeds, or with one seed from what is left
    after a level per network and one per size.
    """
    values = measures.values(metric)
    arms = {measures.arms[row] for row in np.flatnonzero(coefficients)}
    pool = np.array([arm in arms for arm in measures.arms]) & np.isfinite(values)
    cells = measures.cells[pool]
    by_network = cells.groupby("architecture")[metric]
    mean = (by_network.transform("mean") + 0.5 / by_network.transform("size")).to_numpy(float)
    levels = ["architecture", "train_images", "init", "freeze", "balance"]
    repeated = cells.duplicated(levels).any()
    if repeated:
        design = pd.get_dummies(cells[levels].astype(str).agg(" ".join, axis=1)).to_numpy(float)
    else:
        design = np.hstack([pd.get_dummies(cells[name]).to_numpy(float) for name in levels])
    left = np.eye(len(cells)) - design @ np.linalg.pinv(design)
    freedom = len(cells) - int(np.linalg.matrix_rank(design))
    if freedom < 1:
        return UNKNOWN
    residual = left @ values[pool]
    dispersion = max(float((residual**2 / mean).sum() / freedom), 1.0)
    variance = float(np.sum(coefficients[pool] ** 2 * dispersion * mean))
    return SeedsPart("measured" if repeated else "runs", variance, variance**2 / (freedom + 2))
