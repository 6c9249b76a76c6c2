"""A data set's images are looked at once, before anything starts: a sample is decoded, to find what is
broken, what its values mean, and what else a user should be told.

What the sample does not hold is found when the image cache is built.
"""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from transfusion.data import gray_levels, negatives
from transfusion.data.dataset import Dataset
from transfusion.images.decoding import ImageError, decode, open_picture, values_of, whole
from transfusion.images.inspection import Look
from transfusion.images.picture import INSTALL
from transfusion.images.reading import Reading, named, range_in_use
from transfusion.problems import Problem

Array = np.ndarray

IMAGES = 1000
"""At most so many are decoded of each of the two kinds, 8 bits and more."""

PIXELS = 200_000_000
"""Nor more pixels than these of each kind, but for the first `FEWEST`."""

FEWEST = 32
GAP = 8
"""Images whose largest values lie apart by this factor (3 bits), with none between, are of two ranges ..."""

SHARE = 0.05
"""... if either are so many."""

OUTLIERS = 0.001
"""The share of an image's values that may lie alone at either end."""

SAMPLE = 2**16
"""Values of an image that are looked at for that."""

SIDE = 64
"""Pixels of the images that are looked at for being of one value."""

SHOWN = 3


@dataclass(frozen=True)
class Seen:
    """What one image told.

    Attributes:
        file: its path.
        notes: of its picture.
        span: smallest and largest value where it states no range, and whether they are whole numbers.
        inner: the same without outliers; None where there are too few values to say.
        constant: whether it has one value everywhere.
        levels: which gray levels an image of 8 bits uses.
        small: the image in few pixels; None where it shows nothing.
        problems: why it is not read.
    """

    file: Path
    notes: tuple[str, ...] = ()
    span: tuple[float, float, bool] | None = None
    inner: tuple[float, float] | None = None
    constant: bool = False
    levels: gray_levels.Levels | None = None
    small: Array | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What looking at a sample gave: the reading, sentences for the plan, and what is wrong: with files that
    are not read, and with images that show nothing; and what the look at every file said."""

    reading: Reading
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    empty: tuple[Problem, ...] = ()
    looks: tuple[Look, ...] = ()


def survey(
    root: Path,
    images: Sequence[str],
    looks: Sequence[Look],
    asked: Reading,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Decodes a bounded sample that depends on the names alone, and decides how all are read.

    Args:
        root: folder of the images.
        images: their paths below it.
        looks: what their headers said, one for each.
        asked: what the user wants.
        progress: called with (images decoded, images to decode) now and then.
    """
    if problem := _without_extra(root, images, looks):
        return Survey(asked, (), (problem,))
    rows = [row for deep in (True, False) for row in _sample(images, looks, deep)]
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, file by file
        seen = []
        for one in pool.map(lambda row: _look(root / images[row], asked), rows):
            seen.append(one)
            if progress is not None and (len(seen) % 16 == 0 or len(seen) == len(rows)):
                progress(len(seen), len(rows))
    problems = [problem for one in seen for problem in one.problems]
    reading, notes, found = _decide(asked, [one for one in seen if one.span is not None])
    problems += found
    if asked.mode != "auto" and not any(look.deep for look in looks):
        text, advice = f"{len(looks):,} images of 8 bits", "leave it out: nothing would change"
        problems.append(Problem("--intensity", text, "images of more than 8 bits", advice))
    for note, count in sorted(Counter(note for one in seen for note in one.notes).items()):
        notes.append(f"{_counted(count, len(rows), len(images))} {note}")

    def counted(count: int) -> str:
        return _counted(count, len(rows), len(images))

    notes += gray_levels.odd([(one.file, one.levels) for one in seen if one.levels is not None], counted)
    notes += negatives.told([(one.file, one.small) for one in seen if one.small is not None], counted)
    constant, told = _constant([one for one in seen if not one.problems], len(images))
    return Survey(reading, (*notes, *told), tuple(problems), tuple(constant))


def read_as(dataset: Dataset, found: Survey) -> Dataset:
    """`dataset` read as the survey decided, which is a part of its fingerprint where it changes pixels."""
    token = found.reading.token()
    if not token:
        return replace(dataset, reading=found.reading)
    fingerprint = hashlib.sha256(f"{dataset.fingerprint}/{token}".encode()).hexdigest()[:16]
    return replace(dataset, reading=found.reading, fingerprint=fingerprint)


def constant_images(files: Sequence[str], images: int) -> tuple[list[Problem], list[str]]:
    """What to say of `files`, all that hold one single value of so many images: refused are half or more."""
    if not files:
        return [], []
    names = ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else "")
    text = f"{len(files):,} of {images:,} images have one value everywhere: {names}"
    if 2 * len(files) < images:
        return [], [text]
    advice = (
        "open one: if it is empty there too, fetch the images again; if not, name the range of its values "
        "(--intensity LOW:HIGH), or store the images as gray"
    )
    found = f"the same value in every pixel, and so in {len(files):,} of {images:,} images ({names})"
    return [Problem(files[0], found, "a picture", advice)], []


def _without_extra(root: Path, images: Sequence[str], looks: Sequence[Look]) -> Problem | None:
    """The one problem of all DICOM files where pydicom is not installed."""
    rows = [row for row, look in enumerate(looks) if look.dicom]
    if not rows or find_spec("pydicom") is not None:
        return None
    count = f"{len(rows):,} images" if len(rows) > 1 else "1 image"
    return Problem(f"{count} ({root / images[rows[0]]})", "DICOM", "pydicom, which reads it", INSTALL)


