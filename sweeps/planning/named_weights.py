"""What supplied weights are called, and whether they come from natural images.

Torchvision's own files are known by their sha256. What the user says of any other file is a label: it changes
no cell's identity, which depends on the content of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import NATURAL_IMAGES, Cell
from transfusion.problems import Problem
from transfusion.weights_input import DEFAULT, EXPECTED, InputError, InputScale, parse

TORCHVISION = {digits: name for spec in ARCHITECTURES.values() for digits, name in spec.published().items()}
"""Torchvision's published weights by the start of their sha256, which their file names tell
(resnet18-f37072fd.pth)."""

NATURAL = ("natural", "imagenet")
"""What `--weights-origin` may say of weights from natural images."""

LONGEST_NAME = 60

ACCEPT = ",accept"
"""At the end of `--weights-input`: train, however far the images lie from those of the weights' training."""


@dataclass(frozen=True)
class Given:
    """The options on supplied weights, as they were written: `ARCHITECTURE=...` each.

    Attributes:
        files: `--weights`.
        origins: `--weights-origin`.
        inputs: `--weights-input`.
    """

    files: Sequence[str] = ()
    origins: Sequence[str] = ()
    inputs: Sequence[str] = ()


@dataclass(frozen=True)
class NamedWeights:
    """A file that cells start from.

    Attributes:
        name: what tables and legends call it.
        natural: it was trained on natural images.
        scale: what its first layer expects of an image.
        accepted: the user says that its images may lie far from those of the weights' training.
        notes: what the plan and the report say besides: what was found in the file, and doubts.
    """

    architecture: Architecture
    name: str
    sha256: str
    natural: bool
    scale: InputScale = DEFAULT
    notes: tuple[str, ...] = ()
    accepted: bool = False

    def line(self) -> str:
        """One line of the plan."""
        kind = "natural images" if self.natural else "not natural images: conjecture 4 leaves them out"
        scale = "" if self.scale == DEFAULT else f"; images as {self.scale.text()}"
        text = f"weights  {self.architecture}: {self.name} (sha {self.sha256[:8]}), {kind}{scale}"
        return "\n".join([text, *(f"         {note}" for note in self.notes)])

    def record(self) -> dict[str, Any]:
        """As JSON, for the report."""
        return {
            "architecture": self.architecture,
            "name": self.name,
            "sha256": self.sha256,
            "natural_images": self.natural,
            "input": self.scale.text(),
            "notes": list(self.notes),
        }


def named(file: Path, architecture: Architecture, sha256: str, origin: str | None) -> NamedWeights:
    """What a file is called: torchvision's name, what the user says it is, or its own name.

    Args:
        origin: the value of `--weights-origin` for it: `natural`, `natural:NAME` or `NAME`.
    """
    if known := TORCHVISION.get(sha256[:8]):
        return NamedWeights(architecture, known, sha256, True)
    own = "".join(letter if letter.isprintable() else "?" for letter in file.stem)[:LONGEST_NAME]
    kind, _, rest = (origin or "").partition(":")
    if kind.lower() in NATURAL:
        return NamedWeights(architecture, rest.strip() or own, sha256, True)
    return NamedWeights(architecture, origin or own, sha256, False)


def contradictions(
    one: NamedWeights, origin: str | None, scale: InputScale | None, file: Path
) -> list[Problem]:
    """What the options say of a file that is known better by its content or by its name."""
    known, problems = TORCHVISION.get(one.sha256[:8]), []
    where = f"{file} (sha {one.sha256[:8]})"
    if known and origin is not None:
        expected = f"no --weights-origin for {known}, which is known by its sha256"
        problems.append(Problem(where, f"--weights-origin {origin}", expected, "drop the option"))
    if known and scale not in (None, DEFAULT):
        expected = f"no --weights-input for {known}, which expects imagenet"
        problems.append(Problem(where, "another --weights-input", expected, "drop the option"))
    digits = file.stem.rpartition("-")[2]
    if digits in TORCHVISION and not one.sha256.startswith(digits):
        expected = f"a sha256 that begins with {digits}, as its name tells"
        advice = "fetch it again; if it is another file, give it another name"
        problems.append(Problem(where, f"the sha256 {one.sha256[:8]}", expected, advice))
    return problems


def of_cell(cell: Cell, upstream: Cell | None, files: Sequence[NamedWeights]) -> dict[str, Any]:
    """The columns of `trials` that say what a cell starts from; all None from scratch."""
    name = sha256 = natural = scale = None
    if upstream is not None:
        name, natural = f"{upstream.finding} pretrained here", upstream.finding in NATURAL_IMAGES
    elif cell.init == "imagenet":
        for one in files:
            if one.architecture == cell.architecture:
                name, sha256, natural, scale = one.name, one.sha256, one.natural, one.scale.text()
    columns = {"weights": name, "weights_sha256": sha256, "weights_natural": natural}
    return {**columns, "weights_input": scale}


def origins(
    assignments: Sequence[str], files: Mapping[Architecture, Path]
) -> tuple[dict[Architecture, str], list[Problem]]:
    """`--weights-origin` by architecture, and what is wrong with it."""
    values, problems = _assigned("--weights-origin", assignments, files, "natural, natural:NAME or NAME")
    for architecture, text in values.items():
        if not text.isprintable() or len(text) > LONGEST_NAME or not text.strip():
            where, expected = f"--weights-origin {architecture}", f"a name of 1 to {LONGEST_NAME} letters"
            problems.append(Problem(where, repr(text), expected, "shorten it, on one line"))
    return values, problems


def scales(
    assignments: Sequence[str], files: Mapping[Architecture, Path]
) -> tuple[dict[Architecture, InputScale], set[Architecture], list[Problem]]:
    """`--weights-input` by architecture, where a misfit is accepted, and what is wrong with it."""
    values, problems = _assigned("--weights-input", assignments, files, EXPECTED)
    found, accepted = {}, set()
    for architecture, text in values.items():
        if text.endswith(ACCEPT):
            accepted.add(architecture)
        try:
            found[architecture] = parse(text.removesuffix(ACCEPT))
        except InputError as error:
            where = f"--weights-input {architecture}"
            problems.append(Problem(where, str(error), EXPECTED, "correct the option"))
    return found, accepted, problems


def _assigned(
    option: str, assignments: Sequence[str], files: Mapping[Architecture, Path], expected: str
) -> tuple[dict[Architecture, str], list[Problem]]:
    values: dict[Architecture, str] = {}
    problems = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        architecture = next((one for one in ARCHITECTURES if one == name), None)
        if architecture is None or not equals or not text:
            wanted = f"ARCHITECTURE=WHAT with WHAT {expected}"
            problems.append(Problem(option, repr(assignment), wanted, "correct the option"))
        elif architecture in values:
            problems.append(Problem(option, f"{name} twice", "once for each architecture", "name one"))
        elif architecture not in files:
            wanted = f"weights of {name} to say that of"
            advice = f"add --weights {name}=FILE, or drop the option"
            problems.append(Problem(f"{option} {assignment}", "no file for it", wanted, advice))
        else:
            values[architecture] = text
    return values, problems
