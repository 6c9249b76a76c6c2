"""Paths of images as they stand in a table, and the files that they mean.

A path is normalised before it is compared: `./a.png`, `a//b.png`, `x/../a.png` and backslashes. A file whose
name differs in case, Unicode form or extension is taken where it is the only one of that name.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion.data.identifiers import Where
from transfusion.images.inspection import SAID_ONCE
from transfusion.images.surroundings import NO_IMAGES
from transfusion.problems import Problem

EXTENSIONS = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"),
        *(".pnm", ".dcm", ".dicom", ".jp2", ".j2k"),
    }
)
"""What may be missing or another one at the end of a name."""

ABSOLUTE = re.compile(r"/|~/|[A-Za-z][A-Za-z0-9+.-]*:/")
"""From the root, from a home, from a drive or an address."""

Place = tuple[int, int]
"""Device and inode of a file."""

TOGETHER = 2048
"""Files that one thread looks at in one go."""


def normalised(text: str) -> str:
    """The path with `/` between its parts, no `.`, no `..` within it, and composed characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\\" in text:
        text = text.replace("\\", "/")
    if "//" in text or "./" in text or text.endswith(("/", "/.", "/..")):
        text = posixpath.normpath(text)
    return text


def path_problems(texts: Sequence[str], where: Where, instead: str = "") -> list[Problem]:
    """Blank paths, and paths that leave the folder of the images.

    Args:
        texts: the paths.
        where: their rows.
        instead: what to do about one that leaves, in a layout whose paths are written in one way only.
    """
    blank = [position for position, text in enumerate(texts) if text == ""]
    problems = []
    if blank:
        problems.append(
            Problem(where(blank), "no path", "the path of an image", "fill it in or drop the row")
        )
    outside = [position for position, text in enumerate(texts) if leaves(text)]
    groups = [outside] if len(outside) > SAID_ONCE else [[position] for position in outside]
    for rows in filter(None, groups):
        expected = "a path inside the data folder, separated by /"
        name = posixpath.basename(normalised(texts[outside[0]])) or "IMAGE"
        advice = f"write it as seen from the folder of the table, for example {name} or images/{name}"
        if instead:
            advice = instead
        elif "://" in texts[rows[0]]:
            advice = (
                "download the images into the folder of the table, and write their names in place of the "
                f"addresses, for example {name}"
            )
        elif normalised(texts[rows[0]]).startswith("../"):
            advice = (
                f"move the image into the folder of the table and write its name alone, for example {name}, "
                "or move the table to a folder above all images"
            )
        elif len(rows) > 1:
            advice = "cut what stands before the folder of the data off all of them"
        more = f" and {len(rows) - 1:,} more such paths" if len(rows) > 1 else ""
        problems.append(Problem(where(rows), f"{texts[rows[0]]}{more}", expected, advice))
    return problems


def below(root: Path, texts: Sequence[str]) -> list[str]:
    """`texts`; of those from the root of the file system on, below `root`, what is below it."""
    starts = tuple(dict.fromkeys(f"{place}/" for place in (root, root.absolute(), root.resolve())))
    starts = tuple(start for start in starts if ABSOLUTE.match(start))
    return [
        next((text.removeprefix(start) for start in starts if text.startswith(start)), text)
        if text.startswith("/")
        else text
        for text in texts
    ]


def leaves(text: str) -> bool:
    """Whether this path is absolute or leaves the folder that it is relative to."""
    if ".." not in text and ":" not in text and text[:1] not in ("/", "\\", "~"):
        return False
    plain = normalised(text)
    return ABSOLUTE.match(plain) is not None or plain == ".." or plain.startswith("../")


MOST_FOLDERS = 20
"""Where more lie beside a table, its paths have to name them."""


