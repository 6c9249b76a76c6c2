"""Which gray levels images of 8 bits use: masks, and what was cut down from more bits, use few of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

OUTLIERS = 0.001
"""The share of an image's pixels that may lie alone at either end."""

FEW = 32
"""Gray levels of 256 within which nearly all pixels of no radiograph lie."""


@dataclass(frozen=True)
class Levels:
    """Smallest and largest gray level of an image without outliers, and how many levels it has in all."""

    low: int
    high: int
    count: int


def used(image: Image.Image) -> Levels:
    """The levels of an image of 8 bits, all of its channels together.

    Its very smallest and largest, such as padding and marks, do not count where others remain.
    """
    channels = np.array(image.histogram()).reshape(-1, 256)
    counts = channels[0] if image.mode == "YCbCr" else channels.sum(axis=0)
    there = np.flatnonzero(counts)
    inside = counts.copy()
    inside[there[[0, -1]]] = 0
    if 100 * inside.sum() < counts.sum():
        inside = counts
    up_to = np.cumsum(inside) / inside.sum()
    low = np.searchsorted(up_to, OUTLIERS, side="right")
    return Levels(int(low), int(np.searchsorted(up_to, 1 - OUTLIERS)), len(there))


def odd(seen: Sequence[tuple[Path, Levels]], counted: Callable[[int], str]) -> list[str]:
    """Sentences on images of two gray levels, and on those with nearly all pixels in an eighth of the range.

    Args:
        seen: images and their levels; those of a single one are left out.
        counted: says how many images of how many.
    """
    two = [file for file, levels in seen if levels.count == 2]
    few = [(file, one) for file, one in seen if one.count > 2 and one.high - one.low < FEW]
    said = []
    if two:
        said.append(f"{counted(len(two))} have two gray levels only, {two[0]} first: masks?")
    if few:
        file, levels = few[0]
        said.append(
            f"{counted(len(few))} have nearly all pixels within an eighth of the gray levels, {file} first "
            f"(from {levels.low} to {levels.high} of 255): were more than 8 bits cut down?"
        )
    return said
