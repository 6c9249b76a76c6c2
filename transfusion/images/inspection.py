"""What the file system, the header and the end of every image file say, before any of them is decoded."""

from __future__ import annotations

import os
import stat
import struct
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from transfusion.images import file_kind, jpeg, png
from transfusion.images.formats import FORMATS
from transfusion.images.missing import missing_problem
from transfusion.images.picture import PictureError, check_size
from transfusion.problems import Problem

LARGEST_BYTES = 512 * 2**20

START, END = 4096, 4096
"""Bytes that are read at the start and at the end of a file."""

SLICE = 256
"""Files that a thread takes at a time."""

MISSING = "no such file"

UNREAD = (b"\xff\xf7", b"\xff\xc3")
"""How frames begin in JPEG-LS and in lossless JPEG."""

SAID_ONCE = 20
"""More problems than this of the same words become one, with a count."""


@dataclass(frozen=True)
class Look:
    """What a look at an image file told.

    Attributes:
        problem: why it cannot be used; None where nothing speaks against it.
        deep: whether it may hold more than 8 bits, a sign or a fraction.
        pixels: how many, about.
        dicom: whether it is DICOM.
    """

    problem: Problem | None = None
    deep: bool = False
    pixels: int = 0
    dicom: bool = False


def image_problems(
    root: Path,
    images: Iterable[str],
    headers: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """A problem for every image that is missing, unreadable, empty, cut off, no image, or absurdly large."""
    names = [str(name) for name in images]
    return told(root, names, look_at(root, names, headers, progress))


def told(root: Path, images: Sequence[str], looks: Sequence[Look]) -> list[Problem]:
    """What is wrong with images, by `look_at`: those that are not there in one problem, other kinds each."""
    problems = [(name, look.problem) for name, look in zip(images, looks, strict=True)]
    wrong = [(name, problem) for name, problem in problems if problem is not None]
    missing = [name for name, problem in wrong if problem.found == MISSING]
    there = said_once([problem for _, problem in wrong if problem.found != MISSING])
    return [*([missing_problem(root, missing, images)] if missing else []), *there]


def look_at(
    root: Path,
    images: Iterable[str],
    headers: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[Look]:
    """A look at each image, in order.

    Args:
        root: their folder.
        images: their paths below it.
        headers: open every image (header and end of file) rather than only look whether it is there.
        progress: called with (images done, images in all) now and then.
    """
    names = [str(name) for name in images]
    inspect = _inspect_file if headers else _inspect_entry
    looks: list[Look] = []
    threads = min(16, 4 * (os.cpu_count() or 1))
    parts = [names[start : start + SLICE] for start in range(0, len(names), SLICE)]
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=threads) as pool:
        warnings.simplefilter("ignore")  # too large an image is a problem below, odd metadata are none
        for part in pool.map(lambda part: [inspect(root / name) for name in part], parts):
            looks += part
            if progress is not None:
                progress(len(looks), len(names))
    return looks


def said_once(problems: Sequence[Problem]) -> list[Problem]:
    """`problems`; where many differ in nothing but their place, one with a count and the first places."""
    alike: dict[tuple[type, str, str, str], list[Problem]] = {}
    for problem in problems:
        alike.setdefault(_words(problem), []).append(problem)
    once = []
    for problem in problems:
        group = alike[_words(problem)]
        if len(group) <= SAID_ONCE:
            once.append(problem)
        elif problem is group[0]:
            places = ", ".join(one.where for one in group[:3])
            once.append(
                replace(problem, where=f"{len(group):,} images ({places} and {len(group) - 3:,} more)")
            )
    return once


def _words(problem: Problem) -> tuple[type, str, str, str]:
    """All of a problem but its place."""
    return type(problem), problem.found, problem.expected, problem.advice


def _inspect_entry(file: Path) -> Look:
    """What the file system alone can say about an image."""
    try:
        entry = file.stat()
    except FileNotFoundError:
        return _bad(file, MISSING, "an image", "correct the path")
    except PermissionError:
        return _no_permission(file)
    except (OSError, ValueError) as error:  # a link to itself, a name that is too long, one that no disk has
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        return _bad(file, f"no file ({reason.lower()})", "an image", "correct the path")
    size = entry.st_size
    if not stat.S_ISREG(entry.st_mode):
        return _bad(file, "no file", "an image", "correct the path")
    if size == 0:
        return _bad(file, "0 bytes", "an image", "fetch the file again")
    if size > LARGEST_BYTES:
        return _bad(
            file, f"{size} bytes", f"at most {LARGEST_BYTES}", "store the image smaller, or drop the row"
        )
    return Look(pixels=size)


def _inspect_file(file: Path) -> Look:
    """The same, and what the header and the end of the file say."""
    look = _inspect_entry(file)
    if look.problem is not None:
        return look
    try:
        with file.open("rb", buffering=0) as stream:
            return _inspect_stream(file, stream, look.pixels)
    except PermissionError:
        return _no_permission(file)
    except Image.DecompressionBombError:
        return _bad(file, "too many pixels", "an image that can be used", "store the image smaller")
    except PictureError as error:
        return _bad(file, error.found, "an image that can be used", error.advice)
    except Exception as error:  # a broken header may raise anything in a decoder
        return _bad(file, f"no image ({type(error).__name__})", "an image", "fetch the file again")


def _inspect_stream(file: Path, stream: BinaryIO, size: int) -> Look:
    head = stream.read(START)
    if head.startswith(jpeg.SOI):
        found = jpeg.frame(head)
        if found is None:
            stream.seek(0)
            try:
                with Image.open(stream, formats=("JPEG",)) as image:
                    found = jpeg.Frame(0, 8, *image.size, components=len(image.getbands()))
            except Image.UnidentifiedImageError:
                if jpeg.EOI not in _end(stream, size) and not any(mark in head for mark in UNREAD):
                    return _cut(file, "JPEG")
                name, advice = file_kind.describe(head)
                return _bad(file, name, "an image that can be used", advice)
        check_size(found.width, found.height)
        if found.bits != 8:
            return _bad(file, f"a JPEG of {found.bits} bits", "8 bits", "convert it to a 16-bit PNG or TIFF")
        if jpeg.EOI not in _end(stream, size):
            stream.seek(0)
            structure = jpeg.structure(stream.read())
            if structure is None or not structure.ended:
                return _cut(file, "JPEG")
        return Look(pixels=found.width * found.height)
    if head.startswith(png.SIGNATURE) and len(head) >= 33:
        width, height = struct.unpack_from(">II", head, 16)
        check_size(width, height)
        if b"IEND" not in _end(stream, size):
            stream.seek(0)
            if not png.has_end(stream.read()):
                return _cut(file, "PNG")
        return Look(deep=head[24] == 16, pixels=width * height)
    if file_kind.is_dicom(head):
        return Look(deep=True, pixels=size, dicom=True)
    stream.seek(0)
    try:
        with Image.open(stream, formats=FORMATS) as image:
            check_size(*image.size)
            deep = image.mode[0] in "IF" or image.format in ("TIFF", "PPM")
            return Look(deep=deep, pixels=image.width * image.height)
    except Image.UnidentifiedImageError:
        from transfusion.images import tiff

        if head.startswith(tiff.SIGNATURES):
            stream.seek(0)
            page = tiff.page(stream.read())
            return Look(deep=True, pixels=page.width * page.height)
        name, advice = file_kind.describe(head)
        return _bad(file, name, "an image", advice)


def _end(stream: BinaryIO, size: int) -> bytes:
    """The last bytes of a file."""
    stream.seek(-min(END, size), os.SEEK_END)
    return stream.read()


def _cut(file: Path, kind: str) -> Look:
    return _bad(file, f"a {kind} without its end", "a whole image", "fetch the file again: it was cut off")


def _no_permission(file: Path) -> Look:
    return _bad(file, "no permission to read it", "a readable image", "change its permissions (chmod)")


def _bad(file: Path, found: str, expected: str, advice: str) -> Look:
    return Look(problem=Problem(str(file), found, expected, advice))
