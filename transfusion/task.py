"""What one cell trains on: inputs, targets and the rows of each part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transfusion import imagenet, photos
from transfusion.cell import Cell, Recipe
from transfusion.table import PARTS, Table

EVALUATION_BATCH = 64
"""Images per forward pass when nothing is trained; no result depends on it."""


@dataclass(frozen=True)
class Task:
    """Inputs and targets of a cell.

    Attributes:
        inputs: uint8 images [N, C, size, size], C = 1 or 3, maybe memory-mapped; or float32 features [N, F].
        targets: float32 [N, 1] (1, 0, NaN = masked) of a finding, or int64 [N] classes.
        outputs: logits of the head.
        rows: int64 row positions of each part that the task has.
        views: number of versions of the training inputs; version v lies v * len(rows["train"]) rows further.
    """

    inputs: np.ndarray
    targets: np.ndarray
    outputs: int
    rows: dict[str, np.ndarray]
    views: int = 1

    def training_rows(self, epoch: int) -> np.ndarray:
        """The training rows of an epoch, counted from 0; the views take turns."""
        return self.rows["train"] + (epoch % self.views) * len(self.rows["train"])


def finding_task(cell: Cell, recipe: Recipe, table: Table, images: np.ndarray) -> Task:
    """The binary task of `cell.finding` on the first `cell.train_images` training images.

    Args:
        images: uint8 [N, size, size], in the order of the table's rows.
    """
    targets = table.labels(cell.finding, recipe.uncertain_policy(cell.finding), recipe.blank)
    rows = {part: table.rows(part, cell.train_images if part == "train" else None) for part in PARTS}
    return Task(images[:, None], targets[:, None], 1, rows)


def photos_task(cell: Cell, recipe: Recipe) -> Task:
    """Which photograph is this crop from (Exemplar-CNN, Dosovitskiy et al. 2014), a tenth held out."""
    held_out = max(1, cell.train_images // 10)
    images, classes = photos.crops(cell.train_images + held_out, recipe.image_size, cell.seed)
    everything = np.arange(len(images))
    rows = {"train": everything[: cell.train_images], "selection": everything[cell.train_images :]}
    return Task(images, classes, int(classes.max()) + 1, rows)


def imagenet_task(cell: Cell, table: Table, images: np.ndarray) -> Task:
    """Which class is this image of, on the images of `imagenet.read`.

    Args:
        images: uint8 [N, 3, size, size], in the order of the table's rows.
    """
    classes = table.frame[imagenet.CLASS].to_numpy(np.int64)
    rows = {"train": table.rows("train", cell.train_images), "selection": table.rows("selection")}
    return Task(images, classes, int(classes.max()) + 1, rows)


class Batches:
    """An iterable of (inputs, targets) batches; one random order for each epoch, or the order of `rows`.

    Args:
        inputs: array or memory-map [N, ...]; only the rows of a batch are read.
        targets: [N, ...].
        rows: which rows, [n].
        order: a generator for a fresh permutation, or None to keep the order of `rows`.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        rows: np.ndarray,
        batch_size: int,
        order: np.random.Generator | None = None,
    ) -> None:
        self.inputs, self.targets = inputs, targets
        self.rows = rows if order is None else order.permutation(rows)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(self.rows), self.batch_size):
            rows = self.rows[start : start + self.batch_size]
            yield torch.from_numpy(self.inputs[rows]), torch.from_numpy(self.targets[rows])
