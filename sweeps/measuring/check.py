"""`--check`: the first two minutes on a machine. What fits, how fast, what is wrong; the speeds are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as TextTable

from sweeps.inputs.data import most_images
from sweeps.measuring import machine
from sweeps.measuring.probing import ProbeError, Workers
from sweeps.options import Options
from sweeps.overrides import preset_of
from sweeps.planning import resources, speeds
from sweeps.planning.memory import needed_bytes
from sweeps.planning.resources import GpuError, Resources, larger_share
from sweeps.planning.speeds import NOTHING, Speed, Speeds
from sweeps.spaces import Preset
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import Cell
from transfusion.problems import Problem, SettingError
from transfusion.training import acceleration
from transfusion.training.schedule import views_of

OK, FAILED = 0, 1

SECONDS = 0.4
"""That an epoch of a measurement is to last."""

LONG_STEP = 0.5
"""Seconds of a step on a CPU that is measured once rather than in epochs."""

LEAST_STEPS, MOST_STEPS = 16, 64
"""Steps of an epoch of a measurement: on a GPU at least so many, as it works behind the CPU's back."""

RECORD_BYTES = 20_000
"""Of a finished cell on disk."""


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
        return self.at_hand.share(needed_bytes(cell, self.preset.recipe, {}, self.at_hand.element_bytes))

    def trials(self, share: float) -> int:
        """How many trials of this share run at once: on one GPU, or on all cores."""
        if self.at_hand.device == "cpu":
            return self.at_hand.slots(share)
        cores = max(self.at_hand.cores) // self.at_hand.cpus // max(1, int(sum(self.at_hand.gpus)))
        return max(1, min(int(1 / share + 1e-9), cores))

    def question(self, what: str, share: float = 1.0, **more: Any) -> dict[str, Any]:
        """What a worker is asked."""
        place = {
            "device": self.at_hand.device,
            "threads": self.at_hand.cpus,
            "share": share,
            "precision": "auto" if self.at_hand.element_bytes == 2 else "float32",
        }
        return {"what": what, "place": place, "recipe": dataclasses.asdict(self.preset.recipe), **more}


