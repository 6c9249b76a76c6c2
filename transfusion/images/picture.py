"""A picture as a file shows it: upright, opaque, of 8 bits or as values; `formats` reads it from a file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageCms, ImageOps

Array = np.ndarray

ORIENTATION = 0x0112

LARGEST_PIXELS = 80_000_000
"""An image above this is a mistake or an attack; the largest detectors have 18 million pixels."""

INSTALL = 'install the extra that reads DICOM: pip install "transfusion-sweep[dicom]"'

TURNED, TRANSPARENT, WHITE_ZERO = (
    "turned by their orientation tag",
    "partly transparent, laid over black",
    "with white as zero, inverted",
)
"""What a plan counts."""


@dataclass(frozen=True)
class Picture:
    """What a file shows, upright, without transparency.

    Attributes:
        image: an image of 8 bits; None where there are values.
        values: numbers of more than 8 bits, with a sign or a fraction, [H, W] or [H, W, 3]; None else.
        stated: the values that are black and white, by the file itself; None where it does not say.
        full: the range that its type can hold; None for fractions.
        inverted: whether the largest value is black.
        black: bool [H, W], where nothing was imaged (padding); None: nowhere.
        clipped: whether values outside of `stated` are meant to be cut, as by a window.
        notes: what a plan counts.
    """

    image: Image.Image | None = None
    values: Array | None = None
    stated: tuple[float, float] | None = None
    full: tuple[float, float] | None = None
    inverted: bool = False
    black: Array | None = None
    clipped: bool = False
    notes: tuple[str, ...] = ()


class PictureError(ValueError):
    """A file that is not read: `found`, and what to do about it."""

    def __init__(self, found: str, advice: str) -> None:
        self.found, self.advice = found, advice
        super().__init__(f"{found}; {advice}")


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a file: pixels of a side, channels (1 or 3), which frame of several, and whether
    the window that a DICOM file gives is applied."""

    size: int
    channels: int = 1
    frame: int | None = None
    window: bool = True


def check_size(width: int, height: int) -> None:
    """Refuse implausible sizes before anything is decoded."""
    if not 0 < width * height <= LARGEST_PIXELS:
        found = f"{width} x {height} pixels"
        raise PictureError(found, f"at most {LARGEST_PIXELS:,} are read: store the image smaller")


def check_frames(frames: int, wanted: int | None) -> int:
    """The frame that is read, from 1.

    Raises:
        PictureError: several and none chosen, or fewer than that.
    """
    if frames <= 1:
        return 1
    if wanted is None:
        raise PictureError(
            f"{frames} pages or frames", "say which one is meant (--frame 1), or write it as a file"
        )
    if wanted > frames:
        raise PictureError(
            f"{frames} pages or frames", f"there is no frame {wanted}: choose another (--frame)"
        )
    return wanted


def flat(image: Image.Image) -> Picture:
    """The picture of a loaded image of 8 bits, in gray (`L`) or `RGB`, upright and opaque."""
    notes = []
    if image.getexif().get(ORIENTATION, 1) not in (0, 1):
        image = ImageOps.exif_transpose(image)
        notes.append(TURNED)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        gray = image.mode in ("L", "LA", "La", "1")
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        lowest, highest = map(int, np.percentile(np.asarray(alpha), (0, 100)))
        image = image.convert("RGB")
        if highest < 255:
            raise transparent_throughout()
        if lowest < 255:
            laid = Image.new("RGB", image.size)
            laid.paste(image, mask=alpha)
            image = laid
            notes.append(TRANSPARENT)
        if gray:
            image = image.getchannel("R")
    elif image.mode == "LAB":
        spaces = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, *spaces, outputMode="RGB")
        assert converted is not None
        image = converted
    elif image.mode in ("1", "L"):
        image = image.convert("L")
    elif image.mode not in ("RGB", "YCbCr"):
        image = image.convert("RGB")
    return Picture(image=image, notes=tuple(notes))


def transparent_throughout() -> PictureError:
    """An image of which nothing is opaque: whether colour or transparency is the picture, nobody knows."""
    return PictureError("an image that is transparent throughout", "store it without an alpha channel")


def deep(picture: Picture, orientation: int, alpha: Array | None) -> Picture:
    """The picture upright, and opaque: laid over black by `alpha`, [H, W] from 0 to 1."""
    values, black, notes = picture.values, picture.black, list(picture.notes)
    assert values is not None
    if not np.isfinite(values).all():
        raise PictureError("values that are not finite (NaN or infinity)", "replace them, or drop its row")
    if alpha is not None:
        if alpha.max() < 1:
            raise transparent_throughout()
        if alpha.min() < 1:
            notes.append(TRANSPARENT)
            if picture.inverted or values.min() < 0:
                raise PictureError(
                    "transparency over values whose zero is not black", "store it without alpha"
                )
            weights = alpha if values.ndim == 2 else alpha[..., None]
            values = np.rint(values * weights).astype(values.dtype)
    if orientation not in (0, 1):
        notes.append(TURNED)
        values = upright(values, orientation)
        black = None if black is None else upright(black, orientation)
    return replace(picture, values=values, black=black, notes=tuple(notes))


def upright(pixels: Array, orientation: int) -> Array:
    """[H, W, ...] as it is to be seen by its orientation, 2 to 8 (EXIF 2.32, 4.6.4 A)."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def square(pixels: Array) -> Array:
    """The centre of [H, W, ...] as wide as high."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
