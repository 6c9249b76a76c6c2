"""Images that are not there, told once: how many of how many, what lies in their place, and what mends it."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from transfusion.images import surroundings
from transfusion.images.surroundings import NO_IMAGES
from transfusion.problems import Problem

OPTION = "--skip-missing"
"""Of the command: rows without their file are left out."""

SHOWN = 3
"""Missing files that are named."""

MOST_ENTRIES = 500_000
"""Entries below the root among which missing files are looked for."""


def missing_problem(root: Path, missing: Sequence[str], images: Sequence[str]) -> Problem:
    """One problem for all files that are not there.

    Args:
        root: folder of the images.
        missing: their paths below it.
        images: the paths of all that should be there, these among them.
    """
    first, alone = root / missing[0], len(missing) == 1
    where = str(first) if alone else f"{len(missing):,} of {len(images):,} images ({_some(root, missing)})"
    found = f"no such file{surroundings.missing(first)}"
    expected = "an image" if alone else "an image for each row"
    if (elsewhere := _elsewhere(root, missing, images)) is not None:
        count, folder, meant = elsewhere
        those = "it lies" if alone else "all lie" if count == len(missing) else f"{count:,} of them lie"
        advice = f"move them ({_move(root / folder, root / meant)}), or write that folder into the paths"
        return Problem(where, f"{found}; {those} in {folder!r}", expected, advice)
    if len(missing) == len(images):
        return Problem(where, found, expected, "unpack the data set again, or correct the paths")
    leave = f"train without {'it' if alone else 'them'} ({OPTION})"
    return Problem(where, found, expected, f"fetch what is missing, correct the paths, or {leave}")


def _some(root: Path, missing: Sequence[str]) -> str:
    shown = ", ".join(str(root / name) for name in missing[:SHOWN])
    return shown + (f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else "")


def _move(source: Path, target: Path) -> str:
    """The command that moves the files of a folder into another one, however many they are."""
    here, there = shlex.quote(str(source)), shlex.quote(str(target))
    if not target.exists() and target.parent.is_dir():
        return f"mv {here} {there}"
    made = "" if target.exists() else f"mkdir -p {there} && "
    return f"{made}find {here} -maxdepth 1 -type f -exec mv {{}} {there} \\;"


def _elsewhere(root: Path, missing: Sequence[str], images: Sequence[str]) -> tuple[int, str, str] | None:
    """How many of the missing files lie in one other folder, that one, and the one where they should lie.

    Files that are images of the table themselves do not count, nor do folders of masks and the like. None
    where that are fewer than half.
    """
    sought = {PurePosixPath(name).name: str(PurePosixPath(name).parent) for name in missing}
    taken = set(images)
    there: Counter[tuple[str, str]] = Counter()
    seen = 0
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and not NO_IMAGES.search(name)]
        seen += len(files) + len(folders)
        if seen > MOST_ENTRIES:
            return None
        below = os.path.relpath(place, root)
        hits = [name for name in files if name in sought and str(PurePosixPath(below, name)) not in taken]
        there.update((below, sought[name]) for name in hits)
    if not there:
        return None
    (folder, meant), count = there.most_common(1)[0]
    return (count, folder, meant) if 2 * count >= len(missing) else None
