"""Image files to square uint8 pixels, fast: whole slices of files at a time.

A gray image costs little more than its decoding: torch resizes up to four gray images at the price of one, as
the channels of one image.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from transfusion.table import DataError, Problem

Array = np.ndarray

TOGETHER = 4
"""Gray images that are resized together."""


class ImageError(DataError):
    """An image that cannot be decoded; the message names its path."""


def decode(files: Sequence[Path], size: int, channels: int = 1) -> Array:
    """The images as uint8 [N, size, size], or [N, 3, size, size] with three channels.

    The centre square is cut out and resized (bilinear, antialiased). 16-bit images are mapped linearly, 65535
    to 255; transparency is ignored.

    Raises:
        ImageError: naming the file that is missing or cannot be decoded.
    """
    squares: dict[int, list[tuple[int, Array]]] = defaultdict(list)
    for place, file in enumerate(files):
        square = _square(_pixels(file, size, channels))
        squares[square.shape[0]].append((place, square))
    shape = (size, size) if channels == 1 else (channels, size, size)
    images = np.empty((len(files), *shape), dtype=np.uint8)
    together = TOGETHER if channels == 1 else 1
    for side, alike in squares.items():
        planes = np.empty((max(together, channels), side, side), dtype=np.uint8)
        for first in range(0, len(alike), together):
            group = alike[first : first + together]
            for plane, (_, square) in enumerate(group):
                planes[plane : plane + channels] = square if channels == 1 else square.transpose(2, 0, 1)
            used = torch.from_numpy(planes[: len(group) * channels])
            resized = interpolate(used[None], size=(size, size), mode="bilinear", antialias=True)[0].numpy()
            for plane, (place, _) in enumerate(group):
                images[place] = resized[plane] if channels == 1 else resized
    return images


def _pixels(file: Path, size: int, channels: int) -> Array:
    """uint8 [H, W] or [H, W, 3]; a JPEG at half its size or less where twice the pixels needed remain."""
    try:
        with Image.open(file) as image:
            if image.format == "JPEG":
                image.draft("L" if channels == 1 else "RGB", (2 * size, 2 * size))
            return np.asarray(_gray(image) if channels == 1 else _rgb(image))
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        found = f"{type(error).__name__}: {' '.join(str(error).split())}"
        advice = "fetch the file again, or drop its row"
        raise ImageError([Problem(str(file), found, "an image", advice)]) from error


def _gray(image: Image.Image) -> Image.Image:
    if image.mode == "L":
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float32) / 257
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    return image.convert("RGB").convert("L") if image.mode == "P" else image.convert("L")


def _rgb(image: Image.Image) -> Image.Image:
    return (_gray(image) if image.mode[0] in "IF" else image).convert("RGB")


def _square(pixels: Array) -> Array:
    """The centre of [H, W, ...] as wide as high."""
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
