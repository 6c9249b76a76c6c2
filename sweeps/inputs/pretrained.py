"""What `init=imagenet` starts from: the user's weights, torchvision's, or pretraining on an ImageNet folder.

All of it is found and checked before anything starts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from sweeps.inputs import data
from sweeps.planning import named_weights
from sweeps.planning.named_weights import Given, NamedWeights
from sweeps.planning.plan import PlannedCell
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import Cell, Recipe, Supplied
from transfusion.data.dataset import Dataset
from transfusion.layouts import imagenet
from transfusion.problems import InputError, Problem
from transfusion.weights_input import DEFAULT


@dataclass(frozen=True)
class Pretrained:
    """Where the cells with `init=imagenet` start.

    Attributes:
        supplied: what enters the identity of cells.
        files: weights files as they were found, by architecture.
        imagenet: the images that the other architectures are pretrained on.
        named: what the files are called.
    """

    supplied: Supplied
    files: dict[Architecture, Path]
    imagenet: Dataset | None
    named: tuple[NamedWeights, ...] = ()

    def with_images(self, images: Dataset | None) -> Pretrained:
        """The same with the images named otherwise: by more of their bytes."""
        fingerprint = images.fingerprint if images is not None else None
        supplied = dataclasses.replace(self.supplied, imagenet=fingerprint)
        return dataclasses.replace(self, supplied=supplied, imagenet=images)


def open_pretrained(
    options: Given, folder: Path | None, wanted: Sequence[Cell], recipe: Recipe, console: Console
) -> Pretrained:
    """Find, and check, what the wanted cells with `init=imagenet` start from.

    A file of `--weights` comes first, then torchvision's where it has one, then the folder of `--imagenet`.

    Args:
        options: the files of `--weights`, and what is said of them.
        folder: the value of `--imagenet`.

    Raises:
        InputError: everything that is missing, does not fit, or would be used by no cell.
    """
    needed = [one for one in ARCHITECTURES if any(_starts_there(cell, one) for cell in wanted)]
    given, problems = _parse(options.files, needed)
    origins, wrong_origins = named_weights.origins(options.origins, given)
    scales, accepts, wrong_scales = named_weights.scales(options.inputs, given)
    problems += [*wrong_origins, *wrong_scales]
    files: dict[Architecture, Path] = {}
    named: list[NamedWeights] = []
    for architecture in needed:
        if architecture not in given and not ARCHITECTURES[architecture].downloadable():
            continue
        from transfusion.networks import weights  # torch, which a plan without such cells has no use for

        try:
            file = given.get(architecture) or weights.torchvision_file(architecture)
            found = weights.read(file, architecture)
        except InputError as error:
            problems += error.problems
        else:
            sha256, origin = weights.fingerprint(file), origins.get(architecture)
            files[architecture] = file
            one = named_weights.named(file, architecture, sha256, origin)
            problems += named_weights.contradictions(one, origin, scales.get(architecture), file)
            scale = scales.get(architecture, DEFAULT)
            accepted = architecture in accepts
            named.append(replace(one, scale=scale, notes=found.notes(), accepted=accepted))
    without = [one for one in needed if one not in given and not ARCHITECTURES[one].downloadable()]
    images = None
    if without and folder is not None:
        try:
            images = _read_images(folder, recipe, console)
        except InputError as error:
            problems += error.problems
    problems += _folder_problems(folder, without, bool(needed))
    if problems:
        raise InputError(problems)
    supplied = Supplied(
        weights=tuple((one.architecture, one.sha256) for one in named),
        imagenet=images.fingerprint if images is not None else None,
        inputs=tuple((one.architecture, one.scale) for one in named if one.scale != DEFAULT),
    )
    return Pretrained(supplied, files, images, tuple(named))


def checked(pretrained: Pretrained, dataset: Dataset, recipe: Recipe) -> Pretrained:
    """`pretrained` with a note on every file whose batch norms doubt that they were made for such images.

    Torchvision's own files are known, and not looked at.

    Raises:
        InputError: every file for which the images are far from anything that its batch norms saw.
    """
    unknown = [one for one in pretrained.named if one.sha256[:8] not in named_weights.TORCHVISION]
    if not unknown:
        return pretrained
    from transfusion.images.decoding import decode
    from transfusion.networks import weights
    from transfusion.training import input_check

    rows = dataset.rows("train")
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), input_check.IMAGES)).astype(np.intp)]
    files = [dataset.root / name for name in dataset.frame["image"].iloc[some]]
    images = decode(files, recipe.image_size, 1, dataset.reading)
    problems, notes = [], {}
    for one in unknown:
        file = pretrained.files[one.architecture]
        given = weights.read(file, one.architecture).tensors
        seen = input_check.look(given, one.architecture, images, one.scale)
        if seen.untrained:
            notes[one.architecture] = "its batch norms hold no statistics of any training: untrained?"
        elif seen.doubted:
            where = f"--weights {one.architecture}={file}"
            fits = input_check.better(given, one.architecture, images, seen)
            option = f"--weights-input {one.architecture}={fits or 'INPUT'}"
            advice = f"say what it was trained on: {option}" + (" would fit" if fits else "")
            if seen.refused and not one.accepted:
                expected = f"weights for such images (within a factor of {input_check.REFUSED:g})"
                advice += f"; if it is meant so, --weights-input {one.architecture}=INPUT,accept"
                problems.append(Problem(where, seen.text(), expected, advice))
            notes[one.architecture] = f"DOUBT: {seen.text()}; {advice}"
        if seen.unset and not seen.untrained:
            text = f"DOUBT: {seen.unset} of {seen.norms} batch norms hold no statistics: untrained in part?"
            notes[one.architecture] = "; ".join(filter(None, (notes.get(one.architecture), text)))
    if problems:
        raise InputError(problems)
    named = tuple(
        replace(one, notes=(*one.notes, *([notes[one.architecture]] if one.architecture in notes else [])))
        for one in pretrained.named
    )
    return replace(pretrained, named=named)


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
            from transfusion.networks import weights

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


def _read_images(folder: Path, recipe: Recipe, console: Console) -> Dataset:
    with Progress(*data.columns("checking ImageNet", console.width), console=console, transient=True) as bar:
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
