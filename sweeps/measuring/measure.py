"""Every network of a plan, trained for a few steps: alone, as many at once as a device takes, compiled."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console

from sweeps.measuring import machine
from sweeps.measuring.probing import ProbeError, Workers
from sweeps.planning.memory import first_share
from sweeps.planning.resources import Resources, larger_share
from sweeps.planning.speeds import NOTHING, Speed, Speeds
from sweeps.spaces import Preset
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import Cell
from transfusion.problems import Problem
from transfusion.training import acceleration

SECONDS = 0.4
"""That an epoch of a measurement is to last."""

LONG_STEP = 0.5
"""Seconds of a step on a CPU that is measured once rather than in epochs."""

LEAST_STEPS, MOST_STEPS = 16, 64
"""Steps of an epoch of a measurement: on a GPU at least so many, as it works behind the CPU's back."""


@dataclass(frozen=True)
class Found:
    """What was seen of one network: its speed, or why it does not train here.

    Attributes:
        problem: empty where it trains.
        share_of_peak: of the matrix product, alone.
        host_memory: bytes of the process at most.
        compiled: `yes`, `no` (the plan would not), or why it cannot be; with the seconds that it took.
    """

    architecture: Architecture
    speed: Speed | None = None
    problem: str = ""
    share_of_peak: float = 0.0
    host_memory: int = 0
    compiled: str = "no"
    compile_seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """What is checked: the plan's networks, and what trains them."""

    preset: Preset
    wanted: tuple[Cell, ...]
    at_hand: Resources

    @property
    def networks(self) -> list[Architecture]:
        """Every architecture of the plan, once."""
        return list(dict.fromkeys(cell.architecture for cell in self.wanted))

    def share(self, architecture: Architecture) -> float:
        """The share of a device that a fine-tuned cell of it would first get."""
        cell = Cell(architecture=architecture, train_images=1)
        return first_share(cell, self.preset.recipe, self.at_hand, {})

    def trials(self, share: float) -> int:
        """How many trials of this share run at once: on one GPU, or on all cores."""
        if self.at_hand.device == "cpu":
            return self.at_hand.slots(share)
        cores = max(self.at_hand.cores) // self.at_hand.cpus // max(1, int(sum(self.at_hand.gpus)))
        return max(1, min(int(1 / share + 1e-9), cores))

    def question(self, what: str, share: float = 1.0, **more: Any) -> dict[str, Any]:
        """What a worker is asked."""
        place = dataclasses.asdict(self.at_hand.machine(share))
        return {"what": what, "place": place, "recipe": dataclasses.asdict(self.preset.recipe), **more}


def measure(check: Check, console: Console) -> tuple[list[Found], Speeds, list[Problem]]:
    """Every network, one after the other; what is kept of it and of the device itself; and who uses that."""
    others: list[Problem] = []
    with Workers() as workers, console.status("starting") as status:
        status.update("measuring a matrix product")
        try:
            if check.at_hand.device == "cuda":
                (used,) = workers.ask(1, check.question("memory"))
                others = machine.used_by_others(used["gpus"])
            (device,) = workers.ask(1, check.question("device"))
        except ProbeError as error:
            return [Found(name, problem=str(error)) for name in check.networks], NOTHING, others
        found = []
        for architecture in check.networks:
            status.update(f"training {architecture}")
            found.append(one(check, architecture, workers, device["macs_per_second"]))
    on_cpu = check.at_hand.device == "cpu"  # of a GPU a plan guesses training itself, not a product
    kept = Speeds(
        tuple(one.speed for one in found if one.speed),
        device["head_step_seconds"],
        device["macs_per_second"] if on_cpu else None,
    )
    return found, kept, others


def one(check: Check, architecture: Architecture, workers: Workers, peak: float) -> Found:
    """One network: alone, as many at once as fit, and compiled where the plan would.

    Args:
        peak: multiply-adds a second of a matrix product.
    """
    recipe, size = check.preset.recipe, check.preset.recipe.image_size
    share = check.share(architecture)
    compiling: dict[str, Any] = {"outcome": "no", "seconds": 0.0, "images_per_second": 0.0}
    try:
        (alone,) = train(check, architecture, workers, 1, 1.0)
        steps = max(
            LEAST_STEPS, min(MOST_STEPS, int(SECONDS * alone["images_per_second"] / recipe.batch_size))
        )
        if lasts(check, architecture, alone["images_per_second"]):
            try:
                (compiling,) = workers.ask(1, check.question("compile", steps=steps))
            except ProbeError as error:  # plainly it does train
                compiling["outcome"] = str(error)
        together = [alone]
        while (trials := check.trials(share)) > 1:
            try:
                together = train(check, architecture, workers, trials, share)
                break
            except ProbeError as error:
                if error.kind != "out_of_memory" or check.at_hand.device == "cpu":
                    raise
                share = larger_share(share)
    except ProbeError as error:
        advice = ""
        if error.kind == "out_of_memory":
            advice = "; try a smaller batch (--recipe batch_size=16), smaller images, or leave it out"
        return Found(architecture, problem=f"does not train here: {error}{advice}")
    finally:
        workers.release()
    speed = Speed(
        architecture=architecture,
        image_size=size,
        batch_size=recipe.batch_size,
        images_per_second=sum(answer["images_per_second"] for answer in together) / len(together),
        alone=alone["images_per_second"],
        trials=check.trials(share),
        share=share,
        type=alone["type"],
        memory=max(answer["memory"] for answer in together),
        compiled=compiling["images_per_second"],
    )
    return Found(
        architecture,
        speed,
        share_of_peak=alone["images_per_second"] * 3 * ARCHITECTURES[architecture].macs(size) / peak,
        host_memory=max(answer["host_memory"] for answer in together),
        compiled=compiling["outcome"],
        compile_seconds=compiling["seconds"],
    )


def train(
    check: Check, architecture: Architecture, workers: Workers, count: int, share: float
) -> list[dict[str, Any]]:
    """What `count` processes measure that train at once, each on its share."""
    warm = workers.ask(count, check.question("warm_up", share, architecture=architecture))
    slowest = max(answer["step_seconds"] for answer in warm)
    on_gpu = check.at_hand.device == "cuda"
    steps = min(MOST_STEPS, int(SECONDS / slowest) + 1)
    if on_gpu:
        steps = max(LEAST_STEPS, steps)
    elif slowest > LONG_STEP:
        steps = 0
    return workers.ask(count, check.question("train", share, steps=steps))


def lasts(check: Check, architecture: Architecture, images_per_second: float) -> bool:
    """Whether some cell of it trains for so long, on a GPU, that its training is compiled."""
    recipe = check.preset.recipe
    images = max(cell.train_images for cell in check.wanted if cell.architecture == architecture)
    most = max(recipe.epochs * images, recipe.upstream_epochs * recipe.upstream_images)
    step, device = recipe.batch_size / images_per_second, torch.device(check.at_hand.device)
    return acceleration.worth_compiling(device, step, most // recipe.batch_size)
