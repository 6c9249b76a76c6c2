"""What a check shows: on what it measured, and a table of what it found."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich.box import SIMPLE
from rich.table import Table as TextTable

from sweeps.measuring.machine import GIB, Facts
from sweeps.measuring.measure import Check, Found
from sweeps.planning.resources import Resources


def header(check: Check, facts: Facts) -> str:
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


WIDE = 70
"""Columns of a terminal that a row for every network needs; below, each has lines of its own."""


def table(found: Sequence[Found], at_hand: Resources, width: int = WIDE) -> TextTable:
    """One row for every network of the plan; a line for each of its numbers on a narrow terminal."""
    on_gpu = at_hand.device == "cuda"
    grid = TextTable(
        title="The check", title_justify="left", caption_justify="left", caption_style="",
        box=SIMPLE if width >= WIDE else None, collapse_padding=True, pad_edge=False,
        show_header=width >= WIDE,
    )  # fmt: skip
    device = "a GPU" if on_gpu else "this machine"
    grid.caption = (
        f"alone, together: images a second of one trial, and of all trials that {device} takes at once\n"
        "peak: of the multiply-adds of a matrix product in this type, the share reached alone\n"
        f"GiB: memory of {'the GPU' if on_gpu else 'the process'}, at most, of one trial"
        + (f"\ncompiled: images a second over those of alone{after(found)}" if on_gpu else "")
    )
    grid.add_column("architecture", no_wrap=True)
    names = ["fits", "type", "alone", "together", "peak", "GiB", "trials", *(["compiled"] if on_gpu else [])]
    for name in names if width >= WIDE else [""]:
        grid.add_column(name, justify="right", no_wrap=True)
    for row in found:
        values = _values(row, on_gpu) or ["no", *["-"] * (len(names) - 1)]
        if width >= WIDE:
            grid.add_row(row.architecture, *values)
            continue
        grid.add_row(f"{row.architecture}:")
        for name, value in zip(names, values, strict=True):
            if value != "-":
                grid.add_row(f"  {name}", value)
    return grid


def _values(row: Found, on_gpu: bool) -> list[str]:
    """What was measured of a network; nothing where it does not fit."""
    if row.speed is None:
        return []
    speed = row.speed
    values = [
        "yes",
        speed.type,
        f"{speed.alone:,.1f}",
        f"{speed.images_per_second * speed.trials:,.1f}",
        f"{row.share_of_peak:.2f}",
        f"{speed.memory / GIB:.1f}",
        str(speed.trials),
    ]
    if on_gpu:
        gain = f"{speed.compiled / speed.alone:.2f} x"
        values.append({"no": "no", "yes": gain}.get(row.compiled, "cannot"))
    return values


def after(found: Sequence[Found]) -> str:
    """How long compiling took, where something was compiled."""
    seconds = [row.compile_seconds for row in found if row.compiled == "yes"]
    return f"; compiling took {min(seconds):.0f} to {max(seconds):.0f} s" if seconds else ""
