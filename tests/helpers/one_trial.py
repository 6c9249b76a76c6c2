"""A single trial, as tests ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transfusion.cell import NOTHING_SUPPLIED, Cell, Recipe, Supplied
from transfusion.data.dataset import Dataset
from transfusion.study import Machine, Study
from transfusion.training.fitting import Hooks
from transfusion.trial import NO_HOOKS
from transfusion.trial import run_trial as run


def run_trial(
    cell: Cell,
    recipe: Recipe,
    dataset: Dataset,
    *,
    cells: Path,
    cache: Path,
    hooks: Hooks = NO_HOOKS,
    supplied: Supplied = NOTHING_SUPPLIED,
    imagenet: Dataset | None = None,
    **machine: Any,
) -> dict[str, Any]:
    """`transfusion.trial.run_trial` of this cell; `machine` are the fields of `Machine`."""
    study = Study(recipe=recipe, dataset=dataset, supplied=supplied, imagenet=imagenet)
    return run(cell, study, cells=cells, cache=cache, machine=Machine(**machine), hooks=hooks)
