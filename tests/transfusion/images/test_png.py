"""What the chunks of a PNG say of its samples, chunk by chunk."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from transfusion.images import png


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def image(*chunks: bytes, depth: int = 16, colour: int = png.GRAY) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, depth, colour, 0, 0, 0))
    return png.SIGNATURE + head + b"".join(chunks)


DATA = chunk(b"IDAT", zlib.compress(bytes(10)))
END = chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("chunks", "significant"),
    [
        ((chunk(b"sBIT", b"\x0c"), DATA, END), 12),
        ((chunk(b"gAMA", bytes(4)), chunk(b"sBIT", b"\x0a\x0c\x0b"), DATA, END), 12),
        ((DATA, chunk(b"sBIT", b"\x0c"), END), None),
        ((chunk(b"sBIT", b"\x10"), DATA, END), None),
        ((chunk(b"sBIT", b""), DATA, END), None),
        ((DATA, END), None),
        ((), None),
    ],
)
def test_bits_that_count(chunks: tuple[bytes, ...], significant: int | None) -> None:
    """The most of all channels, as `sBIT` says before the data; all bits are as good as none said."""
    assert png.header(image(*chunks)) == png.Header(16, png.GRAY, significant)


def test_the_end_is_that_of_the_chunks_and_no_word_in_them() -> None:
    assert png.has_end(image(DATA, END))
    assert png.has_end(image(DATA, END) + b"behind it")
    assert not png.has_end(image(DATA))
    assert not png.has_end(image(chunk(b"tEXt", b"IEND" + bytes(20)), DATA))
    assert not png.has_end(image(DATA, END)[:-6])


def test_samples_of_twelve_bits_are_the_sources_own_however_they_are_written() -> None:
    """As they are, or scaled to sixteen bits as the standard asks: by repeating the highest four."""
    values = np.array([[0, 1, 5], [1_000, 2_048, 4_095]], dtype=np.uint16)
    for written in (values, values << 4 | values >> 8, values << 4):
        samples, largest = png.used_bits(written, 12)
        assert samples.tolist() == values.tolist()
        assert largest == 4_095.0
