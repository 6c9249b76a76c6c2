"""Benchmark training in this process: a few steps of the real training on random images."""

from __future__ import annotations

import dataclasses
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from transfusion.architectures import Architecture
from transfusion.cell import Recipe
from transfusion.networks.network import build
from transfusion.records.failures import failure_of
from transfusion.study import Machine
from transfusion.training import acceleration
from transfusion.training.augmentation import training_inputs
from transfusion.training.fitting import Hooks, find_learning_rate, fit
from transfusion.training.module import TrainingModule
from transfusion.training.process_state import cap_memory, reset
from transfusion.training.schedule import CONTEXT_BYTES, EVALUATION_BATCH
from transfusion.training.task import CPU, Batches, Task

EPOCHS = 3
"""Of a measurement, of which the first only warms up."""

SLOW_SECONDS = 4.0
"""Where the first step takes longer, it is the measurement."""

HEAD_FEATURES, HEAD_STEPS = 2048, 64
"""Of a frozen backbone's head: inputs, and the steps of an epoch that times it."""

PRODUCT = {"cpu": 1024, "cuda": 8192}
"""Side of the matrices whose product measures the device."""

NO_CHECKPOINT = Hooks(checkpoint_seconds=1e9)


@dataclass(frozen=True)
class Measured:
    """Speed and memory of a few training steps.

    Attributes:
        images_per_second: of one process.
        type: that the backbone computes in.
        memory: bytes of the GPU at most, or without one of the process.
        host_memory: bytes of the process at most.
    """

    images_per_second: float
    type: str
    memory: int
    host_memory: int


class Probe:
    """One network as a cell trains it: its network, module, loop and optimiser, on noise for images."""

    def __init__(self, architecture: Architecture, recipe: Recipe, place: Machine) -> None:
        reset(0, place.threads)
        forget_peak()
        if place.device == "cuda":
            cap_memory(place.share)
        self.device, self.precision = torch.device(place.device), place.precision
        self.recipe = _short(recipe)
        self.network = build(architecture, batch_norm_momentum=recipe.batch_norm_momentum)
        self.network.reduced = acceleration.reduced_type(self.device, place.precision)
        self.network.to(self.device).to(memory_format=torch.channels_last)
        self.step_seconds = 0.0

    def warm_up(self) -> float:
        """Seconds of one training step, the first one left out where it was short."""
        module = self._module(1)
        for _ in range(2):
            start = time.perf_counter()
            find_learning_rate(module, self.device)
            self.step_seconds = time.perf_counter() - start
            if self.step_seconds > SLOW_SECONDS:
                break
        return self.step_seconds

    def train(self, steps: int) -> Measured:
        """Speed and memory of epochs of so many steps, Lightning's loop included; 0 is the warm-up's step."""
        speed = self.recipe.batch_size / self.step_seconds
        if steps:
            module = self._module(steps)
            speed = steps * self.recipe.batch_size / _epoch_seconds(module, self.device)
        host = peak_bytes()
        on_gpu = self.device.type == "cuda"
        kind = acceleration.type_name(self.device, self.precision)
        return Measured(speed, kind, torch.cuda.max_memory_allocated() if on_gpu else host, host)

    def compiled(self, steps: int) -> tuple[str, float, float]:
        """Whether the network could be compiled (`yes`, or why not), how long that took, images a second."""
        module = self._module(steps)
        start = time.perf_counter()
        self.network.train()
        ((inputs, _),) = Batches(
            module.task, np.arange(self.recipe.batch_size), self.recipe.batch_size, self.device
        )
        example = training_inputs(inputs, self.recipe, torch.Generator())
        module.compiled, outcome = acceleration.compiled(self.network, example)
        took = time.perf_counter() - start
        if outcome != "yes":
            return outcome, took, 0.0
        speed = steps * self.recipe.batch_size / _epoch_seconds(module, self.device)
        return outcome, took, speed

    def _module(self, steps: int) -> TrainingModule:
        size, batch = self.recipe.image_size, self.recipe.batch_size
        noise = np.random.default_rng(0)
        kept = batch if self.device.type == "cpu" else max(batch, EVALUATION_BATCH)
        images = noise.integers(0, 256, (kept, 1, size, size), np.uint8)
        task = _task(images, steps * batch, 1 if self.device.type == "cpu" else EVALUATION_BATCH)
        return TrainingModule(self.network, task, self.recipe, seed=0)


def head_step_seconds(recipe: Recipe, place: Machine) -> float:
    """Seconds of a step of a frozen backbone's head on features, which trains on the CPU."""
    reset(0, place.threads)
    features = np.random.default_rng(0).random((recipe.batch_size, HEAD_FEATURES), np.float32)
    task = _task(features.astype(np.float16), HEAD_STEPS * recipe.batch_size, 1)
    head = nn.Linear(HEAD_FEATURES, 1)
    return _epoch_seconds(TrainingModule(head, task, _short(recipe), seed=0), CPU) / HEAD_STEPS


def product_macs_per_second(place: Machine) -> float:
    """Multiply-adds a second of a matrix product in the type of the backbone, the best of some."""
    reset(0, place.threads)
    device = torch.device(place.device)
    side = PRODUCT[device.type]
    kind = acceleration.reduced_type(device, place.precision) or torch.float32
    factor = torch.ones(side, side, device=device, dtype=kind)
    seconds = []
    for _ in range(8):
        synchronize(device)
        start = time.perf_counter()
        factor @ factor
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return side**3 / min(seconds)


def used_by_others() -> list[tuple[int, int]]:
    """Of every GPU the bytes that other processes hold, and all that it has. To be asked before this process
    holds any itself, but CUDA's context."""
    found = []
    for index in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(index).total_memory
        try:
            free, _ = torch.cuda.mem_get_info(index)
        except RuntimeError as error:
            if failure_of(error) != "out_of_memory":
                raise
            free = 0  # not even a context fits
        found.append((max(0, total - free - CONTEXT_BYTES), total))
    return found


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak() -> None:
    """Reset the peak memory of this process, where the system can."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def peak_bytes() -> int:
    """Upper bound of the peak memory of this process since `forget_peak`, shared pages included."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _task(inputs: np.ndarray, images: int, selection: int) -> Task:
    """A binary task of so many training images, which are the inputs over and over."""
    labels = (np.arange(len(inputs)) % 2).astype(np.float32)[:, None]
    return Task(
        inputs, labels, 1, {"train": np.arange(images) % len(inputs), "selection": np.arange(selection)}
    )


def _short(recipe: Recipe) -> Recipe:
    """`recipe` with a range test of one step, at a rate that leaves the loss finite."""
    return dataclasses.replace(
        recipe, range_test_steps=1, range_test_low=1e-6, range_test_high=1e-5, epochs=EPOCHS
    )


def _epoch_seconds(module: TrainingModule, device: torch.device) -> float:
    """The median of the epochs after the first."""
    with tempfile.TemporaryDirectory() as folder:
        fit(module, EPOCHS, device, Path(folder) / "checkpoint", NO_CHECKPOINT)
    seconds: list[float] = [epoch["train_seconds"] for epoch in module.epochs]
    return float(median(seconds[1:]))
