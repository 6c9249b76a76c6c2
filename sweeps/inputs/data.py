"""The data of a sweep: the user's folder or the embedded phantom, checked, and its images decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from sweeps.inputs.effects import meaning_problems, without_effect
from sweeps.options.values import Options
from sweeps.spaces import Preset
from transfusion.cell import IN_DOMAIN, NATURAL_IMAGES, Cell, Recipe, upstream_of
from transfusion.data import checks, content, image_cache, part_counts, stored_apart, survey
from transfusion.data.dataset import Dataset
from transfusion.data.part_counts import PartCounts
from transfusion.data.present import without_missing
from transfusion.data.splits import Shares, assign
from transfusion.images import reading
from transfusion.layouts.readers import READERS, Request
from transfusion.phantom import writing
from transfusion.problems import InputError, Problem, SettingError


def open_data(
    preset: Preset, options: Options, out: Path, wanted: Sequence[Cell], console: Console
) -> Dataset:
    """The data set of the sweep, everything that the wanted cells need of it checked.

    Raises:
        SettingError: the options name no data, or a finding that the data do not have.
        InputError: everything that is wrong with the data.
    """
    asked = reading.parse(options.intensity, options.frame)
    recipe, shares = preset.recipe, Shares(options.test_share, options.selection_share)
    of_grid, upstream = trained_findings(wanted, recipe)
    findings = [*of_grid, *upstream]
    problems = without_effect(options, findings)
    try:
        dataset = read_dataset(preset, options, out, of_grid, upstream)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from error
    if unknown := [finding for finding in findings if finding not in dataset.findings]:
        raise SettingError(_absent(unknown, of_grid, wanted, dataset))
    problems += meaning_problems(options, label_counts(dataset, findings, recipe), findings)
    checked: Sequence[str] = of_grid
    try:
        labels = dataset.labels(of_grid[0], recipe.uncertain_policy(of_grid[0]), recipe.blank)
        dataset = assign(dataset, of_grid[0], labels, shares)
    except InputError as error:
        problems += error.problems
        checked = ()
    problems += checks.upstream_problems(label_counts(dataset, upstream, recipe))
    with Progress(*columns("checking images", console.width), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        found = survey.Survey(asked)
        try:
            found = checks.check(
                dataset,
                findings=checked,
                train_images=most_images(wanted, recipe),
                uncertain=recipe.uncertain_policy,
                blank=recipe.blank,
                asked=asked,
                progress=lambda done, of: bar.update(task, completed=done, total=of),
            )
        except InputError as error:
            problems += error.problems
    if not problems:
        problems += [*one_class_problems(dataset, wanted, recipe), *one_subset_problems(dataset, wanted)]
    if problems:
        raise InputError(problems)
    small = stored_apart.thumbnails(dataset.frame["image"].tolist(), found.looks, recipe.image_size)
    for note in (*found.notes, *small):
        console.print(f"images: {note}", markup=False, soft_wrap=True)
    return survey.read_as(dataset, found)


def trained_findings(wanted: Sequence[Cell], recipe: Recipe) -> tuple[list[str], list[str]]:
    """The findings of these data that the grid trains, and those that only its pretraining does."""
    upstream = (upstream_of(cell, recipe) for cell in wanted)
    of_grid = dict.fromkeys(cell.finding for cell in wanted)
    others = dict.fromkeys(cell.finding for cell in upstream if cell is not None)
    return [*of_grid], [name for name in others if name not in of_grid and name not in NATURAL_IMAGES]


def label_counts(dataset: Dataset, findings: Sequence[str], recipe: Recipe) -> tuple[PartCounts, ...]:
    """What the plan and the report say about the labels."""
    return part_counts.count(dataset, findings, recipe.uncertain_policy, recipe.blank)


def most_images(wanted: Sequence[Cell], recipe: Recipe) -> int:
    """The largest subset of the training images that any cell asks for."""
    on_table = [
        one
        for cell in wanted
        for one in (cell, upstream_of(cell, recipe))
        if one is not None and one.finding not in NATURAL_IMAGES
    ]
    return max(cell.train_images for cell in on_table)


def one_class_problems(dataset: Dataset, wanted: Sequence[Cell], recipe: Recipe) -> list[Problem]:
    """Training subsets of one class only, which cannot be balanced."""
    return [
        Problem(f"--train-images {size}", what, "both classes for --balance balanced", "ask for more images")
        for size, what in one_class_subsets(
            dataset, [cell for cell in wanted if cell.balance == "balanced"], recipe
        )
    ]


def one_class_subsets(dataset: Dataset, cells: Sequence[Cell], recipe: Recipe) -> list[tuple[int, str]]:
    """Each size of a training subset in which one class is absent, and what is in it, in words."""
    found: dict[int, str] = {}
    for finding, size, subset in dict.fromkeys(
        (cell.finding, cell.train_images, cell.subset) for cell in cells
    ):
        labels = dataset.labels(finding, recipe.uncertain_policy(finding), recipe.blank)
        labels = labels[dataset.rows("train", size, subset)]
        positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
        if not (positive and negative):
            found.setdefault(size, f"{positive} positive and {negative} negative images of {finding}")
    return list(found.items())


def one_subset_problems(dataset: Dataset, wanted: Sequence[Cell]) -> list[Problem]:
    """Orders of the subsets where every cell trains on all images, so that there is one subset alone."""
    sizes = {cell.train_images for cell in wanted if cell.subset}
    whole = len(dataset.rows("train"))
    if not sizes or min(sizes) < whole:
        return []
    found = f"{whole:,} training images, all of which every cell trains on"
    return [Problem("--subsets", found, "a size below that", "drop it, or add a smaller --train-images")]


def _absent(unknown: Sequence[str], grid: Sequence[str], wanted: Sequence[Cell], dataset: Dataset) -> str:
    """What to say of findings that the data do not have: asked for by the grid itself or `--inits` alone."""
    here = f"what these data have: {', '.join(dataset.findings)}"
    if asked := [finding for finding in unknown if finding in grid]:
        return f"--finding: found {', '.join(asked)}, expected {here}"
    missing = ", ".join(unknown)
    inits = list(dict.fromkeys(cell.init for cell in wanted))
    needing = [init for init in inits if IN_DOMAIN.get(init) in unknown]
    others = " ".join(init for init in inits if init not in needing)
    return (
        f"--inits {' '.join(needing)}: found no column {missing}, expected {here}; "
        f"leave that pretraining out: --inits {others or 'random'}"
    )


def read_dataset(
    preset: Preset,
    options: Options,
    out: Path,
    findings: Sequence[str],
    optional: Sequence[str] = (),
) -> Dataset:
    """What `--dataset` and `--data` name; without `--data` the phantom, written below `out` on first use.

    Args:
        findings: the label columns that must be there.
        optional: those that are read of a CSV of the user's own where they are there.
    """
    data: Path | None = options.data
    if data is None:
        if options.dataset == "table":
            columns = {"--path-column": options.path_column, "--patient-column": options.patient_column}
            missing = ", ".join([*(name for name, value in columns.items() if value is None), "--data"])
            raise SettingError(f"{missing}: found nothing, expected with --dataset table")
        if preset.phantom is None or options.dataset != "chexpert":
            raise SettingError(
                f"--data: found nothing, expected the folder of the data (preset {preset.name}, "
                f"dataset {options.dataset})"
            )
        data = writing.write(out / "phantom", preset.phantom)
    found = READERS[options.dataset].read(
        Request(
            data=data,
            findings=tuple(findings),
            optional=tuple(optional),
            views=preset.recipe.views,
            path_column=options.path_column,
            patient_column=options.patient_column,
            part_column=options.part_column,
            distinct_ids=options.distinct_ids,
        )
    )
    return without_missing(found) if options.skip_missing else found


def name_of(options: Options) -> str:
    """What the report calls the data."""
    if options.data is None:
        return "the embedded phantom"
    return READERS[options.dataset].name or options.data.name


def prepare(dataset: Dataset, recipe: Recipe, cache: Path, console: Console, channels: int = 1) -> Dataset:
    """Decode every image into the cache before the first trial, with a progress bar.

    Returns:
        The data set named by the bytes that were read.
    """
    with Progress(*columns("decoding images", console.width), console=console, transient=True) as bar:
        task = bar.add_task("", total=len(dataset.frame))
        return image_cache.prepare(
            dataset,
            recipe.image_size,
            cache,
            lambda done, of: bar.update(task, completed=done, total=of),
            channels=channels,
            say=lambda text: console.print(f"images: {text}", markup=False, soft_wrap=True),
        )


def settle(dataset: Dataset, console: Console) -> Dataset:
    """Read the images whose bytes are not certain, with a progress bar; the data set named by them."""
    with Progress(*columns("reading images", console.width), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        return content.settled(dataset, lambda done, of: bar.update(task, completed=done, total=of))


BAR_WIDTH = 80
"""Columns of a terminal from which on there is room for a bar beside its numbers."""


def columns(text: str, width: int) -> tuple[ProgressColumn, ...]:
    """What the progress bar of work on images shows, on a terminal of `width` columns."""
    bar = (BarColumn(),) if width >= BAR_WIDTH else ()
    return TextColumn(text), *bar, MofNCompleteColumn(), TimeRemainingColumn()
