"""What one seed can say of chance: the scatter of single training runs around smooth learning curves.

With one seed nothing is repeated. But a network trained on four sizes should follow a smooth curve, and where
seven networks do so, what is left after each network's own level and slope (per log size) and each size's
common deviation is what one run differs from another for no reason, together with whatever true differences
in curvature there are. That is the classical use of high interactions as error in an unreplicated factorial
(Box, Hunter and Hunter, Statistics for Experimenters, chapter 5). It takes all sizes and networks of an arm
to scatter alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEWEST_DEGREES_OF_FREEDOM = 4


@dataclass(frozen=True, slots=True)
class RunNoise:
    """Variance of one run beyond the patients' part, the same with that part, and its degrees of freedom."""

    variance: float
    raw: float
    freedom: int


def run_noise(
    cells: pd.DataFrame, metric: str, covariance: NDArray[np.float64] | None
) -> dict[tuple[str, str], RunNoise]:
    """The scatter of single runs by arm (init, freeze); arms with too few sizes or networks are left out.

    Args:
        covariance: over patients [cells, cells], whose part is taken off; None for measures without patients.
    """
    found: dict[tuple[str, str], RunNoise] = {}
    usable = cells[np.isfinite(cells[metric].to_numpy(float))]
    for arm, rows in usable.groupby(["init", "freeze", "balance"], sort=False):
        design = learning_curves(rows)
        left = np.eye(len(rows)) - design @ np.linalg.pinv(design)
        freedom = len(rows) - int(np.linalg.matrix_rank(design))
        if freedom < FEWEST_DEGREES_OF_FREEDOM or arm[2] != "natural":
            continue
        residual = left @ rows[metric].to_numpy(float)
        raw = float(residual @ residual) / freedom
        explained = 0.0
        if covariance is not None:
            own = covariance[np.ix_(rows.index, rows.index)]
            explained = float(np.trace(left @ own @ left)) / freedom
        if np.isfinite(explained):
            found[arm[0], arm[1]] = RunNoise(max(raw - explained, 0.0), raw, freedom)
    return found


def learning_curves(rows: pd.DataFrame) -> NDArray[np.float64]:
    """A level and a slope per network, and a level per size [rows, columns]."""
    network = pd.get_dummies(rows["architecture"]).to_numpy(float)
    size = pd.get_dummies(rows["train_images"]).to_numpy(float)
    doublings = np.log2(rows["train_images"].to_numpy(float))[:, None]
    return np.hstack([network, network * (doublings - doublings.mean()), size])
