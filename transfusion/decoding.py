"""Image files to square uint8 pixels, fast: whole slices of files at a time.

A gray image costs little more than its decoding: four of one size become the channels of one image, which
torch resizes at little more than the price of one.
"""

from __future__ import annotations

import io
import struct
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

LARGE_PIXELS = 2**20
"""From here on images are resized one by one, so that few of them are in memory."""


FRAMES, OTHER_FRAMES = (0xC0, 0xC1, 0xC2), (*range(0xC3, 0xD0), 0xDA)
"""Markers of JPEG frames that are decoded straight from their bytes, and those that end the search."""


class ImageError(DataError):
    """Images that cannot be decoded; the message names their paths."""


def decode(files: Sequence[Path], size: int, channels: int = 1) -> Array:
    """The images as uint8 [N, size, size], or [N, 3, size, size] with three channels.

    The centre square is cut out and resized (bilinear, antialiased). 16-bit images are mapped linearly, 65535
    to 255; transparency is ignored.

    Raises:
        ImageError: naming every file that is missing or cannot be decoded.
    """
    images = np.empty((len(files), channels, size, size), dtype=np.uint8)
    waiting: dict[tuple[int, int], list[tuple[int, Image.Image]]] = {}
    problems: list[Problem] = []
    for place, file in enumerate(files):
        try:
            image = _open(file, size, channels)
        except ImageError as error:
            problems += error.problems
            continue
        alike = waiting.setdefault(image.size, [])
        alike.append((place, image))
        if len(alike) == TOGETHER or channels > 1 or image.width * image.height >= LARGE_PIXELS:
            _resize(alike, images)
            alike.clear()
    if problems:
        raise ImageError(problems)
    for alike in waiting.values():
        if alike:
            _resize(alike, images)
    return images[:, 0] if channels == 1 else images


def _open(file: Path, size: int, channels: int) -> Image.Image:
    """A gray or RGB image; a JPEG at half its size or less where twice the pixels needed remain."""
    try:
        with file.open("rb", buffering=0) as stream:
            data = stream.read()
        if (plain := _gray_jpeg(data, size)) is not None:
            return plain
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "JPEG":
                image.draft("L" if channels == 1 else "RGB", (2 * size, 2 * size))
            image.load()
            return _gray(image) if channels == 1 else _rgb(image)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        found = f"{type(error).__name__}: {' '.join(str(error).split())}"
        advice = "fetch the file again, or drop its row"
        raise ImageError([Problem(str(file), found, "an image", advice)]) from error


def _gray_jpeg(data: bytes, size: int) -> Image.Image | None:
    """A gray JPEG that is to be decoded in full, from its bytes; None for all else, and where that fails.

    `Image.open` costs several per cent of the decoding of a small image, for what is not needed here.
    """
    frame = _frame(data)
    if frame is None:
        return None
    width, height = frame
    if not 0 < width * height < LARGE_PIXELS or min(width, height) >= 4 * size:
        return None
    try:
        return Image.frombytes("L", frame, data, "jpeg", "L", "")
    except ValueError:
        return None  # opened with care, it says what is wrong with it


def _frame(data: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header of a gray JPEG of 8 bits (ITU-T T.81, B.2.2), else None."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in FRAMES:
            precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return (width, height) if (precision, components) == (8, 1) else None
        if marker in OTHER_FRAMES or length < 2:
            return None
        at += 2 + length
    return None


def _resize(alike: Sequence[tuple[int, Image.Image]], images: Array) -> None:
    """Puts up to four gray images of one size, or one RGB image, into `images` [N, channels, size, size]."""
    channels = images.shape[1]
    members = [image for _, image in alike]
    if len(members) > 1:
        members = [Image.merge("RGBA", (members * TOGETHER)[:TOGETHER])]
    square = torch.from_numpy(_square(np.atleast_3d(np.asarray(members[0]))).copy())
    # Only with the batch axis added first does torch see that the channels lie together.
    channels_last = square[None].permute(0, 3, 1, 2)
    resized = interpolate(channels_last, size=images.shape[2:], mode="bilinear", antialias=True)[0].numpy()
    for plane, (place, _) in enumerate(alike):
        images[place] = resized[plane : plane + channels]


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
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
