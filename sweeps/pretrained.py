"""What `init=imagenet` starts from: the user's weights, torchvision's, or pretraining on an ImageNet folder.

All of it is found and checked before anything starts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from sweeps import data
from sweeps.plan import PlannedCell
from transfusion import imagenet, weights
from transfusion.architectures import RESNETS
from transfusion.cell import ARCHITECTURES, Architecture, Cell, Recipe, Supplied
from transfusion.table import DataError, Problem, Table


@dataclass(frozen=True)
class Pretrained:
    """Where the cells with `init=imagenet` start.

    Attributes:
        supplied: what enters the identity of cells.
        files: weights files as they were found, by architecture.
        imagenet: the images that the other architectures are pretrained on.
    """

    supplied: Supplied
    files: dict[Architecture, Path]
    imagenet: Table | None

    def with_images(self, images: Table | None) -> Pretrained:
        """The same with the images named otherwise: by more of their bytes."""
        fingerprint = images.fingerprint if images is not None else None
        supplied = dataclasses.replace(self.supplied, imagenet=fingerprint)
        return dataclasses.replace(self, supplied=supplied, imagenet=images)


def open_pretrained(
    assignments: Sequence[str], folder: Path | None, wanted: Sequence[Cell], recipe: Recipe, console: Console
) -> Pretrained:
    """Find, and check, what the wanted cells with `init=imagenet` start from.

    A file of `--weights` comes first, then torchvision's for the ResNets, then the folder of `--imagenet`.

    Args:
        assignments: `ARCHITECTURE=FILE`, the values of `--weights`.
        folder: the value of `--imagenet`.

    Raises:
        DataError: everything that is missing, does not fit, or would be used by no cell.
    """
    needed = [one for one in ARCHITECTURES if any(_starts_there(cell, one) for cell in wanted)]
    given, problems = _parse(assignments, needed)
    files: dict[Architecture, Path] = {}
    fingerprints: dict[Architecture, str] = {}
    for architecture in needed:
        if architecture not in given and architecture not in RESNETS:
            continue
        try:
            file = given.get(architecture) or weights.torchvision_file(architecture)
            weights.read(file, architecture)
        except DataError as error:
            problems += error.problems
        else:
            files[architecture], fingerprints[architecture] = file, weights.fingerprint(file)
    without = [one for one in needed if one not in given and one not in RESNETS]
    images = None
    if without and folder is not None:
        try:
            images = _read_images(folder, recipe, console)
        except DataError as error:
            problems += error.problems
    problems += _folder_problems(folder, without, bool(needed))
    if problems:
        raise DataError(problems)
    supplied = Supplied(
        weights=tuple(fingerprints.items()), imagenet=images.fingerprint if images is not None else None
    )
    return Pretrained(supplied, files, images)


def prepare(
    pretrained: Pretrained,
    missing: Sequence[PlannedCell],
    recipe: Recipe,
    cells: Path,
    cache: Path,
    console: Console,
) -> Pretrained:
    """Put the weights beside the folder of the cells, and the images into the cache, as far as needed.

    Returns:
        The same, its images named by what was read of them.
    """
    started = {planned.cell.architecture for planned in missing if planned.cell.init == "imagenet"}
    for architecture, fingerprint in pretrained.supplied.weights:
        if architecture in started:
            weights.store(pretrained.files[architecture], architecture, cells, fingerprint)
    if pretrained.imagenet is not None and any(planned.cell.finding == "imagenet" for planned in missing):
        return pretrained.with_images(data.prepare(pretrained.imagenet, recipe, cache, console, channels=3))
    return pretrained


def _starts_there(cell: Cell, architecture: Architecture) -> bool:
    return cell.init == "imagenet" and cell.architecture == architecture


def _parse(
    assignments: Sequence[str], needed: Sequence[Architecture]
) -> tuple[dict[Architecture, Path], list[Problem]]:
    """The files of `--weights` by architecture, and what is wrong with the assignments."""
    given: dict[Architecture, Path] = {}
    problems = []
    for assignment in assignments:
        name, equals, file = assignment.partition("=")
        architecture = next((one for one in ARCHITECTURES if one == name), None)
        if architecture is None or not equals or not file:
            expected = f"ARCHITECTURE=FILE with one of {', '.join(ARCHITECTURES)}"
            problems.append(Problem("--weights", repr(assignment), expected, "correct the option"))
        elif architecture in given:
            expected = "one file for each architecture"
            problems.append(Problem("--weights", f"{name} twice", expected, "name one"))
        elif architecture not in needed:
            expected = f"a cell of {name} that starts from imagenet"
            advice = f"add imagenet to --inits and {name} to --architectures, or drop the option"
            problems.append(Problem(f"--weights {assignment}", "no such cell in the grid", expected, advice))
        else:
            given[architecture] = Path(file)
    return given, problems


def _read_images(folder: Path, recipe: Recipe, console: Console) -> Table:
    with Progress(*data.columns("checking ImageNet"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        return imagenet.read(
            folder, recipe.upstream_images, lambda done, of: bar.update(task, completed=done, total=of)
        )


def _folder_problems(folder: Path | None, without: Sequence[Architecture], needed: bool) -> list[Problem]:
    if without and folder is None:
        expected = f"something to start {', '.join(without)} from imagenet: no weights of theirs are public"
        advice = "name a folder in ImageNet's layout (--imagenet DIR), or files (--weights ARCHITECTURE=FILE)"
        return [Problem("--imagenet, --weights", "neither", expected, advice)]
    if folder is not None and not needed:
        expected, advice = "a cell that starts from imagenet", "add imagenet to --inits, or drop the option"
        return [Problem(f"--imagenet {folder}", "no such cell in the grid", expected, advice)]
    return []
