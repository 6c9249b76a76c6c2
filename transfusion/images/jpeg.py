"""Markers of JPEG files (ITU-T T.81, annex B): where one ends, and whether all of it is there."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

Array = np.ndarray

SOI, EOI = b"\xff\xd8", b"\xff\xd9"

FRAMES, PROGRESSIVE = (0xC0, 0xC1, 0xC2), 0xC2
"""Markers of the frames that are decoded here (baseline, extended, progressive; all in Huffman code)."""

OTHER_FRAMES = (*range(0xC3, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
SCAN, APPLICATION_1 = 0xDA, 0xE1

BEHIND_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The marker that ends entropy-coded data: none that is stuffed, restarts or fills."""

FILLING = bytes(range(1, 200))
"""Data that a decoder takes for pixels where some are missing, and skips where none are."""

GRAY = 128
"""What decoders show where a file ends too early (in colours that are stored inverted, 127)."""


@dataclass(frozen=True)
class Scan:
    """One scan: components, first and last coefficient, successive approximation from bit `high` to `low`."""

    components: tuple[int, ...]
    first: int
    last: int
    low: int


@dataclass(frozen=True)
class Structure:
    """What the markers of a whole file say.

    Attributes:
        frame: marker of its frame.
        precision: bits of a sample.
        components: their identifiers.
        scans: in order.
        end: where the entropy-coded data ends, that is where EOI stands or should.
        ended: whether EOI stands there.
    """

    frame: int
    precision: int
    components: tuple[int, ...]
    scans: tuple[Scan, ...]
    end: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """Marker, bits of a sample, size and components."""

    marker: int
    bits: int
    width: int
    height: int
    components: int


def frame(data: bytes, metadata: bool = True) -> Frame | None:
    """What the frame header says; None where none is found.

    Args:
        data: the file, or its start.
        metadata: whether there may be some that turn the image (EXIF) before it.
    """
    at = 2
    while data[:2] == SOI and at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in FRAMES:
            precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return Frame(marker, precision, width, height, components)
        if (
            marker in OTHER_FRAMES
            or marker == SCAN
            or length < 2
            or (marker == APPLICATION_1 and not metadata)
        ):
            return None
        at += 2 + length
    return None


def structure(data: bytes) -> Structure | None:
    """Frame, scans and end; None where the markers make no sense or no scan begins."""
    at, kind, precision = 2, 0, 0
    components: tuple[int, ...] = ()
    scans: list[Scan] = []
    while data[:2] == SOI and at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xFF:
            at += 1
            continue
        segment = data[at + 4 : at + 2 + length]
        if marker in (*FRAMES, *OTHER_FRAMES) and len(segment) >= 6:
            kind, precision = marker, segment[0]
            components = tuple(segment[6 : 6 + 3 * segment[5] : 3])
        at += 2 + max(length, 2)
        if marker != SCAN:
            continue
        if len(segment) < 4 or len(segment) < 4 + 2 * segment[0]:
            break
        named = tuple(segment[1 : 1 + 2 * segment[0] : 2])
        first, last, approximation = segment[1 + 2 * segment[0] :][:3]
        scans.append(Scan(named, first, last, approximation & 15))
        behind = BEHIND_DATA.search(data, at)
        end = behind.start() if behind else len(data)
        if behind is None or data[end : end + 2] == EOI:
            return Structure(kind, precision, components, tuple(scans), end, behind is not None)
        at = end
    return None


def all_scans(found: Structure) -> bool:
    """Whether every component, and in a progressive file every bit of every coefficient, has its scan."""
    if found.frame != PROGRESSIVE:
        return set(found.components) <= {name for scan in found.scans for name in scan.components}
    final = np.full((256, 64), 255)
    for scan in found.scans:
        final[list(scan.components), scan.first : scan.last + 1] = scan.low
    return bool((final[list(found.components)] == 0).all())


def may_be_cut(data: bytes, found: Frame | None, last: float | tuple[int, ...] | None) -> bool:
    """Whether to look closer: decoders paint what is missing gray, but not in files of several scans.

    Args:
        data: the file.
        found: its frame.
        last: its last pixel, lower right.
    """
    if found is None or found.marker == PROGRESSIVE:
        return True
    if found.components > 1 and data.count(b"\xff\xda") > 1:
        return True
    values = last if isinstance(last, tuple) else (last or 0,)
    return all(GRAY - 1 <= value <= GRAY for value in values)


def cut(data: bytes) -> str:
    """Why a JPEG that Pillow decodes is not whole, else nothing."""

    def decode(other: bytes) -> Array:
        with Image.open(io.BytesIO(other), formats=("JPEG",)) as image:
            return np.asarray(image)

    return why_cut(data, decode(data), decode)


def why_cut(data: bytes, pixels: Array, decode: Callable[[bytes], Array]) -> str:
    """Why a JPEG that could be decoded is not whole, else nothing.

    Data that are put before the end marker change nothing in a whole file; in others they are taken for what
    is missing.

    Args:
        data: the file.
        pixels: its image, [H, W] or [H, W, C].
        decode: gives the image of other bytes in the same way.
    """
    found = structure(data)
    if found is None or found.frame not in FRAMES:
        return ""
    if not all_scans(found):
        return "a JPEG that lacks some of its scans"
    if np.array_equal(decode(data[: found.end] + FILLING + EOI), pixels):
        return ""
    return "a JPEG that lacks a part of its data, though it has an end"
