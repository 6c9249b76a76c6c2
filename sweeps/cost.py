"""What a cell will cost: images to process times the seconds that its architecture takes for one.

The speed is that of finished cells of the same architecture, image size and device where there are any. Else
it is the arithmetic of the network at a throughput typical of the device, corrected by how far that was off
for the architectures that were measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transfusion import architectures
from transfusion.cell import NATURAL_IMAGES, Architecture, Cell, Recipe

MACS_PER_SECOND = {"cpu": 45e9, "cuda": 5e12}
"""Multiply-adds a second in training: large convolutions on one core; on a GPU a guess, until measured."""

SECONDS_PER_LAYER = {"cpu": 1.6e-3, "cuda": 1e-4}
"""What a weighted layer costs per training step whatever its size."""

SECONDS_PER_CELL = 0.6
"""Set-up and records of one trial in a running process."""

FORWARD_SHARE = 0.25
"""Time of a forward pass alone, as a share of a training step's."""

Speeds = dict[tuple[Architecture, int], float]


@dataclass
class CostModel:
    """Expected durations on one slot.

    Attributes:
        device: `cpu` or `cuda`.
        evaluation_images, selection_images: images of those parts.
        measured: images a second by (architecture, image size).
    """

    device: str
    evaluation_images: int
    selection_images: int
    measured: Speeds = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._corrections: dict[Recipe, float] = {}

    def seconds_per_image(self, architecture: Architecture, recipe: Recipe) -> float:
        """Seconds to train on one image once."""
        if speed := self.measured.get((architecture, recipe.image_size)):
            return 1 / speed
        return self.correction(recipe) * self._arithmetic(architecture, recipe.image_size, recipe.batch_size)

    def correction(self, recipe: Recipe) -> float:
        """Measured over arithmetical seconds, the median of the measured architectures; 1 without any."""
        if recipe not in self._corrections:
            ratios = [
                1 / speed / self._arithmetic(architecture, size, recipe.batch_size)
                for (architecture, size), speed in self.measured.items()
            ]
            self._corrections[recipe] = statistics.median(ratios) if ratios else 1.0
        return self._corrections[recipe]

    def _arithmetic(self, architecture: Architecture, image_size: int, batch_size: int) -> float:
        size = architectures.size_of(architecture, image_size)
        layers = size["depth"] * SECONDS_PER_LAYER[self.device] / batch_size
        return 3 * size["macs"] / MACS_PER_SECOND[self.device] + layers

    def seconds(self, cell: Cell, recipe: Recipe) -> float:
        """Seconds of the whole cell: range test, epochs with their selection, evaluation."""
        per_image = self.seconds_per_image(cell.architecture, recipe)
        forward = FORWARD_SHARE * per_image
        epochs = recipe.upstream_epochs if cell.kind == "upstream" else recipe.epochs
        evaluated = 0 if cell.finding in NATURAL_IMAGES else self.evaluation_images
        if cell.freeze == "backbone" and recipe.frozen_views:
            images = min(recipe.frozen_views, epochs) * cell.train_images + self.selection_images + evaluated
            return SECONDS_PER_CELL + forward * images
        trained = cell.train_images * epochs + recipe.range_test_steps * recipe.batch_size
        return SECONDS_PER_CELL + per_image * trained + forward * (self.selection_images * epochs + evaluated)


def measured_speeds(records: Mapping[str, dict[str, Any]], device: str) -> Speeds:
    """Median images a second of the finished cells with `freeze` none, by architecture and image size."""
    speeds: dict[tuple[Architecture, int], list[float]] = {}
    for record in records.values():
        if record["status"] != "done" or record["cell"]["freeze"] != "none":
            continue
        if record["environment"].get("device") != device:
            continue
        key = (record["cell"]["architecture"], record["recipe"]["image_size"])
        speeds.setdefault(key, []).append(record["metrics"]["images_per_second"])
    return {key: statistics.median(values) for key, values in speeds.items()}
