"""What `--dry-run --power` says: how likely every verdict is right, and the cheapest plan that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from sweeps.inputs.data_table import DataSummary
from sweeps.planning.plan import Plan, PlannedCell, facts_of
from sweeps.running.conclusion import forecast
from sweeps.running.drafting import Planner
from sweeps.running.look_costs import device_hours, unit
from transfusion.cell import IN_DOMAIN, NATURAL_IMAGES

HINT = "How likely these verdicts are right, and which design would do: add --power (about a minute)."
COLUMNS = {0.0: "no effect", 1.0: "one margin", 2.0: "two margins"}
NOTE = (
    "At one margin, where an effect begins to matter, either verdict hangs on a hair: such a power is low in "
    "any study. One seed decides nothing."
)
EVERY = (1, 2, 3, 4)


def show(
    planner: Planner,
    work: Plan,
    summary: DataSummary,
    out: Path,
    conjectures: Sequence[int] | None,
    console: Console,
) -> None:
    """Print the power of the plan, or how to ask for it.

    Args:
        conjectures: to be decided by the cheapest design, all where none are named; None: not asked for.

    Raises:
        SettingError: grids of this plan cannot be simulated.
    """
    if conjectures is None:
        console.print(HINT, soft_wrap=True)
        return
    chosen = tuple(conjectures) or EVERY
    found = forecast(planned(planner, work, summary), out, chosen)
    console.print(power_table(found.table))
    for text in (NOTE, found.source, found.assumed, *cheapest(found, chosen, unit(planner))):
        console.print(text, markup=False, soft_wrap=True)


def planned(planner: Planner, work: Plan, summary: DataSummary) -> dict[str, Any]:
    """The plan as `analysis.planned.Planned` takes it."""
    grid = [one for one in work.cells if one.cell.kind == "grid"]
    inits = list(dict.fromkeys(one.cell.init for one in grid))
    test = next(one for one in summary.counts if one.part == "test" and one.finding == grid[0].cell.finding)
    labelled = test.trained_positive + test.trained_negative
    return {
        "conditions": pd.DataFrame(_conditions(planner, work, grid)),
        "natural": next((init for init in inits if init in NATURAL_IMAGES), None),
        "in_domain": next((init for init in inits if init in IN_DOMAIN), None),
        "seeds": len({one.cell.seed for one in grid}),
        "patients": test.patients,
        "images": labelled,
        "prevalence": test.trained_positive / max(labelled, 1),
        "margins": planner.preset.margins_on(summary.embedded),
    }


def _conditions(planner: Planner, work: Plan, grid: Sequence[PlannedCell]) -> Iterator[dict[str, Any]]:
    """The cells of the first seed, with device hours: of a share of a GPU, or of cores."""
    by_id = {one.id: one for one in work.cells}
    first = min(one.cell.seed for one in grid)
    for one in grid:
        if one.cell.seed != first:
            continue
        cell, above = one.cell, by_id.get(one.upstream or "")
        size = facts_of(cell.architecture, work.recipe.image_size)
        yield {
            **{name: getattr(cell, name) for name in ("architecture", "train_images", "init", "freeze")},
            "balance": cell.balance,
            "depth": size["depth"],
            "parameters": size["parameters"],
            "hours": _hours(one, planner),
            "upstream": one.upstream,
            "upstream_hours": _hours(above, planner) if above else 0.0,
        }


def _hours(one: PlannedCell, planner: Planner) -> float:
    return device_hours(planner, one.seconds, one.share)


def power_table(rows: pd.DataFrame) -> Table:
    """A row per conjecture, its claims below it: how likely right, with exact 95 % intervals."""
    title = f"How likely the right verdict is ({int(rows['grids'].iloc[0])} simulated grids each)"
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.add_column("")
    for name in COLUMNS.values():
        table.add_column(name, justify="right", no_wrap=True)
    by_claim = {name: mine.set_index("effect") for name, mine in rows.groupby("claim", sort=False)}
    for kind, style in (("conjecture", "bold"), ("claim", "")):
        for name, mine in by_claim.items():
            if mine["kind"].iloc[0] == kind:
                shown = [_share(mine.loc[effect]) for effect in COLUMNS]
                table.add_row(str(name).replace("_", " "), *shown, style=style)
    return table


def _share(row: pd.Series) -> str:
    right, low, high = (100 * row[name] for name in ("right", "right_low", "right_high"))
    return f"{right:.0f} % ({low:.0f} % to {high:.0f} %)"


def cheapest(found: Any, conjectures: Sequence[int], hours: str) -> Iterator[str]:
    """The cheapest design that decides, or how near those come that were tried."""
    what = f"conjecture{'s' if len(conjectures) > 1 else ''} {', '.join(map(str, conjectures))}"
    tried = f"{len(found.tried)} designs tried"
    if found.best is not None:
        yield (
            f"The cheapest of {tried} that decides {what} with 80 %, be the effect none or of two margins: "
            f"{_design(found.best, hours)}."
        )
        return
    best = max(found.tried, key=lambda one: one.power)
    yield (
        f"None of {tried} decides {what} with 80 %. The best: {_design(best, hours)}. More test patients may "
        "be needed, wider margins, or fewer conjectures at once."
    )


def _design(one: Any, hours: str) -> str:
    setting = one.setting
    sizes = ", ".join(f"{size:,}" for size in setting.sizes)
    return (
        f"{setting.seeds} seeds of {', '.join(setting.networks)} at {sizes} images, about {one.hours:,.3g} "
        f"{hours} in all (right in {100 * one.power:.0f} % at least)"
    )
