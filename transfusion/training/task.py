"""What one cell trains on: inputs, targets and the rows of each part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transfusion.cell import Cell, Recipe
from transfusion.data.dataset import PARTS, Dataset
from transfusion.layouts import imagenet, photos
from transfusion.training import acceleration

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """Inputs and targets of a cell.

    Attributes:
        inputs: uint8 images [N, C, size, size], C = 1 or 3, maybe memory-mapped; or float16 features [N, F].
        targets: float32 [N, 1] (1, 0, NaN = masked) of a finding, or int64 [N] classes.
        outputs: logits of the head.
        rows: int64 row positions of each part that the task has.
        balanced: fill every training epoch with as many positives as negatives.
        views: number of versions of the training inputs; version v lies v * len(rows["train"]) rows further.
    """

    inputs: np.ndarray
    targets: np.ndarray
    outputs: int
    rows: dict[str, np.ndarray]
    views: int = 1
    balanced: bool = False

    def training_rows(self, epoch: int, order: np.random.Generator) -> np.ndarray:
        """The training rows of an epoch, counted from 0, in random order; the views take turns.

        Balanced, half of the rows are positive: permutations of each class, repeated as often as need be.
        """
        rows = self.rows["train"] + (epoch % self.views) * len(self.rows["train"])
        if not self.balanced:
            return order.permutation(rows)
        halves = []
        for label, count in ((1, len(rows) // 2), (0, len(rows) - len(rows) // 2)):
            part = rows[self.targets[rows, 0] == label]
            if not len(part):
                raise ValueError(f"balance: found no training image of label {label}, expected both")
            turns = [order.permutation(part) for _ in range(-(-count // len(part)))]
            halves.append(np.concatenate(turns)[:count])
        return order.permutation(np.concatenate(halves))


def finding_task(cell: Cell, recipe: Recipe, dataset: Dataset, images: np.ndarray) -> Task:
    """The binary task of `cell.finding` on the first `cell.train_images` training images.

    Args:
        images: uint8 [N, size, size], in the order of the data set's rows.
    """
    targets = dataset.labels(cell.finding, recipe.uncertain_policy(cell.finding), recipe.blank)
    of_training = {"train": (cell.train_images, cell.subset)}
    rows = {part: dataset.rows(part, *of_training.get(part, ())) for part in PARTS}
    return Task(images[:, None], targets[:, None], 1, rows, balanced=cell.balance == "balanced")


def photos_task(cell: Cell, recipe: Recipe) -> Task:
    """Which photograph is a crop from? (Exemplar-CNN, Dosovitskiy et al. 2014.) A tenth is held out."""
    held_out = max(1, cell.train_images // 10)
    images, classes = photos.crops(cell.train_images + held_out, recipe.image_size, cell.seed)
    everything = np.arange(len(images))
    rows = {"train": everything[: cell.train_images], "selection": everything[cell.train_images :]}
    return Task(images, classes, int(classes.max()) + 1, rows)


def imagenet_task(cell: Cell, dataset: Dataset, images: np.ndarray) -> Task:
    """Classification of ImageNet's classes, on the images of `imagenet.read`.

    Args:
        images: uint8 [N, 3, size, size], in the order of the data set's rows.
    """
    classes = dataset.frame[imagenet.CLASS].to_numpy(np.int64)
    rows = {"train": dataset.rows("train", cell.train_images), "selection": dataset.rows("selection")}
    return Task(images, classes, int(classes.max()) + 1, rows)


class Batches:
    """An iterable of (inputs, targets) batches in the order of `rows`.

    Args:
        task: only the rows of a batch are read of its inputs.
        rows: which rows, [n].
        device: where the batches are wanted. On a GPU they are there ahead of time.
        skip: so many batches are left out at the beginning, and counted all the same.
    """

    def __init__(
        self, task: Task, rows: np.ndarray, batch_size: int, device: torch.device = CPU, skip: int = 0
    ) -> None:
        self.inputs, self.targets = task.inputs, task.targets
        self.rows, self.batch_size, self.device, self.skip = rows, batch_size, device, skip

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        starts = range(self.skip * self.batch_size, len(self.rows), self.batch_size)
        parts = [self.rows[start : start + self.batch_size] for start in starts]
        if self.device.type == "cuda":
            yield from acceleration.ahead(self.inputs, self.targets, parts, self.device)
            return
        for rows in parts:
            yield torch.from_numpy(self.inputs[rows]), torch.from_numpy(self.targets[rows])
