"""What one seed can say of chance: the scatter of single training runs around smooth learning curves.

With one seed nothing is repeated. But a network trained on four sizes should follow a smooth curve, and where
seven networks do so, what is left after each network's own level and slope (per log size) and each size's
common deviation is what one run differs from another for no reason, together with whatever true differences
in curvature there are. That is the classical use of high interactions as error in an unreplicated factorial
(Box, Hunter and Hunter, Statistics for Experimenters, chapter 5).

Networks do not scatter alike: on few images the ResNets may scatter several times as much as the CBR family.
So each network has a variance of its own, from the squares of its own residuals, freed of what other networks
leave in them (Grubbs 1948, J. Am. Stat. Assoc. 43: 243-264; here for any pattern of missing cells).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEWEST_DEGREES_OF_FREEDOM = 4
FEWEST_OF_A_NETWORK = 0.5
"""Degrees of freedom below which a network says nothing of its own scatter."""

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scatter:
    """Variance of one run beyond the patients' part, the same with that part, and its degrees of freedom.

    A network's own variance, free of bias, may come out below zero; sums over networks hold at zero.
    """

    variance: float
    raw: float
    freedom: float


@dataclass(frozen=True, slots=True)
class RunNoise:
    """The scatter of single runs of one arm, all networks together and each by itself."""

    pooled: Scatter
    networks: dict[str, Scatter]


def run_noise(
    cells: pd.DataFrame,
    metric: str,
    covariance: Reals | None,
    projections: dict[Hashable, tuple[Reals, int]],
) -> dict[tuple[str, str], RunNoise]:
    """The scatter of single runs by arm (init, freeze); arms with too few sizes or networks are left out.

    Args:
        covariance: over patients [cells, cells], whose part is taken off; None for measures without patients.
        projections: of cells of the same plan, by their rows; those that are lacking are added.
    """
    found: dict[tuple[str, str], RunNoise] = {}
    usable = cells[np.isfinite(cells[metric].to_numpy(float))]
    for arm, rows in usable.groupby(["init", "freeze", "balance"], sort=False):
        key = ("curves", rows.index.to_numpy().tobytes())
        if key not in projections:
            projections[key] = _beyond_curves(rows)
        left, freedom = projections[key]
        if freedom < FEWEST_DEGREES_OF_FREEDOM or arm[2] != "natural":
            continue
        squares = (left @ rows[metric].to_numpy(float)) ** 2
        explained = np.zeros(len(rows))
        if covariance is not None:
            explained = np.diag(left @ covariance[np.ix_(rows.index, rows.index)] @ left)
        if np.isfinite(explained).all():
            raw = float(squares.sum()) / freedom
            pooled = Scatter(max(raw - float(explained.sum()) / freedom, 0.0), raw, freedom)
            names = rows["architecture"].to_numpy()
            found[arm[0], arm[1]] = RunNoise(pooled, _by_network(names, left, squares, explained, pooled))
    return found


def _beyond_curves(rows: pd.DataFrame) -> tuple[Reals, int]:
    """Projection on what the smooth curves leave of these cells [rows, rows], and its rank."""
    design = learning_curves(rows)
    left = np.eye(len(rows)) - design @ np.linalg.pinv(design)
    return left, len(rows) - int(np.linalg.matrix_rank(design))


def _by_network(
    names: NDArray[np.object_], left: Reals, squares: Reals, explained: Reals, pooled: Scatter
) -> dict[str, Scatter]:
    """Every network's own scatter; the pooled one where it says nothing of its own.

    Args:
        names: network of every cell [cells].
        left: what the smooth curves leave of every cell [cells, cells].
        squares, explained: of the residuals, and what patients explain of them on average [cells].
    """
    order = list(dict.fromkeys(names))
    member = np.array([names == name for name in order], dtype=float)
    freedom = member @ np.diag(left)
    inverse = np.linalg.pinv(member @ left**2 @ member.T)
    raw = np.maximum(inverse @ (member @ squares), 0.0)
    own = inverse @ (member @ (squares - explained))
    return {
        name: Scatter(float(own[k]), float(raw[k]), float(freedom[k]))
        if freedom[k] >= FEWEST_OF_A_NETWORK
        else pooled
        for k, name in enumerate(order)
    }


def learning_curves(rows: pd.DataFrame) -> Reals:
    """A level and a slope per network, and a level per size [rows, columns]."""
    network = pd.get_dummies(rows["architecture"]).to_numpy(float)
    size = pd.get_dummies(rows["train_images"]).to_numpy(float)
    doublings = np.log2(rows["train_images"].to_numpy(float))[:, None]
    return np.hstack([network, network * (doublings - doublings.mean()), size])
