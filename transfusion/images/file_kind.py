"""What a file that is no image really is, by its first bytes, and what to do about it."""

from __future__ import annotations

TAR_MAGIC = 257
"""Offset of the word `ustar`."""

DICOM_MAGIC = 128
"""Offset of the word `DICM`, behind the preamble (DICOM PS3.10, 7.1)."""

SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    (b"\x1f\x8b", "a gzip archive", "unpack it (NIfTI volumes, .nii.gz: write each slice as a 16-bit PNG)"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"BZh", "a bzip2 archive", "unpack it"),
    (b"\xfd7zXZ", "an xz archive", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it"),
    (b"\x89HDF", "an HDF5 file", "write its arrays as 16-bit PNG"),
    (b"\x93NUMPY", "a NumPy array", "write it as a 16-bit PNG"),
    (b"NRRD", "a NRRD volume", "write each slice as a 16-bit PNG"),
    (b"ObjectType =", "a MetaImage header", "write each slice as a 16-bit PNG"),
    (b"PAR1", "a Parquet file", "write its images as files"),
    (b"%PDF", "a PDF", "write its pages as PNG"),
    (b"%!PS", "PostScript", "write it as PNG"),
    (b"8BPS", "a Photoshop file", "write it as PNG"),
    (b"RIFX", "a RIFF file", "write it as PNG"),
    (b"SIMPLE  =", "a FITS file", "write its image as a 16-bit PNG"),
    (b"\xff\x0a", "JPEG XL", "write it as PNG"),
    (b"\xff\xd8", "a JPEG of a kind that is not read (such as lossless, or JPEG-LS)", "write it as PNG"),
    (b"<svg", "SVG", "write it as PNG"),
    (b"\x80\x02", "a Python pickle", "write its arrays as 16-bit PNG"),
)
"""First bytes, what they begin, and what to do."""

HTML = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")
CONTAINERS = {b"ftyp": "HEIF (HEIC), or a damaged AVIF", b"JXL ": "JPEG XL"}
"""Words at the fourth byte of files of boxes (AVIF and JPEG 2000, which are read, never come here whole)."""

NIFTI_SIZES = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c")
NIFTI_MAGIC = (b"n+1\x00", b"ni1\x00")


def is_dicom(head: bytes) -> bool:
    """Whether these first bytes of a file (132 at least) are those of DICOM, with its preamble or without."""
    bare = head.startswith((b"\x08\x00", b"\x02\x00\x00\x00UL")) and head[3:4] == b"\x00" and len(head) > 131
    return bare or head[DICOM_MAGIC : DICOM_MAGIC + 4] == b"DICM"


def describe(head: bytes) -> tuple[str, str]:
    """(What begins with `head`, what to do about it); `head` are 512 bytes, or all of a shorter file."""
    for signature, name, advice in SIGNATURES:
        if head.startswith(signature):
            return name, advice
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(HTML):
        return "a web page", "fetch the file again, signed in where that is asked for"
    first = head[:4] in NIFTI_SIZES and head[344:348] in (*NIFTI_MAGIC, bytes(4))
    if first or head[4:7] in (b"n+2", b"ni2"):
        return "a NIfTI volume", "write each slice as a 16-bit PNG"
    if (container := CONTAINERS.get(head[4:8])) is not None:
        return container, "write it as PNG, or fetch the file again"
    if head[TAR_MAGIC : TAR_MAGIC + 5] == b"ustar":
        return "a tar archive", "unpack it"
    if is_dicom(head):
        return "DICOM", "see what is said of it"
    if head and not head.strip(b"\x00"):
        return "nothing but zero bytes", "fetch the file again: it was reserved but never written"
    if head and all(byte in b"\t\n\r\x0c" or byte >= 32 for byte in head):
        try:
            head[:-3].decode()
            words = " ".join(head.decode(errors="replace").split())
            return f"a text ({words[:40]!r})", "correct the path, or fetch the file again"
        except UnicodeDecodeError:
            pass
    return "no image", "write it as PNG, JPEG or TIFF, or drop its row"
