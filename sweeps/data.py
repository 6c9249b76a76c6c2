"""The data of a sweep: the user's folder or the embedded phantom, checked, and its images decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sweeps.spaces import Preset
from transfusion import checks, chexpert, image_cache, phantom
from transfusion.cell import Cell, Recipe, SettingError, upstream_of
from transfusion.table import Table


def open_data(
    preset: Preset, data: Path | None, out: Path, wanted: Sequence[Cell], console: Console
) -> Table:
    """The table of the sweep, everything that the wanted cells need of it checked.

    Raises:
        SettingError: the preset has no embedded data and no folder is given.
        DataError: everything that is wrong with the data.
    """
    if data is None:
        if preset.phantom is None:
            raise SettingError(
                f"--data: found nothing, expected a folder in CheXpert's layout (preset {preset.name})"
            )
        embedded = preset.phantom
        data = phantom.write(
            out / "phantom", images=embedded.images, size=embedded.size, difficulty=embedded.difficulty
        )
    table = chexpert.read(data, views=preset.recipe.views)
    trained = [*wanted, *(upstream for cell in wanted if (upstream := upstream_of(cell, preset.recipe)))]
    on_table = [cell for cell in trained if cell.finding in chexpert.FINDINGS]
    with Progress(*columns("checking images"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        checks.check(
            table,
            findings=sorted({cell.finding for cell in on_table}),
            train_images=max(cell.train_images for cell in on_table),
            uncertain=preset.recipe.uncertain_policy,
            blank=preset.recipe.blank,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
    return table


def prepare(table: Table, recipe: Recipe, cache: Path, console: Console, channels: int = 1) -> None:
    """Decode every image into the cache before the first trial, with a progress bar."""
    with Progress(*columns("decoding images"), console=console, transient=True) as bar:
        task = bar.add_task("", total=len(table.frame))
        image_cache.load(
            table,
            recipe.image_size,
            cache,
            lambda done, of: bar.update(task, completed=done, total=of),
            channels=channels,
        )


def columns(text: str) -> tuple[TextColumn, BarColumn, MofNCompleteColumn, TimeRemainingColumn]:
    """What the progress bar of work on images shows."""
    return TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
