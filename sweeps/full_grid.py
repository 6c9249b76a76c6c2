"""Run a whole grid: `python sweeps/full_grid.py`. Running it again runs only what is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from rich.console import Console

import analysis
from sweeps import cost, executor, plan, pretrained
from sweeps.command_line import parser, preset_of
from sweeps.data import open_data, prepare
from sweeps.progress import SweepProgress, failure_table, plan_table
from sweeps.spaces import Preset, cells
from transfusion import results
from transfusion.cell import Cell, SettingError
from transfusion.table import PARTS, DataError, Problem, Table

OK, FAILED, UNUSABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        return run(options, Console(highlight=False))
    except (SettingError, DataError) as error:
        print(f"Nothing was started.\n{error}", file=sys.stderr)
        return UNUSABLE


def run(options: argparse.Namespace, console: Console) -> int:
    """Plan, check, execute, analyse."""
    preset = preset_of(options)
    wanted = cells(preset.space)
    out: Path = options.out or Path("results") / preset.name
    cache: Path = options.cache or out / "cache"
    table, origin = open_inputs(options, preset, wanted, out, console)
    resources = resources_of(options)
    model = cost.CostModel(
        device="cuda" if resources.gpus else "cpu",
        evaluation_images=len(table.rows("test")) + len(table.rows("official")),
        selection_images=len(table.rows("selection")),
        measured=cost.measured_speeds(out / "cells"),
    )
    work = plan.make(wanted, preset.recipe, table.fingerprint, out / "cells", model, origin.supplied)
    console.print(plan_table(work, resources.slots))
    if options.dry_run:
        return OK

    plan.write(work, out / "plan.parquet")
    missing = work.missing()
    if missing:
        started = time.monotonic()
        prepare(table, preset.recipe, cache, console)
        pretrained.prepare(origin, missing, preset.recipe, out / "cells", cache, console)
        executor.start_ray(options.address)
        try:
            with SweepProgress(console, missing) as progress:
                executor.execute(
                    missing,
                    {one for one, state in work.states.items() if state == "done"},
                    recipe=preset.recipe,
                    table=table,
                    out=out,
                    cache=cache,
                    resources=resources,
                    watcher=progress,
                    supplied=origin.supplied,
                    imagenet=origin.imagenet,
                )
        finally:
            ray.shutdown()
        console.print(progress.describe())
        write_sweep(out / "sweep.json", preset, table, resources, work, time.monotonic() - started)
    return conclude(work, out, console)


def open_inputs(
    options: argparse.Namespace, preset: Preset, wanted: Sequence[Cell], out: Path, console: Console
) -> tuple[Table, pretrained.Pretrained]:
    """The data, and what `init=imagenet` starts from.

    Raises:
        SettingError: no data are named.
        DataError: everything that is wrong with either.
    """
    table = origin = None
    problems: list[Problem] = []
    try:
        table = open_data(preset, options.data, out, wanted, console)
    except DataError as error:
        problems += error.problems
    try:
        origin = pretrained.open_pretrained(options.weights, options.imagenet, wanted, preset.recipe, console)
    except DataError as error:
        problems += error.problems
    if table is None or origin is None:
        raise DataError(problems)
    return table, origin


def conclude(work: plan.Plan, out: Path, console: Console) -> int:
    """Tables, figures, report; then where they lie and which cells failed."""
    analysis.run(out)
    records = [results.read_result(out / "cells" / planned.id) for planned in work.cells]
    failed = [record for record in records if record is not None and record["status"] == "failed"]
    absent = sum(record is None for record in records)
    if failed:
        console.print(failure_table(failed))
    console.print(
        f"{len(records) - len(failed) - absent} cells done, {len(failed)} failed, {absent} missing.\n"
        f"report   {out / 'report.html'}\nfigures  {out / 'figures'}\ntables   {out / 'evidence'}"
    )
    return FAILED if failed or absent else OK


def resources_of(options: argparse.Namespace) -> executor.Resources:
    """What a trial gets: a share of a GPU where this machine has one, else CPU cores."""
    cpus = len(os.sched_getaffinity(0))
    gpus = torch.cuda.device_count()
    share = options.gpus_per_trial if options.gpus_per_trial is not None else float(gpus > 0)
    if options.cpus_per_trial < 1 or share < 0:
        raise SettingError(
            "--cpus-per-trial, --gpus-per-trial: expected at least 1 core and a share of at least 0"
        )
    slots = cpus // options.cpus_per_trial
    if share:
        slots = min(slots, int(gpus / share + 1e-9))
    if slots < 1 and not options.address:
        raise SettingError(
            f"--cpus-per-trial {options.cpus_per_trial}, --gpus-per-trial {share:g}: found {cpus} cores and "
            f"{gpus} GPUs, expected room for one trial; ask for less"
        )
    return executor.Resources(cpus=options.cpus_per_trial, gpus=share, slots=max(slots, 1))


def write_sweep(
    path: Path,
    preset: Preset,
    table: Table,
    resources: executor.Resources,
    work: plan.Plan,
    wall_seconds: float,
) -> None:
    """Record what was run, on what and how long, for the report."""
    versions = {
        name: importlib.metadata.version(name)
        for name in ("ray", "torch", "torchvision", "pytorch-lightning")
    }
    record: dict[str, Any] = {
        "schema": 1,
        "preset": preset.name,
        "recipe": {name: getattr(preset.recipe, name) for name in preset.recipe.__slots__},
        "data": {
            "name": "phantom" if preset.phantom else "CheXpert",
            "fingerprint": table.fingerprint,
            "parts": {part: len(table.rows(part)) for part in PARTS},
        },
        "natural_images": "photos"
        if any(planned.cell.init == "photos" for planned in work.cells)
        else "imagenet",
        "command": shlex.join(["python", "sweeps/full_grid.py", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **versions},
        "hardware": {
            "cpus": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "slots": resources.slots,
        "estimated_seconds": sum(planned.seconds for planned in work.missing()) / resources.slots,
        "wall_seconds": wall_seconds,
    }
    with results.atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    sys.exit(main())