def folders_beside(table: Path) -> list[str]:
    """Folders beside a table that its images may lie in, and those of the same name in them.

    Unpacking often leaves the table beside the folder of its images, or with the images of a folder in a
    folder of the same name.
    """
    try:
        with os.scandir(table.parent) as entries:
            names = sorted(one.name for one in entries if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return []
    if len(names) > MOST_FOLDERS:
        return []
    likely = [name for name in names if not NO_IMAGES.search(name)]
    twice = [f"{name}/{name}" for name in likely if (table.parent / name / name).is_dir()]
    return [*likely, *twice]


@dataclass(frozen=True)
class Located:
    """The files of a table.

    Attributes:
        images: path of each row's file, relative to the root; as it stands in the table where there is none.
        sought: those among them that are to be looked at: none that is blank, leaves the root or is unclear.
        problems: rows with the same file, and names that fit several files.
        notes: what was taken for what, said once.
    """

    images: pd.Series
    sought: list[str]
    problems: list[Problem]
    notes: list[str]


def locate(
    root: Path, paths: pd.Series, texts: Sequence[str], where: Where, also: Sequence[str] = ()
) -> Located:
    """Finds the file of every row.

    Args:
        root: folder that `paths` are relative to.
        paths: normalised paths of all rows, blank ones included.
        texts: what stands in the table, for messages.
        where: names rows.
        also: folders below `root` that a file may lie in where its path names none, or one that is not there.
    """
    folders = Folders(root)
    images = list(np.asarray(paths, dtype=object))
    inside = [position for position, path in enumerate(images) if path and not leaves(path)]
    places: list[Place | None] = [None] * len(images)
    for position, place in zip(
        inside, identities(root, [images[position] for position in inside]), strict=True
    ):
        places[position] = place
    fitted: list[int] = []
    several: dict[int, list[str]] = {}
    for position in inside:
        if places[position] is not None:
            continue
        fits = folders.fits(images[position])
        own = posixpath.dirname(normalised(texts[position]))
        elsewhere = also and not (own and folders.there(own))
        more = folders.fits_in(also, posixpath.basename(images[position])) if elsewhere else []
        if "/" in images[position]:
            more += [fit for each in also for fit in folders.fits(posixpath.join(each, images[position]))]
        fits += [fit for fit in dict.fromkeys(more) if fit not in fits]
        if len(fits) == 1:
            images[position] = fits[0]
            places[position] = _identity(f"{root}/{fits[0]}")
            fitted.append(position)
        elif fits:
            several[position] = fits
    problems = _unclear(several, texts, where)
    problems += _repeated(root, images, places, texts, where)
    notes = []
    if fitted:
        first = fitted[0]
        notes.append(
            f"{len(fitted)} of {len(images)} images are spelled otherwise on disk, "
            f"and were found all the same: {texts[first]!r} is {images[first]!r}"
        )
    sought = [images[position] for position in inside if position not in several]
    return Located(pd.Series(images), sought, problems, notes)


def _unclear(several: dict[int, list[str]], texts: Sequence[str], where: Where) -> list[Problem]:
    """One problem for all names that fit more than one file."""
    if not several:
        return []
    first = next(iter(several))
    fits = " and ".join(several[first][:4])
    found = f"{texts[first]!r}, and no such file; {fits} are there"
    advice = "write the whole name, extension and case included"
    return [Problem(where(list(several)), found, "the name of one file", advice)]


def repeated(paths: Sequence[str], texts: Sequence[str], where: Where) -> list[Problem]:
    """A problem for every row whose normalised path an earlier row has, whatever lies on disk."""
    return _repeated(Path(), list(paths), [None] * len(paths), texts, where)


def _repeated(
    root: Path, images: list[str], places: list[Place | None], texts: Sequence[str], where: Where
) -> list[Problem]:
    """A problem for every row whose path, or whose file, an earlier row has."""
    problems = []
    first: dict[str, int] = {}
    files: dict[Place, int] = {}
    for position, (image, place) in enumerate(zip(images, places, strict=True)):
        if not image:
            continue
        earlier = first.setdefault(image, position)
        if earlier == position and place is not None:
            other = files.setdefault(place, position)
            if other != position and _same_file(root, images[other], image):
                earlier = other
        if earlier == position:
            continue
        spelled = "" if texts[earlier] == texts[position] else f"as {texts[earlier]} "
        found = f"{texts[position]} once more ({spelled}in {where([earlier])})"
        problems.append(Problem(where([position]), found, "every path once", "drop one of the rows"))
    return problems


def identities(root: Path, paths: Sequence[str]) -> list[Place | None]:
    """Device and inode of every file, by several threads, since a network disk answers slowly."""
    base = f"{root}/"
    if len(paths) <= TOGETHER:
        return [_identity(base + path) for path in paths]
    chunks = [paths[start : start + TOGETHER] for start in range(0, len(paths), TOGETHER)]
    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        return list(
            chain.from_iterable(pool.map(lambda chunk: [_identity(base + path) for path in chunk], chunks))
        )


def _identity(file: str) -> Place | None:
    """Device and inode of a file; None where nothing can be reached (`checks.image_problems` says why)."""
    try:
        status = os.stat(file)  # noqa: PTH116 (a path object costs more than the look)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _same_file(root: Path, one: str, other: str) -> bool:
    """Whether two paths with one inode are one file under two spellings.

    Hard links are not: stores that keep equal files once link different images of a set to each other, and
    images of equal bytes are counted and reported (`equal_images`).
    """
    return (root / one).resolve() == (root / other).resolve() or folded(one) == folded(other)


def folded(name: str) -> str:
    """A name without what a careless copy changes: case, Unicode form, spaces around it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def stem(name: str) -> str:
    """The name without an extension of images."""
    base, dot, extension = name.rpartition(".")
    return base if base and f"{dot}{extension}".lower() in EXTENSIONS else name


@dataclass
class Folders:
    """What lies in the folders below `root`, each looked at once, and only where a file was missed."""

    root: Path
    _inside: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _meant: dict[str, list[str]] = field(default_factory=dict)
    _together: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def fits(self, path: str) -> list[str]:
        """Files of that name: those that differ in case or Unicode form only, else in their extension."""
        first, separator, _ = path.partition("/")
        if separator and not self._folders(first):
            return []
        parent, name = posixpath.split(path)
        found = []
        for folder in self._folders(parent):
            inside = self._names(folder)
            exact = inside.get(f"name {folded(name)}", [])
            alike = (
                exact
                or inside.get(f"stem {folded(stem(name))}", [])
                or inside.get(f"stem {folded(name)}", [])
            )
            found += [posixpath.join(folder, each) for each in alike]
        return found

    def there(self, path: str) -> bool:
        """Whether a folder is there, in whatever case: then no other folder's file of that name is meant."""
        return bool(self._folders(path))

    def fits_in(self, folders: Sequence[str], name: str) -> list[str]:
        """As `fits`, of a name that may lie in any of these folders, the same at every call."""
        if not self._together:
            for folder in folders:
                for key, names in self._names(folder).items():
                    self._together.setdefault(key, []).extend((folder, one) for one in names)
        exact = self._together.get(f"name {folded(name)}", [])
        taken = {folder for folder, _ in exact}
        alike = dict.fromkeys(
            hit
            for key in (folded(stem(name)), folded(name))
            for hit in self._together.get(f"stem {key}", [])
            if hit[0] not in taken
        )
        return [posixpath.join(folder, one) for folder, one in (*exact, *alike)]

    def _folders(self, path: str) -> list[str]:
        """Folders that `path` may mean: itself where it is there, else those that differ in case."""
        if path == "":
            return [""]
        if path not in self._meant:
            parent, name = posixpath.split(path)
            found = []
            for folder in self._folders(parent):
                alike = self._names(folder).get(f"folder {folded(name)}", [])
                found += [posixpath.join(folder, each) for each in ([name] if name in alike else alike)]
            self._meant[path] = found
        return self._meant[path]

    def _names(self, folder: str) -> dict[str, list[str]]:
        """Entries by their folded name and stem; hidden ones are left out."""
        if folder in self._inside:
            return self._inside[folder]
        inside: dict[str, list[str]] = {}
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        inside.setdefault(f"folder {folded(entry.name)}", []).append(entry.name)
                    else:
                        inside.setdefault(f"name {folded(entry.name)}", []).append(entry.name)
                        inside.setdefault(f"stem {folded(stem(entry.name))}", []).append(entry.name)
        except OSError:
            inside.clear()  # nothing in it fits, and `checks.image_problems` says why
        self._inside[folder] = inside
        return inside
