"""A frozen backbone runs once: its features take the place of the images, and the head trains on them."""

from __future__ import annotations

import numpy as np
import torch

from transfusion.architectures import Network
from transfusion.augmentation import evaluation_inputs, training_inputs
from transfusion.cell import Recipe
from transfusion.randomness import VIEWS, torch_generator
from transfusion.task import EVALUATION_BATCH, Batches, Task


@torch.no_grad()
def feature_task(network: Network, task: Task, recipe: Recipe, seed: int, device: torch.device) -> Task:
    """The same task on features [N', F] of `network` in evaluation mode.

    The training part comes in `recipe.frozen_views` augmented views (or fewer, when there are fewer epochs),
    the other parts as they are.
    """
    network.eval()
    views = min(recipe.frozen_views, recipe.epochs)
    features, rows, targets = [], {}, []
    total = 0
    for part, part_rows in task.rows.items():
        rows[part] = np.arange(total, total + len(part_rows))
        for view in range(views if part == "train" else 1):
            generator = torch_generator(seed, VIEWS, view)
            for inputs, labels in Batches(task, part_rows, EVALUATION_BATCH, device):
                moved = inputs.to(device)
                images = (
                    training_inputs(moved, recipe, generator) if part == "train" else evaluation_inputs(moved)
                )
                features.append(network.features(images).float().cpu().numpy())
                targets.append(labels.cpu().numpy())
            total += len(part_rows)
    return Task(np.concatenate(features), np.concatenate(targets), task.outputs, rows, views, task.balanced)
