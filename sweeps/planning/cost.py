"""What a cell will cost: its steps and images times what the machine takes for one of either.

An image costs the network's arithmetic at the throughput of the machine, which a matrix product measures, and
at the efficiency that the architecture reaches of it; a step costs the update of the weights besides. Of a
GPU a trial gets no more than its share. What `--check` has measured on this kind of machine corrects that,
and so do cells that have finished on the same kind of device, architecture by architecture.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sweeps.planning.speeds import NOTHING, Speeds
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import SCHEMA, Cell, Recipe
from transfusion.training.schedule import passes, steps_of

Device = Literal["cpu", "cuda"]

GPU_MACS_PER_SECOND = {2: 2e13, 4: 3e12}
"""Multiply-adds a second of a whole GPU in training, by the bytes of an element (bfloat16, float32): a guess,
until `--check` or finished cells have measured it."""

GPU_SPREAD = 2.0
"""By how much a guess for a GPU may be off, in either direction: the slowest and the fastest card that
computes in a type are further apart than that, most are not."""

EFFICIENCY_SIZES = (24, 224)
"""Pixels at which `Spec.efficiency` was measured."""

HEAD_STEP_SECONDS = 5e-4
"""Of a training step of a frozen backbone's head, on a core of the CPU in any case; measured."""

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


def efficiency(device: Device, architecture: Architecture, image_size: int) -> float:
    """That of the architecture at this image size: between the sizes at which it is known by the logarithm of
    the size, beyond them that of the nearer one. 1 where nobody has measured it, and for a GPU: what
    `GPU_MACS_PER_SECOND` guesses is training itself."""
    known = ARCHITECTURES[architecture].efficiency
    if device == "cuda" or known is None:
        return 1.0
    small, large = EFFICIENCY_SIZES
    place = math.log(image_size / small) / math.log(large / small)
    at_small, at_large = known
    return at_small + (at_large - at_small) * min(1.0, max(0.0, place))


def macs_per_second(device: Device, threads: int = 1, element_bytes: int = 4) -> float:
    """Multiply-adds a second of a matrix product with `threads` threads on this CPU, measured in a third of a
    second of its own time, so that other programs beside it count little; for a GPU a guess, by the type that
    it computes in."""
    if device == "cuda":
        return GPU_MACS_PER_SECOND[element_bytes]
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        factor = torch.ones(PRODUCT, PRODUCT)
        seconds = []
        for _ in range(9):
            start = time.process_time()
            factor @ factor
            seconds.append((time.process_time() - start) / threads)
    finally:
        torch.set_num_threads(before)
    return PRODUCT**3 / statistics.median(seconds)


