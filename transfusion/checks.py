"""Everything that must hold of a data set before the first trial starts, found in one go."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from transfusion.part_counts import PartCounts, count
from transfusion.table import DataError, Problem, Table, too_few

LARGEST_PIXELS = 80_000_000
"""An image above this is a mistake or an attack; the largest detectors have 18 million pixels."""

LARGEST_BYTES = 512 * 2**20


def check(
    table: Table,
    *,
    findings: Sequence[str],
    train_images: int,
    uncertain: Callable[[str], str] = lambda finding: "zeros",
    blank: str = "zeros",
    verify_images: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Raises one `DataError` that holds everything that would make a trial on `table` fail.

    Args:
        findings: those that will be trained.
        train_images: the largest subset that will be asked for.
        uncertain: policy for -1 by finding (`Recipe.uncertain_policy`).
        blank: policy for blanks.
        verify_images: open every image (header and end of file) rather than only look whether it is there.
        progress: called with (images done, images in all) now and then.

    Raises:
        DataError: with all problems.
    """
    problems = [*label_problems(table, findings, train_images, uncertain, blank)]
    problems += image_problems(table.root, table.frame["image"], headers=verify_images, progress=progress)
    if problems:
        raise DataError(problems)


def label_problems(
    table: Table,
    findings: Sequence[str],
    train_images: int,
    uncertain: Callable[[str], str],
    blank: str,
) -> list[Problem]:
    """Unknown findings, parts without images or with one class only, and too few images."""
    problems = []
    sizes = table.frame["part"].value_counts()
    if sizes.get("train", 0) < train_images:
        problems.append(too_few("train", train_images, int(sizes.get("train", 0))))
    for finding in findings:
        if finding not in table.findings:
            advice = "choose one of these (--finding)"
            problems.append(Problem("finding", repr(finding), f"one of {', '.join(table.findings)}", advice))
            continue
        counts = {one.part: one for one in count(table, [finding], uncertain, blank)}
        for part in ("train", "selection", "test", "official"):
            one = counts.get(part)
            if one is None and part == "official":
                continue
            positives, negatives = (one.trained_positive, one.trained_negative) if one else (0, 0)
            if positives and negatives:
                continue
            problems.append(
                Problem(
                    f"finding {finding!r}, part {part!r}",
                    f"{positives} positive and {negatives} negative images",
                    "both classes",
                    "choose another finding or policy, or add data",
                )
            )
    return problems


def upstream_problems(counts: Sequence[PartCounts]) -> list[Problem]:
    """What keeps a finding from being pretrained on: it must be there, and tell images apart, in `train`.

    Its other parts are not measured for a claim: one labelled image in `selection` chooses the epoch.
    """
    problems = []
    advice = "choose another policy, add data, or leave this pretraining out (--inits)"
    for one in counts:
        found = f"{one.trained_positive} positive and {one.trained_negative} negative images"
        where = f"finding {one.finding!r}, part {one.part!r}"
        if one.part == "train" and not (one.trained_positive and one.trained_negative):
            problems.append(Problem(where, found, "both classes", advice))
        if one.part == "selection" and one.ignored == one.images:
            problems.append(Problem(where, found, "at least one", advice))
    return problems


def image_problems(
    root: Path,
    images: Iterable[str],
    headers: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """A problem for every image that is missing, unreadable, empty, cut off, no image, or absurdly large."""
    names = [str(name) for name in images]
    inspect = _inspect_file if headers else _inspect_entry
    problems = []
    threads = min(16, 4 * (os.cpu_count() or 1))
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=threads) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such an image is a problem below
        for done, problem in enumerate(pool.map(lambda name: inspect(root / name), names, chunksize=64), 1):
            if problem is not None:
                problems.append(problem)
            if progress is not None and (done % 512 == 0 or done == len(names)):
                progress(done, len(names))
    return problems


def _inspect_entry(file: Path) -> Problem | None:
    """What the file system alone can say about an image."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return Problem(str(file), "no such file", "an image", "unpack the data set again, or drop the row")
    except PermissionError:
        return Problem(
            str(file), "no permission to read it", "a readable image", "change its permissions (chmod)"
        )
    if not file.is_file():
        return Problem(str(file), "no file", "an image", "correct the path")
    if size == 0:
        return Problem(str(file), "0 bytes", "an image", "fetch the file again")
    if size > LARGEST_BYTES:
        return Problem(
            str(file), f"{size} bytes", f"at most {LARGEST_BYTES}", "store the image smaller, or drop the row"
        )
    return None


def _inspect_file(file: Path) -> Problem | None:
    """The same, and what the header and the end of the file say."""
    problem = _inspect_entry(file)
    if problem is not None:
        return problem
    try:
        with file.open("rb") as stream:
            with Image.open(stream) as image:
                width, height, kind = *image.size, image.format
            stream.seek(-min(4096, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            end = stream.read()
    except PermissionError:
        return Problem(
            str(file), "no permission to read it", "a readable image", "change its permissions (chmod)"
        )
    except Image.DecompressionBombError:
        return Problem(str(file), "too many pixels", f"at most {LARGEST_PIXELS}", "store the image smaller")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error) as error:
        return Problem(str(file), f"no image ({type(error).__name__})", "an image", "fetch the file again")
    if width * height > LARGEST_PIXELS:
        found = f"{width} x {height} pixels"
        return Problem(str(file), found, f"at most {LARGEST_PIXELS}", "store the image smaller")
    marker = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}.get(kind or "")
    if marker is not None and marker not in end:
        return Problem(
            str(file), f"a {kind} without its end", "a whole image", "fetch the file again: it was cut off"
        )
    return None
