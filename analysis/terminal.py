"""The verdicts in the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.claims.same import once
from analysis.names import FOUND
from analysis.numbers import digits_seen, signed
from analysis.run import Summary
from analysis.statistics.catalogue import MEASURES

COLOURS = {"supported": "green", "refuted": "magenta", "undecided": "bright_black"}


NO_INTERVAL = "none"
"""Below a heading that says of what."""

NARROW = 90
"""Columns below which every claim has lines of its own instead of a row."""


def verdict_table(verdicts: pd.DataFrame) -> Table:
    """The tested claims of every conjecture, each test once, with difference, margin and what was found."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", ratio=1)
    for name in ("difference", "95 % interval", "margin"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("found", "verdict"):
        table.add_column(name, no_wrap=True)
    for conjecture, rows in verdicts.groupby("conjecture"):
        head = rows[rows["claim"] == "overall"].iloc[0]
        question = f"[bold]{conjecture}. {escape(str(head['question']))}[/]"
        table.add_row(question, "", "", "", "", _coloured(head["verdict"], "bold "))
        for row in once(rows).to_dict("records"):
            table.add_row(f"   {escape(row['question'])}", *_numbers(row), _coloured(row["verdict"]))
    return table


def _coloured(verdict: str, style: str = "") -> str:
    return f"[{style}{COLOURS[verdict]}]{verdict}[/]"


def _numbers(row: dict[Hashable, Any]) -> tuple[str, str, str, str]:
    """Difference, interval, margin and what was found."""
    digits = digits_seen(row["estimate"], MEASURES[row["metric"]].digits)
    interval = NO_INTERVAL
    if pd.notna(row["low"]):
        interval = f"{signed(row['low'], digits)} to {signed(row['high'], digits)}"
    return signed(row["estimate"], digits), interval, f"{row['margin']:g}", FOUND.get(row["effect"], "")


def _lines(verdicts: pd.DataFrame) -> Iterator[str]:
    """The same for a narrow terminal."""
    for conjecture, rows in verdicts.groupby("conjecture"):
        head = rows[rows["claim"] == "overall"].iloc[0]
        yield f"[bold]{conjecture}. {escape(str(head['question']))}:[/] {_coloured(head['verdict'], 'bold ')}"
        for row in once(rows).to_dict("records"):
            value, interval, margin, found = _numbers(row)
            yield f"  {escape(row['question'])}"
            said = f"{found}, " if found else ""
            interval = "no interval" if interval == NO_INTERVAL else interval
            yield f"    {value} ({interval}), margin {margin}: {said}{_coloured(row['verdict'])}"


class Lasting(Console):
    """A terminal whose reader may go away, as `| head` does: what is printed later is then lost."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)  # for what Python flushes at its end
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print the answer, the verdicts, how complete the grid is, and where everything lies."""
    console = console or Lasting(highlight=False)
    console.print(escape(summary.answer), end="\n\n")
    if console.width < NARROW:
        for line in _lines(summary.verdicts):
            console.print(line)
    else:
        console.print(verdict_table(summary.verdicts))
    counts = summary.counts
    console.print(
        f"\ncells     {counts['planned']} planned, {counts['done']} done, {counts['failed']} failed, "
        f"{counts['missing']} missing"
    )
    if summary.collection is not None and summary.collection.foreign:
        console.print(f"          {summary.collection.foreign} of other recipes or data, left out")
    for text in (*summary.notes, *(summary.collection.unreadable.values() if summary.collection else ())):
        console.print(f"          {escape(text)}", soft_wrap=True)
    if summary.sequence:
        console.print(f"          {escape(summary.sequence)}", soft_wrap=True)
    if summary.codes:
        console.print(f"          {escape(summary.codes)}")
    for row in summary.checks.to_dict("records"):
        if row["result"] == "doubt":
            console.print(f"{row['code']}     {escape(str(row['title']))}: {escape(str(row['found']))}")
    if (summary.checks.get("result") == "doubt").any():
        console.print("          why that matters and what to do: docs/checks.md, and the report")
    console.print(f"figures   {escape(str(summary.figures))}", soft_wrap=True)
    console.print(f"evidence  {escape(str(summary.evidence))}", soft_wrap=True)
    console.print(f"report    {escape(str(summary.report))}", soft_wrap=True)
