"""`--check`: the first two minutes on a machine. What fits, how fast, what is wrong; the speeds are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sweeps.inputs.data import most_images
from sweeps.measuring import machine
from sweeps.measuring.measure import Check, Found, lasts, measure
from sweeps.measuring.shown import header, table
from sweeps.options.overrides import preset_of
from sweeps.options.values import Options
from sweeps.planning import resources, speeds
from sweeps.planning.gpus import GpuError
from sweeps.planning.resources import Resources
from sweeps.planning.speeds import Speeds
from transfusion.architectures import ARCHITECTURES
from transfusion.problems import SettingError
from transfusion.training.schedule import views_of

OK, FAILED = 0, 1

RECORD_BYTES = 20_000
"""Of a finished cell on disk."""


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
    console.print(table(found, at_hand, console.width))
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