def run(options: Options, console: Console) -> int:
    """Measure, print, keep; the exit status is 1 where something is wrong.

    Raises:
        SettingError: options that cannot be used.
    """
    refuse(options)
    preset = preset_of(options)
    wanted = tuple(preset.cells())
    out = Path(options.out or f"results/{preset.name}")
    local = "://" not in str(options.out)
    places = [("--out", out)] if local else []
    if local or options.cache:
        places.append(("--cache", options.cache or out / "cache"))
    facts = machine.look(places)
    try:
        at_hand = resources.of_machine(options.cpus_per_trial, options.gpus_per_trial)
    except GpuError as error:
        console.print(f"{error}", markup=False, soft_wrap=True)
        console.print(
            f"driver: {facts.driver or 'none that the system tells of'}; nothing was measured",
            markup=False, soft_wrap=True,
        )  # fmt: skip
        return FAILED
    check = Check(preset, wanted, at_hand)
    console.print(header(check, facts), markup=False, soft_wrap=True)
    if facts.load > max(at_hand.cores) / 2:
        console.print(
            f"Others use this machine (load {facts.load:.1f}): it is faster than what is measured now.",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    found, measured, others = measure(check, console)
    console.print(table(found, at_hand))
    wrong = list(map(str, others))
    wrong += [f"{one.architecture}: {one.problem}" for one in found if one.problem]
    wrong += dict.fromkeys(
        f"compiler: {one.compiled}; install a C compiler and the headers of Python, or train uncompiled"
        for one in found
        if one.compiled not in ("no", "yes")
    )
    wrong += map(str, machine.problems(facts, needs(check, found)))
    for text in wrong:
        console.print(f"* {text}", markup=False, soft_wrap=True)
    many = "1 thing is" if len(wrong) == 1 else f"{len(wrong) or 'Nothing'} {'things are' if wrong else 'is'}"
    console.print(f"{many} wrong.", markup=False)
    if measured.measured:
        console.print(kept(at_hand, measured), markup=False, soft_wrap=True)
    return FAILED if wrong else OK


def refuse(options: Options) -> None:
    """Options that a check has no use for.

    Raises:
        SettingError: with all of them.
    """
    problems = []
    if options.address:
        problems.append(
            f"--check --address {options.address}: found a cluster, expected this machine, which is the one "
            "that is measured; run it without --address on a node of the cluster: speeds that lie in a home "
            "folder that the nodes share serve the plan of a cluster with GPUs of one kind"
        )
    for name in ("dry_run", "prune", "retry_failed", "wait", "fail_fast"):
        if getattr(options, name):
            option = f"--{name.replace('_', '-')}"
            problems.append(f"--check {option}: found both, expected one of them; a check starts no sweep")
    if problems:
        raise SettingError("\n".join(problems))


def header(check: Check, facts: machine.Facts) -> str:
    """On what, for what."""
    at_hand, recipe = check.at_hand, check.preset.recipe
    device = at_hand.device_name or "GPUs of several kinds"
    many = f"{sum(at_hand.gpus):g} x " if sum(at_hand.gpus) > 1 else ""
    built = f", CUDA {facts.cuda}" if at_hand.device == "cuda" else ""
    trials = f"{at_hand.cpus} cores a trial" if at_hand.cpus > 1 else "one core a trial"
    return (
        f"{many}{device}, torch {torch.__version__}{built}; {max(at_hand.cores)} cores, {trials}; "
        f"{recipe.image_size} pixels, batches of {recipe.batch_size}, images made up"
    )


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
                together = [alone]
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


def table(found: Sequence[Found], at_hand: Resources) -> TextTable:
    """One row for every network of the plan."""
    on_gpu = at_hand.device == "cuda"
    grid = TextTable(
        title="The check", title_justify="left", caption_justify="left", caption_style="", box=SIMPLE,
        collapse_padding=True, pad_edge=False,
    )  # fmt: skip
    grid.add_column("architecture", no_wrap=True)
    names = ["fits", "type", "alone", "together", "peak", "GiB", "trials"]
    for name in [*names, *(["compiled"] if on_gpu else [])]:
        grid.add_column(name, justify="right", no_wrap=True)
    device = "a GPU" if on_gpu else "this machine"
    grid.caption = (
        f"alone, together: images a second of one trial, and of all trials that {device} takes at once\n"
        "peak: of the multiply-adds of a matrix product in this type, the share reached alone\n"
        f"GiB: memory of {'the GPU' if on_gpu else 'the process'}, at most, of one trial"
        + (f"\ncompiled: images a second over those of alone{after(found)}" if on_gpu else "")
    )
    for row in found:
        if row.speed is None:
            grid.add_row(row.architecture, "no", *["-"] * (len(grid.columns) - 2))
            continue
        speed = row.speed
        columns = [
            "yes",
            speed.type,
            f"{speed.alone:,.1f}",
            f"{speed.images_per_second * speed.trials:,.1f}",
            f"{row.share_of_peak:.2f}",
            f"{speed.memory / machine.GIB:.1f}",
            str(speed.trials),
        ]
        if on_gpu:
            gain = f"{speed.compiled / speed.alone:.2f} x"
            columns.append({"no": "no", "yes": gain}.get(row.compiled, "cannot"))
        grid.add_row(row.architecture, *columns)
    return grid


def after(found: Sequence[Found]) -> str:
    """How long compiling took, where something was compiled."""
    seconds = [row.compile_seconds for row in found if row.compiled == "yes"]
    return f"; compiling took {min(seconds):.0f} to {max(seconds):.0f} s" if seconds else ""


def needs(check: Check, found: Sequence[Found]) -> machine.Needs:
    """What the plan needs of the machine beside its devices."""
    at_hand, recipe = check.at_hand, check.preset.recipe
    trials = max([at_hand.slots(one.speed.share) for one in found if one.speed] or [1])
    networks = [ARCHITECTURES[name].parameters for name in check.networks]
    weights = 4 * max(networks)
    phantom = check.preset.phantom
    images = max(most_images(check.wanted, recipe), phantom.images if phantom else 0)
    return machine.Needs(
        on_gpu=at_hand.device == "cuda",
        compiled=any(one.speed and lasts(check, one.architecture, one.speed.alone) for one in found),
        trials=trials,
        memory=max((one.host_memory for one in found), default=0),
        disks={
            "--out": RECORD_BYTES * len(check.wanted) + 4 * sum(networks) + 4 * weights * trials,
            "--cache": images * recipe.image_size**2 + features_bytes(check, trials),
        },
    )


def features_bytes(check: Check, trials: int) -> int:
    """Of the files in which so many frozen cells at once, those that need most, keep features in float16."""
    recipe = check.preset.recipe
    needed = [
        views_of(recipe) * cell.train_images * ARCHITECTURES[cell.architecture].features * 2
        for cell in check.wanted
        if cell.freeze == "backbone" and recipe.frozen_views
    ]
    return sum(sorted(needed)[-trials:])


def kept(at_hand: Resources, measured: Speeds) -> str:
    """Keep the speeds, and say where; or why not."""
    try:
        path = speeds.keep(at_hand, measured)
    except OSError as error:
        return f"The speeds could not be kept ({error}); plans go on guessing."
    if path is None:
        return "The speeds are not kept: the GPUs here are of several kinds."
    return f"The speeds are kept in {path}; plans reckon with them from now on."
