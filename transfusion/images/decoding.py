"""Image files to square uint8 pixels, fast: whole slices of files at a time.

Gray images of one size are resized four at a time, as the channels of one image, which takes torch little
longer than a single one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from transfusion.images import formats, jpeg, picture
from transfusion.images.out_of_range import OutOfRange
from transfusion.images.picture import Picture, PictureError, Wanted
from transfusion.images.reading import AS_STATED, Reading, named, to_levels
from transfusion.problems import InputError, Problem

Array = np.ndarray

TOGETHER = 4
"""Gray images that are resized together."""

LARGE_PIXELS = 2**20
"""From here on images are resized one by one, so that few of them are in memory."""


class ImageError(InputError):
    """Images that cannot be decoded; the message names their paths."""


def decode(files: Sequence[Path], size: int, channels: int = 1, reading: Reading = AS_STATED) -> Array:
    """The images as uint8 [N, size, size], or [N, 3, size, size] with three channels.

    The centre square is cut out and resized (bilinear, antialiased).

    Args:
        files: paths of the images.
        size: pixels of a side.
        channels: 1 for gray, 3 for RGB.
        reading: how values of more than 8 bits become gray levels.

    Raises:
        ImageError: naming every file that is missing or cannot be decoded.
    """
    images = np.empty((len(files), channels, size, size), dtype=np.uint8)
    waiting: dict[tuple[int, int], list[tuple[int, Image.Image]]] = {}
    problems: list[Problem] = []
    for place, file in enumerate(files):
        try:
            image = _open(file, size, channels, reading)
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


def constant_pixels(images: Array) -> Array:
    """bool [N]: which of uint8 [N, ...] hold one single value."""
    flat = images.reshape(len(images), -1)
    return flat.min(axis=1) == flat.max(axis=1)


def open_picture(file: Path, size: int, channels: int, reading: Reading) -> Picture:
    """What the file shows.

    Raises:
        ImageError: it is missing, broken, or not read.
    """
    try:
        with file.open("rb", buffering=0) as stream:
            data = stream.read()
        if (plain := _gray_jpeg(data, size)) is not None:
            return Picture(image=plain)
        return formats.read(data, Wanted(size, channels, reading.frame, reading.mode == "auto"))
    except PictureError as error:
        raise ImageError(
            [Problem(str(file), error.found, "an image that can be used", error.advice)]
        ) from error
    except Exception as error:  # broken data may raise anything in a decoder
        found = f"{type(error).__name__}: {' '.join(str(error).split())}"
        advice = "fetch the file again, or drop its row"
        raise ImageError([Problem(str(file), found, "an image", advice)]) from error


def _open(file: Path, size: int, channels: int, reading: Reading) -> Image.Image:
    """A gray or RGB image of 8 bits."""
    found = open_picture(file, size, channels, reading)
    image = found.image if found.image is not None else _eight_bits(file, found, reading)
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(file: Path, found: Picture, reading: Reading) -> Image.Image:
    """An image of more than 8 bits by the range of its file or its data set."""
    assert found.values is not None
    ends = reading.range_of(found)
    if ends is None:
        raise ImageError([unknown_range(file, found)])
    low, high = (values_of(found).min(), values_of(found).max())
    if (low < ends[0] or high > ends[1]) and not reading.cuts(found):
        raise ImageError([_outside(file, found, ends, reading)])
    levels = to_levels(found.values, *ends)
    if found.inverted:
        levels = 255 - levels
    if found.black is not None:
        levels[found.black] = 0
    return Image.fromarray(levels)


def values_of(found: Picture) -> Array:
    """All numbers of an image of more than 8 bits, but for its padding."""
    assert found.values is not None
    return found.values if found.black is None else found.values[~found.black]


def unknown_range(file: Path, found: Picture) -> Problem:
    """The problem of an image whose range neither it nor anyone says."""
    low, high = float(values_of(found).min()), float(values_of(found).max())
    text = f"values from {low:,.6g} to {high:,.6g} that state no range"
    return Problem(str(file), text, "values whose range is known", "say it: --intensity 12bit, or LOW:HIGH")


def _outside(file: Path, found: Picture, ends: tuple[float, float], reading: Reading) -> Problem:
    """The problem of an image that its own header, or the rest of the data set, belies."""
    numbers = values_of(found)
    low, high = float(numbers.min()), float(numbers.max())
    text = f"values from {low:,.10g} to {high:,.10g}"
    if reading.mode == "auto" and found.stated is not None:
        advice = "its header and its pixels disagree: mend it, or give the range (--intensity LOW:HIGH)"
        return Problem(str(file), text, f"{ends[0]:,.10g} to {ends[1]:,.10g}, as it states itself", advice)
    whose = "as --intensity says" if reading.mode != "auto" else "as in the images that were looked at"
    return OutOfRange(
        where=str(file),
        found=text,
        expected=f"{ends[0]:,.10g} to {ends[1]:,.10g} ({named(*ends)}), {whose}",
        advice="give an --intensity that holds it, or drop its row",
        low=min(low, ends[0]),
        high=max(high, ends[1]),
        integers=whole(numbers),
    )


def whole(numbers: Array) -> bool:
    """Whether these are whole numbers rather than fractions; zeros and ones of a float type are not."""
    if numbers.dtype.kind in "iub":
        return True
    return bool(numbers.max() > 1 and (numbers == np.rint(numbers)).all())


def _gray_jpeg(data: bytes, size: int) -> Image.Image | None:
    """A gray JPEG that is to be decoded in full, from its bytes; None for all else, and where that fails.

    `Image.open` costs several per cent of the decoding of a small image, for what is not needed here.
    """
    frame = jpeg.frame(data, metadata=False)
    if frame is None or (frame.bits, frame.components) != (8, 1):
        return None
    width, height = frame.width, frame.height
    if not 0 < width * height < LARGE_PIXELS or min(width, height) >= 4 * size:
        return None
    try:
        image = Image.frombytes("L", (width, height), data, "jpeg", "L", "")
    except ValueError:
        return None  # opened with care, it says what is wrong with it
    doubtful = jpeg.may_be_cut(data, frame, image.getpixel((width - 1, height - 1)))
    return None if doubtful and _cut(data, image) else image


def _cut(data: bytes, image: Image.Image) -> bool:
    """Whether a decoded gray JPEG lacks a part."""
    return bool(
        jpeg.why_cut(
            data,
            np.asarray(image),
            lambda other: np.asarray(Image.frombytes("L", image.size, other, "jpeg", "L", "")),
        )
    )


def _resize(alike: Sequence[tuple[int, Image.Image]], images: Array) -> None:
    """Puts up to four gray images of one size, or one RGB image, into `images` [N, channels, size, size]."""
    import torch  # a second and more, that a plan has no use for

    channels = images.shape[1]
    members = [image for _, image in alike]
    if len(members) > 1:
        members = [Image.merge("RGBA", (members * TOGETHER)[:TOGETHER])]
    square = torch.from_numpy(picture.square(np.atleast_3d(np.asarray(members[0]))).copy())
    # Only with the batch axis added first does torch see that the channels lie together.
    channels_last = square[None].permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(
        channels_last, size=images.shape[2:], mode="bilinear", antialias=True
    )[0].numpy()
    for plane, (place, _) in enumerate(alike):
        images[place] = resized[plane : plane + channels]
