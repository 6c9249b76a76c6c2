"""What the terminal shows: the plan as a table, a bar with an estimate of the end, the failed cells."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table as TextTable
from rich.text import Text

from sweeps.plan import Plan, PlannedCell

PLAIN_SECONDS = 15.0
"""Seconds between two lines where the output is no terminal."""


def duration(seconds: float) -> str:
    """`75` -> `1:15 min`; short spans in seconds, long ones in hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"


def plan_table(plan: Plan, slots: int) -> TextTable:
    """The cells of a plan by architecture and starting point, and what is done, failed and missing."""
    table = TextTable(title="Plan: cells wanted", title_justify="left", caption_justify="left")
    kinds = sorted({_start(planned) for planned in plan.cells}, key=_start_order)
    table.add_column("architecture")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name in ("done", "failed", "missing"):
        table.add_column(name, justify="right", style="bold")
    table.add_column("expected", justify="right")
    by_architecture: dict[str, list[PlannedCell]] = defaultdict(list)
    for planned in plan.cells:
        by_architecture[planned.cell.architecture].append(planned)
    rows = [*by_architecture.items(), ("all", list(plan.cells))]
    for name, cells in rows:
        states = [plan.states.get(planned.id, "missing") for planned in cells]
        starts = [_start(planned) for planned in cells]
        seconds = sum(planned.seconds for planned in cells if planned.id not in plan.states)
        if name == "all":
            table.add_section()
        table.add_row(
            name,
            *(str(starts.count(kind)) for kind in kinds),
            *(str(states.count(state)) for state in ("done", "failed", "missing")),
            duration(seconds),
        )
    total = sum(planned.seconds for planned in plan.missing())
    table.caption = f"about {duration(total)} of work, {duration(total / slots)} on {slots} at a time"
    if plan.others:
        table.caption += f"; {plan.others} more finished cells belong to other recipes, data or spaces and stay as they are"
    return table


def _start(planned: PlannedCell) -> str:
    cell = planned.cell
    if cell.kind == "upstream":
        return f"upstream {cell.finding.lower()}"
    return cell.init if cell.freeze == "none" else f"{cell.init} frozen"


def _start_order(kind: str) -> tuple[bool, bool, str]:
    return not kind.startswith("upstream"), kind != "random", kind


class SweepProgress:
    """A `Watcher` that draws one progress bar, or a line now and then where the output is no terminal.

    Progress is counted in expected seconds, an unfinished cell by its epochs, so that the estimate of the end is
    right also while the large cells come first.
    """

    def __init__(self, console: Console, cells: Sequence[PlannedCell]) -> None:
        self.console = console
        self.cost = {planned.id: planned.seconds for planned in cells}
        self.share: dict[str, float] = {}
        self.done = self.failed = 0
        self.start = self.last_line = time.monotonic()
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
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
        self.share[cell_id] = done / of
        self._refresh()

    def finished(self, cell_id: str, record: dict[str, Any] | None) -> None:
        self.share[cell_id] = 1.0
        if record is not None and record["status"] == "done":
            self.done += 1
        else:
            self.failed += 1
        self._refresh()

    def describe(self) -> str:
        """Counts and the estimate of the end, in words."""
        elapsed = time.monotonic() - self.start
        total, worked = sum(self.cost.values()), self._worked()
        left = len(self.cost) - self.done - self.failed
        text = f"{self.done} done, {self.failed} failed, {left} to go, {duration(elapsed)} so far"
        if 0 < worked < total:
            remaining = elapsed * (total - worked) / worked
            end = time.strftime("%H:%M", time.localtime(time.time() + remaining))
            text += f", about {duration(remaining)} left (until {end})"
        return text

    def _worked(self) -> float:
        return sum(self.cost[one] * share for one, share in self.share.items())

    def _refresh(self) -> None:
        self.bar.update(self.task, completed=self._worked())
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line >= PLAIN_SECONDS:
            self.last_line = now
            self.console.print(self.describe())


class _Counts(ProgressColumn):
    def __init__(self, progress: SweepProgress) -> None:
        self.progress = progress
        super().__init__()

    def render(self, task: Any) -> Text:
        return Text(self.progress.describe())


def failure_table(records: Sequence[dict[str, Any]]) -> TextTable:
    """Which cells failed and why."""
    table = TextTable(title="Failed cells", title_justify="left")
    for column in ("cell", "architecture", "images", "start", "seed", "failure", "reason"):
        table.add_column(column, overflow="fold")
    for record in records:
        cell = record["cell"]
        start = cell["init"] if cell["freeze"] == "none" else f"{cell['init']} frozen"
        table.add_row(
            record["cell_id"],
            cell["architecture"],
            f"{cell['train_images']:,}",
            start if cell["kind"] == "grid" else f"upstream {cell['finding'].lower()}",
            str(cell["seed"]),
            str(record["failure"]),
            str(record["error"]),
        )
    return table
