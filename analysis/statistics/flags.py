"""Flags of a cell, from the curves that are kept: was it still learning when it ended, has it collapsed?

A flag is true, false, or null where the curves cannot tell. None of them changes a number: verdicts and the
report say which cells a conclusion rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.tables.conditions import CONDITION, filled

Reals = NDArray[np.float64]

LATE_SHARE = 3
"""The end of a run is the last third of its losses."""

FEWEST_STEPS, FEWEST_EPOCHS = 6, 3
"""So many losses at least make that end."""

FALL_THAT_MATTERS = 0.02
"""Nats: a loss that falls by less over the end of the run has arrived."""

DENT_AUROC, BUMP_LOSS = 0.1, 0.1
"""By so much AUROC below and so many nats of training loss above its neighbours in size, a cell collapsed."""

STILL_FALLING = (
    f"still falling: over the last third of its steps the training loss fell, along a straight line, by more "
    f"than {FALL_THAT_MATTERS:g} nats and by more than chance explains (one-sided 5 %)"
)
COLLAPSED = (
    f"collapsed: more than {DENT_AUROC:g} AUROC below what the next smaller and the next larger training set "
    f"gave the same network (the next smaller alone at the largest size), with a training loss more than "
    f"{BUMP_LOSS:g} nats above theirs"
)


@dataclass(frozen=True, slots=True)
class LateFall:
    """By how much a training loss still fell over the end of its run.

    Attributes:
        fall: nats, along the straight line through the end of the run; negative where the loss rose.
        error: its standard error, the losses taken as independent; 0 for a straight line without noise.
        losses: how many it rests on.
    """

    fall: float
    error: float
    losses: int

    @property
    def still(self) -> bool:
        """Whether it falls by more than matters and than chance explains."""
        chance = float(stats.t.ppf(0.95, self.losses - 2)) * self.error
        return self.fall > FALL_THAT_MATTERS and self.fall > chance


def late_fall(losses: Reals, fewest: int = FEWEST_STEPS) -> LateFall | None:
    """The fall over the last third of `losses` [N], of `fewest` of them at least; None for fewer."""
    losses = losses[np.isfinite(losses)]
    count = max(fewest, -(-len(losses) // LATE_SHARE))
    if len(losses) < count or count < 3:
        return None
    end = losses[-count:]
    at = np.arange(count) - (count - 1) / 2
    slope = float(at @ end) / float(at @ at)
    rest = end - end.mean() - slope * at
    error = float(np.sqrt(rest @ rest / (count - 2) / (at @ at)))
    return LateFall(-slope * (count - 1), error * (count - 1), count)


def collapsed(cells: pd.DataFrame) -> pd.Series:
    """Whether each cell has collapsed; null at the smallest size, and without itself or a smaller neighbour.

    Neighbours are the next sizes of the same seed and condition otherwise, on a straight line over the
    logarithm of the size. More data that make a network train worse and test far worse are no property of it.

    Args:
        cells: the axes, `test_auroc` and `train_loss`; NaN undefined.
    """
    found = pd.Series(pd.NA, index=cells.index, dtype="boolean")
    same = [axis for axis in CONDITION if axis != "train_images"]
    for _, run in filled(cells).groupby([*same, "seed"], sort=False):
        known = run.dropna(subset=["test_auroc", "train_loss"]).sort_values("train_images")
        size = np.log2(known["train_images"].to_numpy(float))
        area, loss = known["test_auroc"].to_numpy(float), known["train_loss"].to_numpy(float)
        for i in range(1, len(known)):
            near = [i - 1, i + 1] if i + 1 < len(known) else [i - 1]
            dent = float(np.interp(size[i], size[near], area[near])) - area[i]
            bump = loss[i] - float(np.interp(size[i], size[near], loss[near]))
            found[known.index[i]] = dent > DENT_AUROC and bump > BUMP_LOSS
    return found
