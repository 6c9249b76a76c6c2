"""What a file really is that is no image, by its first bytes alone."""

from __future__ import annotations

import pytest

from transfusion.images.file_kind import describe, is_dicom

ELEMENT = b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100"
"""The first element of a DICOM file without preamble."""


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (bytes(512), "nothing but zero bytes"),
        (b"\x00", "nothing but zero bytes"),
        (b"", "no image"),
        (b"\x01\x02\x03 not text", "no image"),
        (b"abc" + b"\xff" * 100, "no image"),
        (b"file\tperson\r\n\x0cim0.png\tp0", "a text ('file person im0.png p0')"),
        ("naïve: é".encode()[:-1], "a text ('naïve: \ufffd')"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html>", "a web page"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x5c\x01\x00\x00" + bytes(340) + b"n+1\x00", "a NIfTI volume"),
        (b"\x00\x00\x01\x5c" + bytes(340) + bytes(4), "a NIfTI volume"),
        (b"\x5c\x01\x00\x00" + bytes(340) + b"none", "no image"),
        (b"\x1c\x02\x00\x00n+2\x00", "a NIfTI volume"),
        (b"\x00\x00\x00\x18ftypheic", "HEIF (HEIC), or a damaged AVIF"),
        (b"./a".ljust(257, b"\x00") + b"ustar", "a tar archive"),
        (ELEMENT + bytes(200), "DICOM"),
    ],
)
def test_what_begins_so(head: bytes, name: str) -> None:
    assert describe(head)[0] == name


def test_dicom_with_its_preamble_and_without() -> None:
    assert is_dicom(bytes(128) + b"DICM")
    assert not is_dicom(bytes(128) + b"DICN")
    assert not is_dicom(bytes(127) + b"DICM" + bytes(10))
    assert is_dicom(ELEMENT.ljust(132, b"\x00"))
    assert is_dicom(b"\x02\x00\x00\x00UL".ljust(132, b"\x00"))
    assert not is_dicom(ELEMENT.ljust(131, b"\x00"))
    assert not is_dicom(b"\x08\x00\x05\x01".ljust(132, b"\x00"))
