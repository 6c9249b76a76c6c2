"""What looks cost, shown before they are trained, and the budget that ends them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from sweeps.inputs.settling import Inputs
from sweeps.planning.plan import PlannedCell
from sweeps.running.drafting import Planner
from sweeps.running.looks import LookPlan
from sweeps.spaces import Preset
from transfusion.problems import SettingError


@dataclass(frozen=True)
class LookCost:
    """One look.

    Attributes:
        cells: at most, pretrainings among them.
        hours: of what is done as it was measured, of the rest as it is expected.
        begun: some of its cells have finished or begun.
    """

    seeds: int
    weight: float
    cells: int
    hours: float
    begun: bool


@dataclass(frozen=True)
class Budget:
    """How many hours all looks may cost, None for any, and where that is told."""

    hours: float | None
    console: Console


def unit(planner: Planner) -> str:
    """What hours are counted in."""
    return "GPU-hours" if planner.at_hand.device == "cuda" else "core-hours"


def costs(planner: Planner, inputs: Inputs, plan: LookPlan, preset: Preset) -> list[LookCost]:
    """Every look up to the last that can still be taken: those to come with all cells that may be needed.

    Args:
        preset: with all conditions, whatever its seeds.
    """
    count = len(plan.taken) if plan.ended else len(plan.seeds)
    work, _ = dataclasses.replace(planner, preset=plan.preset(preset, count)).plan(inputs)
    by_look: list[list[PlannedCell]] = [[] for _ in range(count)]
    for one in work.cells:
        by_look[plan.look_of(one.cell)].append(one)
    past = planner.past
    begun = past.records.keys() | past.unfinished
    return [
        LookCost(
            plan.seeds[look],
            plan.weights[look],
            len(cells),
            sum(_hours(one, planner) for one in cells),
            any(one.id in begun for one in cells),
        )
        for look, cells in enumerate(by_look)
    ]


def _hours(one: PlannedCell, planner: Planner) -> float:
    """Hours of a cell, measured where it is done."""
    record = planner.past.records.get(one.id, {})
    measured = record.get("metrics", {}).get("seconds")
    seconds, share = one.seconds, one.share
    if measured is not None:
        seconds, share = float(measured), record["environment"].get("share", share)
    return device_hours(planner, seconds, share)


def device_hours(planner: Planner, seconds: float, share: float) -> float:
    """Hours, as `unit` counts them, of so many seconds at this share of a GPU, or on a trial's cores."""
    at_hand = planner.at_hand
    return seconds * (at_hand.part(share) if at_hand.device == "cuda" else at_hand.cpus) / 3600


def table(plan: LookPlan, found: Sequence[LookCost], hours: str) -> Table:
    """The looks with their seeds, their share of the level, and their cost."""
    shown = Table(
        title="The looks", title_justify="left", caption_justify="left", caption_style="", box=SIMPLE
    )
    for name in ("look", "seeds", "of 5 %", "cells", hours, "in all", "state"):
        shown.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    total = 0.0
    for number, one in enumerate(found, start=1):
        total += one.hours
        taken = number <= len(plan.taken)
        state = "taken" if taken else "next" if number == len(plan.taken) + 1 else "if need be"
        most = "" if number <= len(plan.taken) + 1 else "up to "
        cells, cost = f"{most}{one.cells:,}", f"{most}{one.hours:,.2f}"
        shown.add_row(
            str(number), str(one.seeds), f"{100 * one.weight:.2f} %", cells, cost, f"{total:,.2f}", state
        )
    if plan.ended:
        shown.caption = "No further look is planned."
    if plan.reserved:
        reserved = ", ".join(map(str, plan.reserved))
        caption = f"In reserve, to be added to --looks in this order: {reserved} seeds."
        shown.caption = f"{shown.caption or ''}\n{caption}".strip()
    return shown


def within_budget(plan: LookPlan, planner: Planner, inputs: Inputs, preset: Preset, budget: Budget) -> bool:
    """Show the looks and what they cost; whether there is budget for the next.

    Args:
        preset: with all conditions, whatever its seeds.

    Raises:
        SettingError: not even the first look is within the budget.
    """
    found, hours = costs(planner, inputs, plan, preset), unit(planner)
    budget.console.print(table(plan, found, hours))
    why = over_budget(plan, found, budget.hours, hours) if budget.hours is not None else ""
    if why:
        budget.console.print(why, soft_wrap=True)
    return not why


def over_budget(plan: LookPlan, found: Sequence[LookCost], budget: float, hours: str) -> str:
    """Why the next look is not begun, as a sentence; empty where there is budget for it, or it was begun.

    Raises:
        SettingError: not even the first look is within the budget.
    """
    step = len(plan.taken)
    if plan.ended or found[step].begun:
        return ""
    before = sum(one.hours for one in found[:step])
    needed = before + found[step].hours
    if needed <= budget:
        return ""
    if not step:
        raise SettingError(
            f"--budget: found {budget:g} {hours}, expected at least {needed:.3g}, what the first look, after "
            f"{found[0].seeds} seeds, is expected to cost"
        )
    return (
        f"Ended before the look after {found[step].seeds} seeds: with it all cells would cost about "
        f"{needed:.3g} {hours}, more than the budget of {budget:g}. {before:.3g} are spent; a "
        "larger --budget goes on."
    )


def told(taken: Mapping[str, Any], plan: LookPlan) -> str:
    """What a look has decided and what it leaves open."""
    number = len(plan.taken)
    decided = [f"conjecture {n} {verdict}" for n, verdict in taken["conjectures"].items()]
    decided += [f"{name} {verdict}" for name, verdict in taken["claims"].items()]
    look = f"Look {number} of {len(plan.seeds)}, after {taken['seeds']} seeds."
    text = f"{look} Decided: {', '.join(decided) or 'nothing'}."
    if few := taken["too_few_patients"]:
        text += f" No number of seeds will do, the test patients are too few: {', '.join(few)}."
    if not taken["open"]:
        return f"{text} Nothing is open that more seeds could decide."
    return f"{text} Open: {', '.join(taken['open'])}."
