"""The between-seed part of a contrast's variance, beyond the part that patients explain.

A seed fixes initialisation, order, augmentation and crops; order, augmentation and crops are the same in all
networks, and an upstream network's luck is the same at all sizes that start from it. So a seed is one block:
whatever its cells share is in the difference between its sum over all networks and other seeds' sums.

* Several seeds (`measured`): the variance of those sums, with as many degrees of freedom as there are seeds
  less one; with missing cells fewer, since the share of networks that have one seed is imputed from those
  that have more and rests on their degrees of freedom (cluster-robust variance with the scale and degrees of
  freedom of Bell and McCaffrey 2002, Survey Methodology 28: 169-181).
* One seed (`runs`), from scratch: the scatter of single runs around smooth learning curves
  (`analysis.statistics.run_scatter`). It cannot see what the cells of a seed share: a description, which no
  verdict rests on.
* Neither (`unknown`): one seed, and weights with an upstream, whose luck all sizes share, or too few sizes or
  networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.measures import Measures
from analysis.statistics.run_scatter import Scatter
from analysis.tables.conditions import CONDITION, filled

SeedPart = Literal["measured", "runs", "unknown"]


@dataclass(frozen=True, slots=True)
class SeedsPart:
    """A variance and what its degrees of freedom are made of.

    Attributes:
        denominator: of Satterthwaite's approximation: the sum over the variance's parts of their square /
            (degrees of freedom + 2).
        raw, explained, freedom: where it is measured from one sum of squares, what was seen, how much of that
            patients explain, and its degrees of freedom.
    """

    source: SeedPart
    variance: float
    denominator: float
    raw: float = 0.0
    explained: float = 0.0
    freedom: float = float("inf")


UNKNOWN = SeedsPart("unknown", 0.0, 0.0)
FROM_SCRATCH = "random"
ROUNDING = 1e-12
"""Relative to what is added up, differences between seeds that are none."""
FEWEST_NETWORKS = 3
"""Networks, counted by their weight, that it takes to go by each one's own scatter."""


def between_seeds(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    network: NDArray[np.intp],
    seed: NDArray[np.intp],
    shared: NDArray[np.float64] | None,
) -> SeedsPart:
    """From the differences between seeds, all networks of a seed together.

    Args:
        values: one paired sum per network and seed [B].
        weights: of each in the contrast [B].
        network, seed: codes of each [B].
        shared: covariance of `values` over patients [B, B], or None.
    """
    member = np.equal.outer(network, network) / np.bincount(network)[network]
    centred = weights[:, None] * (np.eye(len(values)) - member)
    blocks = np.equal.outer(np.unique(seed), seed) @ centred
    inner = blocks @ blocks.T
    trace = float(np.trace(inner))
    if trace <= 1e-12 * float(weights @ weights):
        return UNKNOWN
    scale = float(weights @ weights) / trace
    freedom = trace**2 / float((inner**2).sum())
    moved = blocks @ values
    moved[np.abs(moved) <= ROUNDING * (np.abs(blocks) @ np.abs(values))] = 0.0
    raw = scale * float((moved**2).sum())
    explained = scale * float(np.einsum("sb,bc,sc->", blocks, shared, blocks)) if shared is not None else 0.0
    if shared is not None and not moved.any():
        held = scale * float(np.einsum("sb,bc,sc->", np.abs(blocks), np.abs(shared), np.abs(blocks)))
        if explained <= ROUNDING * held:
            return UNKNOWN
    return SeedsPart("measured", max(raw - explained, 0.0), raw**2 / (freedom + 2), raw, explained, freedom)


def between_runs(measures: Measures, metric: str, coefficients: NDArray[np.float64]) -> SeedsPart:
    """From the scatter of single runs; unknown if an arm that takes part has none, or an upstream.

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
    if not arms <= noise.keys() or any(init != FROM_SCRATCH for init, _ in arms):
        return UNKNOWN
    most = sum(noise[arm].pooled.freedom for arm in arms)
    own = _together([(w, noise[arm].networks[name]) for (arm, name), w in share.items()], most)
    pooled = _together([(w, noise[arm].pooled) for (arm, _), w in share.items()], most)
    by_network: dict[str, float] = {}
    for (_, name), weight in share.items():
        by_network[name] = by_network.get(name, 0.0) + weight
    each = np.array(list(by_network.values()))
    few = each.sum() ** 2 < FEWEST_NETWORKS * (each @ each)
    return pooled if few and pooled.variance > own.variance else own


def _together(parts: list[tuple[float, Scatter]], most: float) -> SeedsPart:
    """Weighted sum of scatters, of which no more than `most` degrees of freedom can be made."""
    variance = sum(weight * scatter.variance for weight, scatter in parts)
    raw = sum(weight * scatter.raw for weight, scatter in parts)
    denominator = sum((weight * scatter.raw) ** 2 / (scatter.freedom + 2) for weight, scatter in parts)
    return SeedsPart("runs", max(variance, 0.0), max(denominator, raw**2 / (most + 2)))


def between_counts(measures: Measures, metric: str, coefficients: NDArray[np.float64]) -> SeedsPart:
    """For counts of rare events per run, whose variance grows with their mean: quasi-Poisson.

    The variance of one run is its network's mean count times one dispersion for the whole arm (never below
    that of Poisson). The dispersion comes from differences between seeds, or with one seed from what is left
    after a level per network and one per size.
    """
    values = measures.values(metric)
    arms = {measures.arms[row] for row in np.flatnonzero(coefficients)}
    pool = np.array([arm in arms for arm in measures.arms]) & np.isfinite(values)
    key = pool.tobytes()
    if key not in measures.levels:
        measures.levels[key] = _levels(measures.cells[pool])
    left, freedom, network, repeated = measures.levels[key]
    if freedom < 1:
        return UNKNOWN
    size = np.bincount(network)
    mean = ((np.bincount(network, values[pool]) + 0.5) / size)[network]
    residual = left @ values[pool]
    dispersion = max(float((residual**2 / mean).sum() / freedom), 1.0)
    variance = float(np.sum(coefficients[pool] ** 2 * dispersion * mean))
    source: SeedPart = "measured" if repeated else "runs"
    return SeedsPart(source, variance, variance**2 / (freedom + 2), variance, 0.0, freedom)


def _levels(cells: pd.DataFrame) -> tuple[NDArray[np.float64], int, NDArray[np.intp], bool]:
    """What conditions, or if none is repeated levels of the axes, leave of these cells.

    Returns:
        The projection on it [cells, cells], its rank, a code for the network of every cell [cells], and
        whether any condition is repeated.
    """
    cells, levels = filled(cells), list(CONDITION)
    repeated = bool(cells.duplicated(levels).any())
    network = pd.factorize(cells["architecture"])[0].astype(np.intp)
    if repeated:
        design = pd.get_dummies(cells[levels].astype(str).agg(" ".join, axis=1)).to_numpy(float)
    else:
        design = np.hstack([pd.get_dummies(cells[name]).to_numpy(float) for name in levels])
    left = np.eye(len(cells)) - design @ np.linalg.pinv(design)
    return left, len(cells) - int(np.linalg.matrix_rank(design)), network, repeated
