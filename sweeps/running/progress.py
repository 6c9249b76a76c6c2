"""What the terminal shows: the plan as a table, a bar with an estimate of the end, the failed cells."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table as TextTable
from rich.text import Text

from sweeps.planning.estimate import Estimate
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.planning.prune import Pruned
from transfusion.cell import AXES, Cell, describe

PLAIN_SECONDS = 15.0
"""Seconds between two lines where the output is no terminal."""

WIDE = 76
"""Columns that the tables need to stand as they are; below they are cut down to what matters most."""

ENOUGH_SHARE, ENOUGH_SECONDS = 0.05, 600.0
"""Share of the work, or seconds of training, after which the end is estimated; or after a finished cell."""

OTHERS = {
    "schema": "came from another version of this package, whose results do not mix with this one's",
    "recipe": "had another recipe",
    "data": "had other data",
    "axes": "had this recipe but lie outside of this plan",
}


def duration(seconds: float) -> str:
    """`75` -> `1:15 min`; short spans in seconds, long ones in hours, from 100 hours on whole ones."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    if minutes < 6000:
        return f"{minutes // 60}:{minutes % 60:02d} h"
    return f"{minutes / 60:,.0f} h"


def plan_table(plan: Plan, cost: Estimate, slots: int, width: int = WIDE) -> TextTable:
    """The wanted cells along every axis: done, failed and missing, and what the rest costs.

    Args:
        width: columns of the terminal; below `WIDE` the names of axes stand in lines of their own, and
            counts close together.
    """
    wide = width >= WIDE
    table = TextTable(
        title="The plan",
        title_justify="left",
        caption_justify="left",
        caption_style="",
        box=SIMPLE if wide else None,
        pad_edge=wide,
    )
    if wide:
        table.add_column("axis")
    table.add_column("value" if wide else "cells", overflow="fold")
    for name in ("wanted", "done", "failed", "missing", "expected") if wide else ("done", "of", "needs"):
        table.add_column(name, justify="right", no_wrap=True)
    for axis, groups in plan_rows(plan.cells):
        if groups and not wide:
            table.add_row(f"{axis}:")
        for row, (name, cells) in enumerate(groups.items()):
            states = [plan.states.get(planned.id, "missing") for planned in cells]
            seconds = sum(planned.seconds for planned in cells if planned.id not in plan.states)
            counts = (str(states.count(state)) for state in ("done", "failed", "missing"))
            if wide:
                table.add_row(axis if row == 0 else "", name, str(len(cells)), *counts, duration(seconds))
            else:
                table.add_row(f"  {name}", str(states.count("done")), str(len(cells)), duration(seconds))
        table.add_section()
    table.caption = expectation(cost, slots)
    if plan.begun:
        table.caption += f"\n{len(plan.begun)} of the missing cells were begun before and continue"
    for difference, text in OTHERS.items():
        if count := plan.orphaned.get(difference):
            table.caption += (
                f"\nfinished before: {count:,} that {text}; what is finished stays, and no table mixes it in"
            )
    return table


def plan_rows(cells: Sequence[PlannedCell]) -> Iterator[tuple[str, dict[str, list[PlannedCell]]]]:
    """The cells of the grid by the values of every axis on which they are not all at its default, then the
    pretrainings by what they are trained on, then all."""
    grid = [planned for planned in cells if planned.cell.kind == "grid"]
    upstream = [planned for planned in cells if planned.cell.kind == "upstream"]
    for axis in AXES:
        groups = _grouped(grid, axis.name)
        if set(groups) != {axis.default} or axis.metadata.get("told"):
            texts = {value: f"{value:,}" if isinstance(value, int) else str(value) for value in groups}
            yield axis.name, {texts[value]: group for value, group in groups.items()}
    if upstream:
        yield "upstream", _grouped(upstream, "finding")
    yield "all", {"": list(cells)}


def _grouped(cells: Sequence[PlannedCell], axis: str) -> dict[Any, list[PlannedCell]]:
    groups: dict[Any, list[PlannedCell]] = defaultdict(list)
    for planned in cells:
        groups[getattr(planned.cell, axis)].append(planned)
    return groups


def expectation(cost: Estimate, slots: int) -> str:
    """What the missing cells cost, in words: as a range where it is guessed of a GPU; and whether it is."""
    edges = (cost.least, cost.most) if cost.least and cost.most else (cost,)
    text = f"{_span([duration(one.work_seconds) for one in edges])} of work"
    if cost.gpu_hours:
        digits = 0 if edges[-1].gpu_hours >= 100 else 1
        hours = [f"{one.gpu_hours:,.{digits}f}" for one in edges]
        text += f", {' to '.join(dict.fromkeys(hours))} GPU-hours"
    text += f"; up to {slots} at a time, {_span([duration(one.wall_seconds) for one in edges])}"
    prices = [f"{one.price:,.2f}" for one in edges if one.price is not None]
    if prices:
        text += f", {_span(prices)} for the GPUs"
    if not cost.guessed:
        return f"{text}; measured here" if cost.measured else text
    which = f" for {', '.join(cost.guessed)}" if cost.measured else ""
    return f"{text}; {'measured here, ' if which else ''}guessed{which} (--check measures)"


