"""What the plan says of the data: who is in which part, what the labels are, what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.table import Table as TextTable
from rich.text import Text

from sweeps.inputs.data import label_counts, one_class_subsets, trained_findings
from sweeps.spaces import Preset
from transfusion.cell import Cell, Recipe
from transfusion.data.dataset import Dataset
from transfusion.data.part_counts import PartCounts, became, what_it_decides

COUNTS = ("patients", "images", "positive", "negative", "uncertain", "blank")

WIDE = 76
"""Columns that the table needs to stand as it is."""


@dataclass(frozen=True)
class DataSummary:
    """The data of a sweep in numbers and words, for the plan, `sweep.json` and the report.

    Attributes:
        name: what the data are called.
        dataset: the data.
        counts: labels by trained finding and part.
        notes: how exactly the held-out parts can measure, and what else is worth a warning.
        embedded: they are the preset's own phantom.
    """

    name: str
    dataset: Dataset
    counts: tuple[PartCounts, ...]
    notes: tuple[str, ...]
    embedded: bool = False


def summarize(dataset: Dataset, preset: Preset, name: str, assignments: Sequence[str]) -> DataSummary:
    """Count the labels of every trained finding, and say what they can and cannot show.

    Args:
        name: what the data are called.
        assignments: of `--recipe`.
    """
    wanted, recipe = preset.cells(), preset.recipe
    of_grid, upstream = trained_findings(wanted, recipe)
    counts = label_counts(dataset, [*of_grid, *upstream], recipe)
    notes = [text for finding in of_grid for text in what_it_decides(counts, finding)]
    notes += [
        f"The first {size:,} training images hold {what}: from them nothing can be learned"
        for size, what in one_class_subsets(dataset, [cell for cell in wanted if cell.kind == "grid"], recipe)
    ]
    notes += [
        f"{', '.join(names)} of the recipe change no cell of this plan, only the identity of all"
        for names in [_idle_settings(wanted, recipe, assignments)]
        if names
    ]
    return DataSummary(name, dataset, counts, (*dataset.notes, *notes))


def _idle_settings(wanted: Sequence[Cell], recipe: Recipe, assignments: Sequence[str]) -> list[str]:
    """Settings given by `--recipe` that no wanted cell uses."""
    given = [assignment.partition("=")[0] for assignment in assignments]
    pretrained = any(cell.init != "random" for cell in wanted)
    frozen = any(cell.freeze == "backbone" for cell in wanted)
    used = {"upstream_images": pretrained, "upstream_epochs": pretrained, "frozen_views": frozen}
    return [name for name in given if not used.get(name, True)]


def data_tables(summary: DataSummary, width: int = WIDE) -> list[TextTable | str]:
    """For each finding a table with a row for each part, and under the last one the split and the notes.

    Args:
        width: columns of the terminal; below `WIDE` each part is a sentence.
    """
    findings = list(dict.fromkeys(one.finding for one in summary.counts))
    shown: list[TextTable | str] = []
    for finding in findings:
        rows = [one for one in summary.counts if one.finding == finding]
        shown += [_count_table(finding, rows)] if width >= WIDE else [f"The data: {finding}", *_counts(rows)]
        shown += became(rows)
        if finding == findings[-1]:
            shown += [f"split: {summary.dataset.split.why}", *summary.notes]
    return shown


def _count_table(finding: str, rows: Sequence[PartCounts]) -> TextTable:
    table = TextTable(title=Text(f"The data: {finding}"), title_justify="left", box=SIMPLE)
    table.add_column("part")
    for name in COUNTS:
        table.add_column(name, justify="right")
    for one in rows:
        table.add_row(one.part, *(f"{getattr(one, name):,}" for name in COUNTS))
    return table


def _counts(rows: Sequence[PartCounts]) -> list[str]:
    return [f"{one.part}: " + ", ".join(f"{getattr(one, name):,} {name}" for name in COUNTS) for one in rows]
