"""A frozen backbone runs once: its features take the place of the images, and the head trains on them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from transfusion.cell import Recipe
from transfusion.files import allocate
from transfusion.networks.network import Network
from transfusion.training import acceleration
from transfusion.training.augmentation import evaluation_inputs, training_inputs
from transfusion.training.randomness import VIEWS, torch_generator
from transfusion.training.schedule import EVALUATION_BATCH, views_of
from transfusion.training.task import Batches, Task

HALF_ERROR = 2.0**-10
"""Of the largest feature of a batch that rounding to float16 may change another by."""


def feature_task(
    network: Network, task: Task, recipe: Recipe, seed: int, device: torch.device, folder: Path | None = None
) -> Task:
    """The same task on features [N', F] of `network` in evaluation mode.

    The training part comes in `recipe.frozen_views` augmented views (or fewer, when there are fewer epochs),
    the other parts as they are. Features lie in a file, in float16; where that cannot hold them (too large,
    too small, not finite), all of them in float32.

    Args:
        folder: of the file, which has no name there and goes with the process; None for the system's own.

    Raises:
        OSError: no room for the file.
    """
    views = views_of(recipe)
    rows, total = {}, 0
    for part, part_rows in task.rows.items():
        rows[part] = np.arange(total, total + len(part_rows))
        total += len(part_rows) * (views if part == "train" else 1)
    targets = np.empty((total, *task.targets.shape[1:]), task.targets.dtype)
    made = Task(np.empty(0), targets, task.outputs, rows, views, task.balanced)
    for kind in (np.float16, np.float32):
        inputs = _empty((total, network.head.in_features), np.dtype(kind), folder)
        if _fill(inputs, made, network, task, recipe, seed, device):
            return Task(inputs, targets, task.outputs, rows, views, task.balanced)
    raise AssertionError("float32 holds what float32 computes")


def _empty(shape: tuple[int, int], kind: np.dtype, folder: Path | None) -> np.ndarray:
    """An array in a file without a name, its space taken now: a full disk is an error here."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        allocate(file.fileno(), max(1, shape[0] * shape[1] * kind.itemsize))
        return np.memmap(file, kind, "r+", shape=shape)


@torch.no_grad()
def _fill(
    inputs: np.ndarray,
    made: Task,
    network: Network,
    task: Task,
    recipe: Recipe,
    seed: int,
    device: torch.device,
) -> bool:
    """Compute features into `inputs` and their targets into `made`; False where the type cannot hold them."""
    network.eval()
    place, warm = 0, False
    for part, part_rows in task.rows.items():
        for view in range(made.views if part == "train" else 1):
            generator = torch_generator(seed, VIEWS, view)
            for batch, labels in Batches(task, part_rows, EVALUATION_BATCH, device):
                images = (
                    training_inputs(batch, recipe, generator) if part == "train" else evaluation_inputs(batch)
                )
                values = network.features(images).float().cpu().numpy()
                until = place + len(values)
                with np.errstate(over="ignore"):
                    inputs[place:until] = values
                if inputs.dtype == np.float16 and not holds(inputs[place:until], values):
                    return False
                made.targets[place:until] = labels.cpu().numpy()
                place = until
                if not warm:
                    acceleration.warmed_up(device)
                    warm = True
    return True


def holds(half: np.ndarray, values: np.ndarray) -> bool:
    """Whether float16 holds `values` to the digits that it has where numbers are neither large nor tiny."""
    error = np.abs(half.astype(np.float32) - values).max()
    return bool(error <= HALF_ERROR * np.abs(values).max())