def _span(texts: Sequence[str]) -> str:
    """`about 3:00 h`, or `1:30 h to 6:00 h`."""
    kinds = list(dict.fromkeys(texts))
    return f"about {kinds[0]}" if len(kinds) == 1 else " to ".join(kinds)


class SweepProgress:
    """A `Watcher` that draws one progress bar, or prints a line now and then where there is no terminal.

    Progress is counted in expected seconds, an unfinished cell by its epochs, so that the estimate of the end
    is right also while the large cells come first. It rests on what was trained since the first epoch of this
    run: neither the start of Ray nor epochs of an earlier run count.
    """

    def __init__(
        self,
        console: Console,
        cells: Sequence[PlannedCell],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.clock = console, clock
        self.cost = {planned.id: planned.seconds for planned in cells}
        self.share: dict[str, float] = {}
        self.before: dict[str, float] = {}
        self.first: tuple[float, float] | None = None
        self.done = self.failed = 0
        self.start = self.last_line = clock()
        bar = (BarColumn(),) if console.width >= WIDE else ()
        self.bar = Progress(
            TextColumn("{task.description}"),
            *bar,
            TextColumn("{task.percentage:>3.0f} %"),
            _Counts(self),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> SweepProgress:
        self.bar.start()
        self.task = self.bar.add_task("cells", total=sum(self.cost.values()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def epoch(self, cell_id: str, done: int, of: int) -> None:
        self.before.setdefault(cell_id, (done - 1) / of)
        self.share[cell_id] = done / of
        if self.first is None:
            self.first = self.clock(), self._worked()
        self._refresh()

    def finished(self, cell_id: str, status: str) -> None:
        self.share[cell_id] = 1.0
        if status == "done":
            self.done += 1
        else:
            self.failed += 1
        self._refresh()

    def waits(self, text: str) -> None:
        """Say what is waited for."""
        self.console.print(text)

    def describe(self) -> str:
        """Counts and the estimate of the end, in words."""
        elapsed = self.clock() - self.start
        left = len(self.cost) - self.done - self.failed
        text = f"{self.done} done, {self.failed} failed, {left} to go, {duration(elapsed)} so far"
        if not left:
            return text
        remaining = self._remaining()
        if remaining is None:
            return f"{text}; when it ends is not known yet"
        end = time.strftime("%H:%M", time.localtime(time.time() + remaining))
        return f"{text}, about {duration(remaining)} left (until {end})"

    def _remaining(self) -> float | None:
        """Seconds to the end; None while they would rest on too little."""
        if self.first is None:
            return None
        seconds, work = self.clock() - self.first[0], self._worked() - self.first[1]
        total = sum(self.cost.values())
        enough = self.done or work >= ENOUGH_SHARE * total or seconds >= ENOUGH_SECONDS
        if not enough or work <= 0 or seconds <= 0:
            return None
        left = sum(cost * (1 - self.share.get(one, 0.0)) for one, cost in self.cost.items())
        return seconds * left / work

    def _worked(self) -> float:
        """Expected seconds of what this run has done."""
        return sum(self.cost[one] * (now - self.before.get(one, 0.0)) for one, now in self.share.items())

    def _refresh(self) -> None:
        reached = sum(self.cost[one] * share for one, share in self.share.items())
        self.bar.update(self.task, completed=reached)
        now = self.clock()
        if not self.console.is_terminal and now - self.last_line >= PLAIN_SECONDS:
            self.last_line = now
            self.console.print(self.describe())


class _Counts(ProgressColumn):
    def __init__(self, progress: SweepProgress) -> None:
        self.progress = progress
        super().__init__()

    def render(self, task: Any) -> Text:
        return Text(self.progress.describe())


def failure_table(records: Sequence[dict[str, Any]], width: int = WIDE) -> TextTable:
    """Which cells failed and why; one below the other where the terminal is narrower than `WIDE`."""
    wide = width >= WIDE
    table = TextTable(
        title="Failed cells", title_justify="left", box=SIMPLE if wide else None, show_header=wide
    )
    table.add_column("cell", no_wrap=wide, overflow="fold")
    if wide:
        table.add_column("what", overflow="fold")
        table.add_column("why", overflow="fold")
    for record in records:
        what = describe(Cell(**record["cell"]))
        why = f"{record['failure']}: {record['error']}"
        for row in [(record["cell_id"], what, why)] if wide else [(record["cell_id"],), (what,), (why,)]:
            table.add_row(*row)
    return table


def prune_table(pruned: Pruned) -> str:
    """What `--prune` found or did, in words."""
    megabytes = pruned.freed / 2**20
    if pruned.removed:
        return f"Removed {len(pruned.removed)} cells that no plan names, {megabytes:.1f} MiB."
    if not pruned.listed:
        return "Every cell is named by a plan; there is nothing to prune."
    return "\n".join(
        [
            *pruned.listed,
            f"{len(pruned.listed)} cells, {megabytes:.1f} MiB, are named neither by this plan nor by the "
            "last one that ran. The same command again removes them.",
        ]
    )