@dataclass(frozen=True)
class CostModel:
    """Expected durations on one slot.

    Attributes:
        device: what trials train on.
        evaluation_images, selection_images: images of those parts.
        macs_per_second: throughput in multiply-adds of one slot of a CPU, or of a whole GPU.
        factors: measured over expected training time by (architecture, image size).
        head_step_seconds: measured, None before.
        device_name: of the GPUs; empty on a CPU, and where it is unknown or of several kinds.
        least_part: `Resources.least_part`.
    """

    device: Device
    evaluation_images: int
    selection_images: int
    macs_per_second: float = 45e9
    factors: Factors = field(default_factory=dict)
    head_step_seconds: float | None = None
    device_name: str = ""
    least_part: float = 0.0

    def measured(self, speeds: Speeds) -> CostModel:
        """This model, corrected by what `--check` has kept of this kind of machine."""
        plain = dataclasses.replace(self, factors={})
        found: dict[tuple[Architecture, int], list[float]] = {}
        for speed in speeds.measured:
            recipe = Recipe(image_size=speed.image_size, batch_size=speed.batch_size)
            part = max(speed.share, 1 / speed.trials)
            expected = plain.training_seconds(speed.architecture, recipe, speed.batch_size, part)
            took = speed.batch_size / speed.images_per_second
            found.setdefault((speed.architecture, speed.image_size), []).append(took / expected)
        factors = {key: statistics.median(values) for key, values in found.items()}
        step = speeds.head_step_seconds or self.head_step_seconds
        return dataclasses.replace(self, factors=factors, head_step_seconds=step)

    def corrected(self, records: Mapping[str, dict[str, Any]], speeds: Speeds = NOTHING) -> CostModel:
        """This model, corrected by finished cells that trained on such a device: by those that
        trained all weights, and the head's steps by frozen ones. What `--check` has measured stands where
        none has."""
        plain = dataclasses.replace(self, factors={})
        before = self.measured(speeds)
        found: dict[tuple[Architecture, int], list[float]] = {}
        heads: list[float] = []
        for record in records.values():
            if record["status"] != "done" or record["schema"] > SCHEMA:
                continue
            environment = record["environment"]
            if environment.get("device") != self.device:
                continue
            if self.device_name and environment.get("device_name") not in (None, self.device_name):
                continue
            cell, recipe = Cell(**record["cell"]), Recipe(**record["recipe"])
            took = cell.train_images / record["metrics"]["images_per_second"]
            if cell.freeze == "backbone":
                if recipe.frozen_views:
                    heads.append(took / steps_of(cell.train_images, recipe))
                continue
            part = max(environment.get("share", 1.0), self.least_part)
            expected = plain.training_seconds(cell.architecture, recipe, cell.train_images, part)
            found.setdefault((cell.architecture, recipe.image_size), []).append(took / expected)
        factors = {key: statistics.median(values) for key, values in found.items()}
        step = statistics.median(heads) if heads else before.head_step_seconds
        return dataclasses.replace(self, factors={**before.factors, **factors}, head_step_seconds=step)

    def guessed(self, architecture: Architecture, image_size: int) -> bool:
        """Whether nothing has measured this architecture at this size here."""
        return (architecture, image_size) not in self.factors

    def factor(self, architecture: Architecture, image_size: int) -> float:
        """That of the architecture at this size; else the median of all, 1 without any."""
        if not self.factors:
            return 1.0
        return self.factors.get((architecture, image_size), statistics.median(self.factors.values()))

    def image_seconds(self, architecture: Architecture, recipe: Recipe, part: float = 1.0) -> float:
        """Seconds of arithmetic to train on one image once, with this part of a GPU's arithmetic."""
        macs = ARCHITECTURES[architecture].macs(recipe.image_size)
        speed = self.macs_per_second * efficiency(self.device, architecture, recipe.image_size)
        part = part if self.device == "cuda" else 1.0
        return self.factor(architecture, recipe.image_size) * 3 * macs / (speed * part)

    def step_seconds(self, architecture: Architecture, recipe: Recipe) -> float:
        """Seconds of one training step besides its images."""
        spec = ARCHITECTURES[architecture]
        seconds = (
            spec.parameters * SECONDS_PER_PARAMETER[self.device] + spec.depth * SECONDS_PER_LAYER[self.device]
        )
        return self.factor(architecture, recipe.image_size) * seconds

    def training_seconds(
        self, architecture: Architecture, recipe: Recipe, images: int, part: float = 1.0
    ) -> float:
        """Seconds of one epoch of training on so many images."""
        per_image = self.image_seconds(architecture, recipe, part)
        return images * per_image + steps_of(images, recipe) * self.step_seconds(architecture, recipe)

    def seconds(self, cell: Cell, recipe: Recipe, share: float = 1.0) -> float:
        """Seconds of the whole cell: range test, epochs with their selection, evaluation.

        Args:
            share: of a GPU that it trains on.
        """
        done = passes(cell, recipe, self.selection_images, self.evaluation_images)
        parameters = ARCHITECTURES[cell.architecture].parameters
        image = self.image_seconds(cell.architecture, recipe, max(share, self.least_part))
        return (
            SECONDS_PER_CELL
            + parameters * INITIAL_SECONDS_PER_PARAMETER
            + done.trained_images * image
            + done.trained_steps * self.step_seconds(cell.architecture, recipe)
            + done.head_steps * (self.head_step_seconds or HEAD_STEP_SECONDS)
            + done.forward_images * FORWARD_SHARE * image
        )