def _sample(images: Sequence[str], looks: Sequence[Look], deep: bool) -> list[int]:
    """Rows of one kind in the order of a hash of their names, up to the limits."""
    rows = [row for row, look in enumerate(looks) if look.problem is None and look.deep is deep]
    if len(rows) > FEWEST:
        rows.sort(key=lambda row: hashlib.blake2b(images[row].encode(), digest_size=8).digest())
    chosen: list[int] = []
    pixels = 0
    for row in rows[:IMAGES]:
        pixels += looks[row].pixels
        if pixels > PIXELS and len(chosen) >= FEWEST:
            break
        chosen.append(row)
    return sorted(chosen)


def _look(file: Path, asked: Reading) -> Seen:
    """One image, decoded."""
    try:
        picture = open_picture(file, SIDE, 1, asked)
        if picture.image is not None:
            levels = gray_levels.used(picture.image)
            small = negatives.small(picture.image)
            return Seen(file, picture.notes, constant=levels.count == 1, levels=levels, small=small)
        assert picture.values is not None
        small = negatives.small_of_values(picture.values, picture.inverted)
        values = values_of(picture)
        low, high = float(values.min()), float(values.max())
        if asked.mode == "auto" and picture.stated is None:
            span = low, high, whole(values)
            inner = _without_outliers(values, low, high)
            return Seen(file, picture.notes, span, inner, constant=low == high, small=small)
        shown = decode([file], SIDE, 1, asked)
        return Seen(file, picture.notes, constant=bool(shown.min() == shown.max()), small=small)
    except ImageError as error:
        return Seen(file, problems=error.problems)


def _decide(asked: Reading, seen: Sequence[Seen]) -> tuple[Reading, list[str], list[Problem]]:
    """The range of the images that state none, by all of them together."""
    telling = [one.span for one in seen if one.span is not None and not one.constant]
    spans = telling or [one.span for one in seen if one.span is not None]
    if asked.mode != "auto" or not spans:
        return asked, [], []
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    integers = all(span[2] for span in spans)
    ends = range_in_use(low, high, integers)
    if ends[0] == ends[1]:
        ends = (ends[0], ends[0] + 1)
    if apart := _two_ranges([max(abs(span[0]), abs(span[1])) for span in spans]):
        below, above, few, many = apart
        found = (
            f"{few:,} images with values up to {below:,.6g} and {many:,} with values up to {above:,.6g}, "
            f"whose largest lie {GAP} times higher or more"
        )
        advice = "bring them to one range, or say it: --intensity each, " + named(*ends)
        return asked, [], [Problem(str(seen[0].file.parent), found, "images of one range", advice)]
    if problem := _few_levels(seen, ends):
        return asked, [], [problem]
    text = (
        f"images of more than 8 bits: {len(spans):,} looked at that state no range, largest value "
        f"{high:,.6g}, smallest {low:,.6g}, read as {_in_words(*ends)} (--intensity changes it)"
    )
    return replace(asked, low=ends[0], high=ends[1]), [text], []


def _without_outliers(values: Array, low: float, high: float) -> tuple[float, float] | None:
    """The ends of an image's values but for `OUTLIERS` and those that are its smallest or largest, such as
    padding and marks; None where hardly any remain."""
    some = values.ravel()[:: max(1, values.size // SAMPLE)]
    inside = some[(some > low) & (some < high)]
    if len(inside) < len(some) / 100:
        return None
    ends = np.quantile(inside, (OUTLIERS, 1 - OUTLIERS))
    return float(ends[0]), float(ends[1])


def _few_levels(seen: Sequence[Seen], ends: tuple[float, float]) -> Problem | None:
    """What to say where the range of all leaves few gray levels to most images, since some values, such as
    padding or marks, lie far off."""
    inner = [one.inner for one in seen if one.inner is not None]
    few = [one for one in inner if GAP * (one[1] - one[0]) < ends[1] - ends[0]]
    if not few or 2 * len(few) < len(inner):
        return None
    low: float = math.floor(min(one[0] for one in inner))
    high: float = math.ceil(max(one[1] for one in inner))
    found = (
        f"values from {ends[0]:,.6g} to {ends[1]:,.6g}, but nearly all of {len(few):,} of {len(seen):,} "
        f"images lie within an eighth of that, from {low:,} to {high:,}"
    )
    if all(one.span[2] for one in seen if one.span is not None):
        low, high = range_in_use(low, high, integers=True)
    advice = (
        f"say which are meant: --intensity {low:.6g}:{high:.6g} (what lies outside is cut), or {named(*ends)}"
    )
    return Problem(str(seen[0].file.parent), found, "images that fill their range", advice)


def _in_words(low: float, high: float) -> str:
    text = named(low, high)
    return f"{text.removesuffix('bit')} bits" if text.endswith("bit") else f"{low:,.6g} to {high:,.6g}"


def _two_ranges(largest: Iterable[float]) -> tuple[float, float, int, int] | None:
    """(Largest below the gap, largest of all, images below, above) where values fall into two groups."""
    values = np.sort(np.array([value for value in largest if value > 0]))
    if len(values) < 2:
        return None
    ratios = values[1:] / values[:-1]
    for place in np.flatnonzero(ratios >= GAP):
        below, above = int(place) + 1, len(values) - int(place) - 1
        if min(below, above) >= SHARE * len(values):
            return float(values[place]), float(values[-1]), below, above
    return None


def _constant(seen: Sequence[Seen], images: int) -> tuple[list[Problem], list[str]]:
    files = [str(one.file) for one in seen if one.constant]
    problems, notes = constant_images(files, len(seen))
    if len(seen) < images:
        notes = [f"{note} (a sample of {images:,})" for note in notes]
    return problems, notes


def _counted(count: int, looked: int, images: int) -> str:
    """How many of the images that were looked at."""
    return f"{count:,} of {looked:,} images" + (f" (a sample of {images:,})" if looked < images else "")
