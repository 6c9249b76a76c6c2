"""What the chunks of a PNG say of its samples (PNG specification, third edition)."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

Array = np.ndarray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, COLOUR, GRAY_ALPHA, COLOUR_ALPHA = 0, 2, 4, 6


@dataclass(frozen=True)
class Header:
    """Bits of a sample, colour type, significant bits (`sBIT`, the most of all channels) or None."""

    depth: int
    colour: int
    significant: int | None


def header(data: bytes) -> Header:
    """What stands before the pixels; `data` begins with the signature and IHDR (33 bytes at least)."""
    depth, colour = data[24], data[25]
    at, significant = 8, None
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"IDAT":
            break
        if kind == b"sBIT" and length:
            significant = max(data[at + 8 : at + 8 + length])
        at += 12 + length
    return Header(depth, colour, significant if significant and significant < depth else None)


def has_end(data: bytes) -> bool:
    """Whether the chunks run to IEND; bytes behind it do not matter."""
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4])
    return False


def deep_samples(data: bytes) -> Array:
    """uint16 [H, W, channels] of a PNG of 16 bits in colour or with alpha.

    Pillow keeps one byte of every sample: read as if they were in the other order, it keeps the other.
    """
    if data[25] == GRAY_ALPHA:
        planes = _plane(_renamed(data), "RGBA")
        return planes[..., 0::2].astype(np.uint16) << 8 | planes[..., 1::2]
    mode = "RGB" if data[25] == COLOUR else "RGBA"
    high, low = (_plane(data, f"{mode};16{order}") for order in "BL")
    return high.astype(np.uint16) << 8 | low


def _plane(data: bytes, layout: str) -> Array:
    """The pixels [H, W, channels] in a layout of Pillow's."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.tile = [tile._replace(args=layout) for tile in image.tile]
        return np.asarray(image)


def _renamed(data: bytes) -> bytes:
    """Gray and alpha of 16 bits as a PNG of four channels of 8 bits, which lies in the file just so."""
    kind = b"IHDR" + data[16:24] + bytes([8, COLOUR_ALPHA]) + data[26:29]
    return data[:12] + kind + zlib.crc32(kind).to_bytes(4) + data[33:]


def used_bits(samples: Array, significant: int) -> tuple[Array, float]:
    """Samples of 16 bits of which `significant` count, in the source's own values, and their largest.

    By the specification they are scaled to 16 bits; some writers leave them as they are.
    """
    shift = 16 - significant
    if int(samples.max()) >= 2**significant or not (samples & (2**shift - 1)).any():
        samples = samples >> shift
    return samples, float(2**significant - 1)
