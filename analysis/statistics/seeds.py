"""The between-seed part of a contrast's variance, beyond the part that patients explain.

A seed number gives other weights and another order in another network, so networks are independent
replicates.

* Several seeds (`measured`): each network's paired sums differ between seeds; their variance over the number
  of seeds, less what patients explain of it (seeds share the test patients, but not the errors made on them).
* One seed (`runs`): the scatter of single runs around smooth learning curves
  (`analysis.statistics.run_scatter`) stands in.
* Neither (`unknown`): one seed and too few sizes or networks to judge that scatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.measures import Measures
from analysis.statistics.run_scatter import Scatter
from analysis.tables.conditions import CONDITION

SeedPart = Literal["measured", "runs", "unknown"]


@dataclass(frozen=True, slots=True)
class SeedsPart:
    """A variance, and the sum over its parts of square / (degrees of freedom + 2), its `doubt`."""

    source: SeedPart
    variance: float
    doubt: float


UNKNOWN = SeedsPart("unknown", 0.0, 0.0)
FEWEST_NETWORKS = 3
"""Networks, counted by their weight, that it takes to go by each one's own scatter."""


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

    Every network counts with its own scatter. Where the weight lies on fewer than three networks that is too
    little to go by, and the scatter of all networks together is taken if it is larger.

    Args:
        coefficients: weight of every cell in the contrast [cells].
    """
    noise = measures.noise(metric)
    names = measures.cells["architecture"].to_numpy()
    share: dict[tuple[tuple[str, str], str], float] = {}
    for row in np.flatnonzero(coefficients):
        key = measures.arms[row], str(names[row])
        share[key] = share.get(key, 0.0) + float(coefficients[row]) ** 2
    arms = {arm for arm, _ in share}
    if not arms <= noise.keys():
        return UNKNOWN
    most = sum(noise[arm].pooled.freedom for arm in arms)
    own = _together([(w, noise[arm].networks[name]) for (arm, name), w in share.items()], most)
    pooled = _together([(w, noise[arm].pooled) for (arm, _), w in share.items()], most)
    by_network = pd.Series(list(share.values())).groupby([name for _, name in share]).sum()
    few = by_network.sum() ** 2 < FEWEST_NETWORKS * (by_network**2).sum()
    return pooled if few and pooled.variance > own.variance else own


def _together(parts: list[tuple[float, Scatter]], most: float) -> SeedsPart:
    """Weighted sum of scatters, of which no more than `most` degrees of freedom can be made."""
    variance = sum(weight * scatter.variance for weight, scatter in parts)
    raw = sum(weight * scatter.raw for weight, scatter in parts)
    doubt = sum((weight * scatter.raw) ** 2 / (scatter.freedom + 2) for weight, scatter in parts)
    return SeedsPart("runs", max(variance, 0.0), max(doubt, raw**2 / (most + 2)))


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
    repeated = bool(cells.duplicated(list(CONDITION)).any())
    key = ("counts", pool.tobytes())
    if key not in measures.projections:
        measures.projections[key] = _beyond_levels(cells, repeated)
    left, freedom = measures.projections[key]
    if freedom < 1:
        return UNKNOWN
    residual = left @ values[pool]
    dispersion = max(float((residual**2 / mean).sum() / freedom), 1.0)
    variance = float(np.sum(coefficients[pool] ** 2 * dispersion * mean))
    return SeedsPart("measured" if repeated else "runs", variance, variance**2 / (freedom + 2))


def _beyond_levels(cells: pd.DataFrame, repeated: bool) -> tuple[NDArray[np.float64], int]:
    """Projection on what conditions (if none is repeated: levels of the axes) leave [cells, cells], and its
    rank."""
    levels = list(CONDITION)
    if repeated:
        design = pd.get_dummies(cells[levels].astype(str).agg(" ".join, axis=1)).to_numpy(float)
    else:
        design = np.hstack([pd.get_dummies(cells[name]).to_numpy(float) for name in levels])
    left = np.eye(len(cells)) - design @ np.linalg.pinv(design)
    return left, len(cells) - int(np.linalg.matrix_rank(design))
