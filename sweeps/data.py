"""The data of a sweep: the user's folder or the embedded phantom, checked, and its images decoded once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sweeps.spaces import Preset
from transfusion import checks, chexpert, content, image_cache, nih, own_table, phantom
from transfusion.cell import NATURAL_IMAGES, Cell, Recipe, SettingError, upstream_of
from transfusion.table import Table

DATASETS = ("chexpert", "nih", "table")
"""What `--data` may be; without `--data` it is the embedded phantom."""


def open_data(
    preset: Preset, options: argparse.Namespace, out: Path, wanted: Sequence[Cell], console: Console
) -> Table:
    """The table of the sweep, everything that the wanted cells need of it checked.

    Raises:
        SettingError: the options name no data, or a finding that the data do not have.
        DataError: everything that is wrong with the data.
    """
    trained = [*wanted, *(upstream for cell in wanted if (upstream := upstream_of(cell, preset.recipe)))]
    on_table = [cell for cell in trained if cell.finding not in NATURAL_IMAGES]
    findings = sorted({cell.finding for cell in on_table})
    table = read_table(preset, options, out, findings)
    if unknown := [finding for finding in findings if finding not in table.findings]:
        raise SettingError(
            f"--finding, --inits: found {', '.join(unknown)}, expected what these data have: "
            f"{', '.join(table.findings)}"
        )
    with Progress(*columns("checking images"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        checks.check(
            table,
            findings=findings,
            train_images=max(cell.train_images for cell in on_table),
            uncertain=preset.recipe.uncertain_policy,
            blank=preset.recipe.blank,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
    return table


def read_table(preset: Preset, options: argparse.Namespace, out: Path, findings: Sequence[str]) -> Table:
    """What `--dataset` and `--data` name; without `--data` the phantom, written below `out` on first use.

    Args:
        findings: the label columns that are read of a CSV of the user's own.
    """
    data: Path | None = options.data
    if options.dataset == "table":
        given = {
            "--path-column": options.path_column,
            "--patient-column": options.patient_column,
            "--data": data,
        }
        if missing := [name for name, value in given.items() if value is None]:
            raise SettingError(f"{', '.join(missing)}: found nothing, expected with --dataset table")
        return own_table.read(
            Path(data or ""),
            path_column=options.path_column,
            patient_column=options.patient_column,
            findings=findings,
        )
    if data is None:
        if preset.phantom is None or options.dataset != "chexpert":
            raise SettingError(
                f"--data: found nothing, expected the folder of the data (preset {preset.name}, "
                f"dataset {options.dataset})"
            )
        embedded = preset.phantom
        data = phantom.write(
            out / "phantom", images=embedded.images, size=embedded.size, difficulty=embedded.difficulty
        )
    return nih.read(data) if options.dataset == "nih" else chexpert.read(data, views=preset.recipe.views)


def name_of(options: argparse.Namespace) -> str:
    """What the report calls the data."""
    if options.data is None:
        return "the embedded phantom"
    return {"chexpert": "CheXpert", "nih": "ChestX-ray14"}.get(options.dataset, options.data.name)


def prepare(table: Table, recipe: Recipe, cache: Path, console: Console, channels: int = 1) -> Table:
    """Decode every image into the cache before the first trial, with a progress bar.

    Returns:
        The table named by the bytes that were read.
    """
    with Progress(*columns("decoding images"), console=console, transient=True) as bar:
        task = bar.add_task("", total=len(table.frame))
        return image_cache.prepare(
            table,
            recipe.image_size,
            cache,
            lambda done, of: bar.update(task, completed=done, total=of),
            channels=channels,
        )


def settle(table: Table, console: Console) -> Table:
    """Read the images whose bytes are not certain, with a progress bar; the table named by them."""
    with Progress(*columns("reading images"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        return content.settled(table, lambda done, of: bar.update(task, completed=done, total=of))


def columns(text: str) -> tuple[TextColumn, BarColumn, MofNCompleteColumn, TimeRemainingColumn]:
    """What the progress bar of work on images shows."""
    return TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
