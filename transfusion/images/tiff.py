"""TIFF: what its tags say of the samples, and samples that are no unsigned numbers of 8 bits or fewer."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import numpy as np
import tifffile

Array = np.ndarray

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters is raised, and told once

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
"""SampleFormat."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
"""PhotometricInterpretation of the samples that are read here; all others have 8 bits."""

WHOLE_BYTES = (8, 16, 32, 64, 128)
"""Bits of samples that are not packed."""

REDUCED, MASK = 1, 4
"""NewSubfileType of pages that are no images of their own."""


@dataclass(frozen=True)
class Page:
    """One image of a file.

    Attributes:
        index: of the page among all, from 0.
        pages: images in the file, reduced ones and masks not counted.
        bits: of a sample.
        format: `UNSIGNED`, `SIGNED`, `FLOAT` or another.
        photometric: PhotometricInterpretation.
        samples: of a pixel.
        alpha: whether the last sample is alpha.
        premultiplied: whether it was multiplied into the others.
        width: pixels.
        height: pixels.
        orientation: 1 to 8, as in EXIF.
        slices: of a volume in one page; 1 of an image.
        stated: SMinSampleValue and SMaxSampleValue, where both or the second are there.
    """

    index: int
    pages: int
    bits: int
    format: int
    photometric: int
    samples: int
    alpha: bool
    premultiplied: bool
    width: int
    height: int
    orientation: int
    slices: int
    stated: tuple[float, float] | None

    @property
    def deep(self) -> bool:
        """Whether its samples are anything but unsigned numbers of 8 bits or fewer."""
        return self.bits > 8 or self.format != UNSIGNED

    @property
    def several_kinds(self) -> bool:
        """Whether a pixel has more samples beside its gray than alpha: nobody knows what they are."""
        return self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and self.samples - self.alpha > 1


def page(data: bytes, number: int = 1) -> Page:
    """The image of that number, from 1, by its tags; the first where there are fewer.

    Raises:
        ValueError: no TIFF, or one without an image.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        images = [one for one in file.pages if not int(getattr(one, "subfiletype", 0)) & (REDUCED | MASK)]
        if not images:
            raise ValueError("no image in it")
        several = (file.imagej_metadata or {}).get("images", 1) if file.is_imagej else 1
        one = images[min(number, len(images)) - 1]
        if not isinstance(one, tifffile.TiffPage):
            one = one.aspage()
        extra = tuple(map(int, one.extrasamples))
        return Page(
            index=one.index,
            pages=max(len(images), int(several)),
            bits=int(one.bitspersample),
            format=int(one.sampleformat),
            photometric=int(one.photometric),
            samples=int(one.samplesperpixel),
            alpha=bool(extra) and extra[-1] in (1, 2),
            premultiplied=bool(extra) and extra[-1] == 1,
            width=int(one.imagewidth),
            height=int(one.imagelength),
            orientation=int(one.tags.valueof(274, 1)),
            slices=int(one.imagedepth),
            stated=_stated(one),
        )


def _stated(one: tifffile.TiffPage) -> tuple[float, float] | None:
    """The range that the file gives: of several samples the widest."""
    high, low = one.tags.valueof("SMaxSampleValue"), one.tags.valueof("SMinSampleValue")
    bits = int(one.bitspersample)
    if high is None:
        whole = int(one.sampleformat) == UNSIGNED and (bits <= 8 or bits not in WHOLE_BYTES)
        return (0.0, float(2**bits - 1)) if whole else None
    high = float(np.max(high))
    if low is None:
        if int(one.sampleformat) != UNSIGNED:
            return None
        low = 0.0
    low = float(np.min(low))
    if int(one.sampleformat) == UNSIGNED and low >= 0:
        low, high = 0.0, float(2 ** int(high).bit_length() - 1)
    return (low, high) if low < high else None


def samples(data: bytes, found: Page) -> Array:
    """The samples of a page, [H, W] or [H, W, samples], of the file's own type.

    Raises:
        ValueError: a colour space, compression or layout that is not read, or broken data.
    """
    expected = (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
    if found.photometric not in expected:
        name = tifffile.PHOTOMETRIC(found.photometric).name
        raise ValueError(f"{found.bits} bits in the colours {name}")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        one = file.pages[found.index]
        if not isinstance(one, tifffile.TiffPage):
            one = one.aspage()
        packed = found.bits not in (1, *WHOLE_BYTES)
        pixels = _unpacked(data, one) if packed else one.asarray()
        if pixels.ndim == 3 and one.planarconfig == 2:
            pixels = np.moveaxis(pixels, 0, -1)
    if pixels.shape[:2] != (found.height, found.width) or pixels.ndim not in (2, 3):
        raise ValueError(f"samples of the shape {pixels.shape}")
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _unpacked(data: bytes, one: tifffile.TiffPage) -> Array:
    """uint16 [H, W] of samples of fewer than 16 bits that lie in the file without gaps, highest bit first.

    Raises:
        ValueError: they are compressed, in tiles, several of a pixel, or not all there.
    """
    bits, height, width = int(one.bitspersample), int(one.imagelength), int(one.imagewidth)
    plain = one.compression == 1 and one.fillorder == 1 and not one.is_tiled and one.samplesperpixel == 1
    if not plain or bits > 16:
        raise ValueError(f"{bits} bits, compressed, tiled or of several samples")
    strips = zip(one.dataoffsets, one.databytecounts, strict=True)
    packed = np.frombuffer(b"".join(data[at : at + count] for at, count in strips), np.uint8)
    row = (width * bits + 7) // 8
    if len(packed) < height * row:
        raise ValueError(f"{len(packed)} of {height * row} bytes")
    single = np.unpackbits(packed[: height * row].reshape(height, row), axis=1)[:, : width * bits]
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.uint16)
    return (single.reshape(height, width, bits) * weights).sum(axis=2, dtype=np.uint16)


def full(found: Page, kind: np.dtype) -> tuple[float, float] | None:
    """What the samples can hold; None for fractions."""
    if found.format == UNSIGNED:
        return 0.0, float(2**found.bits - 1)
    return None if found.format == FLOAT else (float(np.iinfo(kind).min), float(np.iinfo(kind).max))
