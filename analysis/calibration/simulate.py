"""Whole grids with a planted truth, seeds and patients included: what the analysis is calibrated on.

A cell's AUROC is its condition's planted value plus its run's deviation; patients add theirs
(`analysis.calibration.patients`). Training losses and spike counts vary between runs. `World` says how.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.calibration import patients, runs
from analysis.calibration.settings import Setting
from analysis.calibration.truth import plan
from analysis.calibration.worlds import PLAIN, World
from analysis.statistics.measures import Measures

LOGITS_BELOW = 2_000
"""Test patients below which every logit is drawn; from there on the normal distribution holds."""
PATIENTS_PER_CELL = 3
"""Test patients per cell from which on the covariance of all cells can be drawn as such."""

STATUS = {runs.FAILED: "failed", runs.DIVERGED: "failed", runs.MISSING: "missing"}


@dataclass(frozen=True)
class Design:
    """What all simulated grids of a setting, a world and a truth have in common.

    Attributes:
        template: the planned cells, without results.
        truth: planted value of every cell by measure [cells].
    """

    setting: Setting
    world: World
    template: Measures
    cells: runs.Cells
    truth: dict[str, NDArray[np.float64]]


def design(setting: Setting, truth: pd.DataFrame, world: World = PLAIN) -> Design:
    """Prepare to simulate.

    Args:
        truth: as from `analysis.calibration.truth.planted`.
    """
    cells = plan(setting, world=world)
    axes = ["architecture", "train_images", "init", "freeze", "balance"]
    values = cells[axes].merge(truth, on=axes, how="left", validate="many_to_one")
    for metric in ("test_auroc", "train_loss", "spikes"):
        cells[metric] = np.nan
    cells["status"], cells["failure"] = "done", pd.Series(pd.NA, cells.index, dtype="string")
    metrics = ("test_auroc", "train_loss", "spikes")
    return Design(
        setting, world, Measures(cells), runs.Cells(cells), {m: values[m].to_numpy(float) for m in metrics}
    )


def draw(design: Design, rng: np.random.Generator) -> Measures:
    """The measures of one simulated grid."""
    setting, world, cells = design.setting, design.world, design.cells
    auroc_luck, loss_luck = runs.deviations(world.luck, cells, rng)
    auroc = design.truth["test_auroc"] + setting.auroc_sd * auroc_luck
    loss = design.truth["train_loss"] + setting.loss_sd * loss_luck
    spikes = rng.poisson(np.maximum(design.truth["spikes"], 0)).astype(float)
    fate = runs.fates(world.fate, cells, auroc_luck, loss_luck, rng)
    collapsed = fate == runs.COLLAPSED
    auroc[collapsed], loss[collapsed] = runs.AT_CHANCE
    few = setting.patients < max(LOGITS_BELOW, PATIENTS_PER_CELL * cells.count)
    found = (patients.from_logits if few else patients.from_moments)(
        auroc, cells.arm_code, setting, world.reading, rng
    )
    table = design.template.cells.copy()
    absent = np.isin(fate, (runs.FAILED, runs.DIVERGED, runs.MISSING))
    if absent.any():
        loss[absent], found.values[absent] = np.nan, np.nan
        found.covariance[absent], found.covariance[:, absent] = np.nan, np.nan
        spikes[np.isin(fate, (runs.FAILED, runs.MISSING))] = np.nan
        spikes[fate == runs.DIVERGED] += 1
        table["status"] = np.array([STATUS.get(int(f), "done") for f in fate], dtype=object)
        table.loc[fate == runs.DIVERGED, "failure"] = "diverged"
    table["test_auroc"], table["train_loss"], table["spikes"] = found.values, loss, spikes
    return design.template.with_results(
        table,
        {"test_auroc": found.covariance},
        {"test_auroc": found.patients},
        {"test_auroc": found.positives},
        {"test_auroc": found.freedom},
    )


def simulate(
    setting: Setting, truth: pd.DataFrame, rng: np.random.Generator, world: World = PLAIN
) -> Measures:
    """The measures of one simulated grid, its design prepared for it alone."""
    return draw(design(setting, truth, world), rng)
