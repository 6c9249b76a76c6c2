"""The verdicts in the terminal."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.run import Summary
from analysis.statistics.catalogue import MEASURES

COLOURS = {"supported": "green", "refuted": "magenta", "undecided": "bright_black"}


def verdict_table(verdicts: pd.DataFrame) -> Table:
    """The claims of every conjecture with estimate, interval, margin and verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", ratio=1)
    for name in ("estimate", "95 % interval", "margin"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for conjecture, rows in verdicts.groupby("conjecture"):
        head = rows[rows["claim"] == "overall"].iloc[0]
        verdict = str(head["verdict"])
        colour = COLOURS[verdict]
        table.add_row(
            f"[bold]{conjecture}. {escape(str(head['question']))}[/]",
            "",
            "",
            "",
            f"[bold {colour}]{verdict}[/]",
        )
        for row in rows[rows["claim"] != "overall"].to_dict("records"):
            colour = COLOURS[row["verdict"]]
            shown = f"[{colour}]{row['verdict']}[/]"
            question = "   " + escape(row["question"])
            if pd.isna(row["estimate"]):
                table.add_row(question, "", "not tested", "", shown)
                continue
            digits = MEASURES[row["metric"]].digits
            interval = (
                f"{row['low']:+.{digits}f} to {row['high']:+.{digits}f}" if pd.notna(row["low"]) else "none"
            )
            table.add_row(question, f"{row['estimate']:+.{digits}f}", interval, f"{row['margin']:g}", shown)
    return table


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print the verdicts, how complete the grid is, and where everything lies."""
    console = console or Console(highlight=False)
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
