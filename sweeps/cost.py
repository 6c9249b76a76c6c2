"""What a cell will cost: its steps and images times what the machine takes for one of either.

An image costs the network's arithmetic at the throughput of the machine, which a matrix product measures, and
at the efficiency that the architecture reaches of it; a step costs the update of the weights besides. Where
cells have finished on the same kind of device, their own times correct that, architecture by architecture.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from transfusion import architectures
from transfusion.cell import NATURAL_IMAGES, SCHEMA, Architecture, Cell, Recipe

Device = Literal["cpu", "cuda"]

GPU_MACS_PER_SECOND = 5e13
"""Multiply-adds a second of a GPU in bfloat16 convolutions: a guess, until cells have finished there."""

EFFICIENCY: dict[Architecture, float] = {
    "resnet50": 1.05,
    "resnet34": 1.45,
    "resnet18": 1.7,
    "cbr_large_wide": 1.65,
    "cbr_large_tall": 2.6,
    "cbr_small": 1.75,
    "cbr_tiny": 1.25,
}
"""Arithmetic of training over that of a matrix product, on one core at 24 pixels. It exceeds 1: multiply-adds
with padding count but are left out (`transfusion.convolution`). Larger images reach less of it."""

SECONDS_PER_PARAMETER: dict[Device, float] = {"cpu": 5e-9, "cuda": 2e-11}
"""Of every training step, for gradients and Adam; measured on a CPU, a guess for a GPU."""

SECONDS_PER_LAYER: dict[Device, float] = {"cpu": 0.2e-3, "cuda": 1e-4}
"""Of every training step, for starting the layer's operations."""

SECONDS_PER_CELL = 0.2
"""Set-up and records of one trial in a running process."""

INITIAL_SECONDS_PER_PARAMETER = 1.2e-8
"""Drawing, copying and saving weights, per cell."""

FORWARD_SHARE = 0.42
"""Time of an image in a forward pass alone, as a share of its arithmetic in training."""

PRODUCT = 1024
"""Side of the matrices whose product measures a CPU."""

Factors = dict[tuple[Architecture, int], float]


def macs_per_second(device: Device, threads: int = 1) -> float:
    """Multiply-adds a second of a matrix product with `threads` threads on this CPU, measured in a third of a
    second; for a GPU a guess."""
    if device == "cuda":
        return GPU_MACS_PER_SECOND
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        factor = torch.ones(PRODUCT, PRODUCT)
        seconds = []
        for _ in range(9):
            start = time.perf_counter()
            factor @ factor
            seconds.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return PRODUCT**3 / statistics.median(seconds)


@dataclass(frozen=True)
class CostModel:
    """Expected durations on one slot.

    Attributes:
        device: what trials train on.
        evaluation_images, selection_images: images of those parts.
        macs_per_second: throughput of one slot in multiply-adds.
        factors: measured over expected training time by (architecture, image size).
    """

    device: Device
    evaluation_images: int
    selection_images: int
    macs_per_second: float = 45e9
    factors: Factors = field(default_factory=dict)

    def corrected(self, records: Mapping[str, dict[str, Any]]) -> CostModel:
        """This model, corrected by finished cells that trained all weights on the same kind of device."""
        plain = dataclasses.replace(self, factors={})
        found: dict[tuple[Architecture, int], list[float]] = {}
        for record in records.values():
            if record["status"] != "done" or record["cell"]["freeze"] != "none":
                continue
            if record["environment"].get("device") != self.device or record["schema"] > SCHEMA:
                continue
            cell, recipe = Cell(**record["cell"]), Recipe(**record["recipe"])
            expected = plain.training_seconds(cell.architecture, recipe, cell.train_images)
            took = cell.train_images / record["metrics"]["images_per_second"]
            found.setdefault((cell.architecture, recipe.image_size), []).append(took / expected)
        factors = {key: statistics.median(values) for key, values in found.items()}
        return dataclasses.replace(self, factors=factors)

    def factor(self, architecture: Architecture, image_size: int) -> float:
        """That of the architecture at this size; else the median of all, 1 without any."""
        if not self.factors:
            return 1.0
        return self.factors.get((architecture, image_size), statistics.median(self.factors.values()))

    def image_seconds(self, architecture: Architecture, recipe: Recipe) -> float:
        """Seconds of arithmetic to train on one image once."""
        macs = architectures.size_of(architecture, recipe.image_size)["macs"]
        seconds = 3 * macs / (self.macs_per_second * EFFICIENCY[architecture])
        return self.factor(architecture, recipe.image_size) * seconds

    def step_seconds(self, architecture: Architecture, recipe: Recipe) -> float:
        """Seconds of one training step besides its images."""
        size = architectures.size_of(architecture, recipe.image_size)
        seconds = (
            size["parameters"] * SECONDS_PER_PARAMETER[self.device]
            + size["depth"] * SECONDS_PER_LAYER[self.device]
        )
        return self.factor(architecture, recipe.image_size) * seconds

    def training_seconds(self, architecture: Architecture, recipe: Recipe, images: int) -> float:
        """Seconds of one epoch of training on so many images."""
        steps = -(-images // recipe.batch_size)
        per_image = self.image_seconds(architecture, recipe)
        return images * per_image + steps * self.step_seconds(architecture, recipe)

    def seconds(self, cell: Cell, recipe: Recipe) -> float:
        """Seconds of the whole cell: range test, epochs with their selection, evaluation."""
        forward = FORWARD_SHARE * self.image_seconds(cell.architecture, recipe)
        parameters = architectures.size_of(cell.architecture, recipe.image_size)["parameters"]
        fixed = SECONDS_PER_CELL + parameters * INITIAL_SECONDS_PER_PARAMETER
        epochs = recipe.upstream_epochs if cell.kind == "upstream" else recipe.epochs
        evaluated = 0 if cell.finding in NATURAL_IMAGES else self.evaluation_images
        if cell.freeze == "backbone" and recipe.frozen_views:
            images = min(recipe.frozen_views, epochs) * cell.train_images + self.selection_images + evaluated
            return fixed + forward * images
        epoch = self.training_seconds(cell.architecture, recipe, cell.train_images)
        ladder = recipe.range_test_steps * self.training_seconds(
            cell.architecture, recipe, min(cell.train_images, recipe.batch_size)
        )
        return fixed + ladder + epochs * epoch + forward * (self.selection_images * epochs + evaluated)
