"""Runs of a simulated grid: how each deviates from its condition's truth, and which leave no result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.calibration.worlds import Fate, Luck, Shares

Reals = NDArray[np.float64]
AT_CHANCE = 0.5, float(np.log(2))
"""AUROC and loss of a run that learned nothing."""

DONE, FAILED, DIVERGED, MISSING, COLLAPSED = range(5)


class Cells:
    """Codes of the axes of every planned cell [cells], from the plan alone."""

    def __init__(self, cells: pd.DataFrame) -> None:
        self.count = len(cells)
        self._shares: dict[tuple[tuple[tuple[str, float], ...], float], Reals] = {}
        self.network = cells["architecture"].to_numpy(object)
        self.arm = (cells["init"] + " " + cells["freeze"]).to_numpy(object)
        self.arm_code = pd.factorize(cells["init"] + " " + cells["freeze"] + " " + cells["balance"])[0]
        self.sizes = np.unique(cells["train_images"])
        self.size = np.searchsorted(self.sizes, cells["train_images"])
        self.seed = cells["seed"].to_numpy(int)
        self.over_sizes = _groups(cells, ["architecture", "init", "balance", "seed"])
        self.over_sizes_and_networks = _groups(cells, ["init", "balance", "seed"])
        self.over_networks = _groups(cells, ["train_images", "init", "freeze", "balance", "seed"])

    def share(self, shares: Shares, default: float) -> Reals:
        """A share of every cell by its network or arm [cells]."""
        key = tuple(shares.items()), default
        if key not in self._shares:
            self._shares[key] = np.array(
                [shares.get(n, shares.get(a, default)) for n, a in zip(self.network, self.arm, strict=True)]
            )
        return self._shares[key]


def _groups(cells: pd.DataFrame, axes: Sequence[str]) -> NDArray[np.intp]:
    return cells.groupby(list(axes), sort=False).ngroup().to_numpy(np.intp)


def deviations(luck: Luck, cells: Cells, rng: np.random.Generator) -> tuple[Reals, Reals]:
    """Deviations of AUROC and of the loss of every run, in standard deviations of the setting [cells]."""
    scale = cells.share(luck.by_network, 1.0) * cells.share(luck.by_arm, 1.0)
    steps = max(len(cells.sizes) - 1, 1)
    scale = scale * luck.largest ** (cells.size / steps)
    first, second = _one(luck, cells, rng), _one(luck, cells, rng)
    follows = luck.loss_follows
    return scale * first, scale * (np.sqrt(1 - follows**2) * second - follows * first)


def _one(luck: Luck, cells: Cells, rng: np.random.Generator) -> Reals:
    """Deviations of variance one with what sizes and networks have in common [cells]."""
    own = rng.standard_normal(cells.count)
    of_sizes, of_networks = cells.share(luck.over_sizes, 0.0), luck.over_networks
    if of_networks[1]:
        common = rng.standard_normal(cells.count)[cells.over_networks]
        own = np.sqrt(1 - of_networks[1]) * own + np.sqrt(of_networks[1]) * common
    if not of_sizes.any():
        return own
    level = rng.standard_normal(cells.count)[cells.over_sizes]
    if of_networks[0]:
        common = rng.standard_normal(cells.count)[cells.over_sizes_and_networks]
        level = np.sqrt(1 - of_networks[0]) * level + np.sqrt(of_networks[0]) * common
    return np.sqrt(1 - of_sizes) * own + np.sqrt(of_sizes) * level


def fates(fate: Fate, cells: Cells, auroc: Reals, loss: Reals, rng: np.random.Generator) -> NDArray[np.intp]:
    """What becomes of every run: `DONE`, `FAILED`, `DIVERGED`, `MISSING` or `COLLAPSED` [cells].

    Args:
        auroc, loss: deviations of every run [cells].
    """
    found = np.full(cells.count, DONE, dtype=np.intp)
    if fate.collapse:
        found[rng.random(cells.count) < cells.share(fate.collapse, 0.0)] = COLLAPSED
    if fate.fail:
        found[rng.random(cells.count) < cells.share(fate.fail, 0.0)] = FAILED
    for network, share in fate.worst_diverge.items():
        mine = np.flatnonzero((cells.network == network) & (cells.arm == "random none"))
        found[_worst(mine, -loss, share)] = DIVERGED
    for arm, share in fate.worst_of_arm_fail.items():
        for network in np.unique(cells.network):
            mine = np.flatnonzero((cells.network == network) & (cells.arm == arm))
            found[_worst(mine, auroc, share)] = FAILED
    if fate.unfinished:
        late = (cells.size == len(cells.sizes) - 1) & (cells.seed == cells.seed.max())
        found[late & np.isin(cells.network, fate.unfinished)] = MISSING
    return found


def _worst(rows: NDArray[np.intp], value: Reals, share: float) -> NDArray[np.intp]:
    """Those of `rows` whose value is lowest, `share` of them."""
    return rows[np.argsort(value[rows], kind="stable")[: round(share * len(rows))]]
