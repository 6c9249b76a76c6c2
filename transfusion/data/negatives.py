"""Whether some images of a data set look like photographic negatives of the others, whatever their files say.

Programs that export DICOM as PNG often leave MONOCHROME1 as it is stored: white where the others are black.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Array = np.ndarray

SIDE = 16
"""Pixels of the small images that are compared."""

FEWEST = 20
"""Images below which nothing is said."""

ALIKE = 0.5
"""Correlation with the common picture from which on an image shows it, or, below zero, its negative."""

SHARE = 2 / 3
"""Of the images that must show either; of others nothing is known."""

TURNED = 0.3
"""Correlation of a turned or mirrored image from which on it is that, and no negative."""


def small(image: Image.Image) -> Array | None:
    """float32 [16, 16] of mean 0 and norm 1 of an image of 8 bits; None where it shows nothing."""
    return _normed(image.convert("L"), least=SIDE)


def small_of_values(values: Array, inverted: bool) -> Array | None:
    """The same of an image of more than 8 bits, [H, W] or [H, W, 3], white where its values are high.

    Args:
        inverted: its values are low where it is white.
    """
    gray = values.astype(np.float32)
    return _normed(
        Image.fromarray((-1 if inverted else 1) * (gray.mean(axis=2) if gray.ndim == 3 else gray)), 0
    )


def _normed(image: Image.Image, least: float) -> Array | None:
    values = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    values = values - values.mean()
    norm = float(np.linalg.norm(values))
    return values / norm if norm > least else None


def negatives(images: Sequence[Array]) -> tuple[list[int], bool] | None:
    """Positions of the negatives, and whether they are so many that the others may be it; None for none.

    Args:
        images: of `small`.
    """
    if len(images) < FEWEST:
        return None
    flat = np.stack(images).reshape(len(images), -1)
    common = np.linalg.svd(flat, full_matrices=False)[2][0]
    along = flat @ common
    if np.count_nonzero(along < 0) * 2 > len(along):
        common, along = -common, -along
    if np.mean(np.abs(along) > ALIKE) < SHARE:
        return None
    against = np.flatnonzero(along < -ALIKE).tolist()
    found = [place for place in against if _turned(images[place], common) < TURNED]
    return (found, 3 * len(found) > len(images)) if found else None


def _turned(image: Array, common: Array) -> float:
    """The largest correlation of an image with the common picture, turned and mirrored in all ways."""
    ways = [np.rot90(one, turns) for one in (image, image[:, ::-1]) for turns in range(4)]
    return max(float(way.ravel() @ common) for way in ways)


def told(seen: Sequence[tuple[Path, Array]], counted: Callable[[int], str]) -> list[str]:
    """A sentence on negatives.

    Args:
        seen: images and what `small` made of them.
        counted: says how many images of how many.
    """
    found = negatives([image for _, image in seen])
    if found is None:
        return []
    places, either = found
    which = " (or the others are)" if either else ""
    return [
        f"{counted(len(places))} look like negatives of the others{which}, {seen[places[0]][0]} first: "
        "was white stored as zero (MONOCHROME1)?"
    ]
