"""How each file format, depth and colour is read into a `Picture`; docs/images.md has the same as a table."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFile

from transfusion.images import file_kind, jpeg, png, tiff
from transfusion.images.picture import (
    ORIENTATION,
    TURNED,
    WHITE_ZERO,
    Array,
    Picture,
    PictureError,
    Wanted,
    check_frames,
    check_size,
    deep,
    flat,
)

Image.init()

FORMATS = tuple(
    name
    for name in (
        "JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "DIB", "PPM", "JPEG2000", "AVIF", "PCX"
    )
    if name in Image.OPEN
)  # fmt: skip
"""Pillow's names of the formats that are read. Others, such as PostScript, start programs or guess."""


def read(data: bytes, wanted: Wanted) -> Picture:
    """The picture in the bytes of a file.

    Raises:
        PictureError: a file that is not read, and why.
        OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError: broken data.
    """
    head = data[:512]
    if file_kind.is_dicom(head):
        from transfusion.images import dicom  # pydicom is an extra

        return dicom.read(data, wanted.frame, wanted.window)
    if head.startswith(tiff.SIGNATURES):
        return _read_tiff(data, wanted)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise PictureError(*file_kind.describe(head)) from None
    with image:
        check_size(*image.size)
        _choose_frame(image, wanted.frame)
        if image.format == "PNG" and head[24] == 16:
            return _read_deep_png(data, image)
        if image.format in ("JPEG", "MPO"):
            _load_jpeg(data, image, wanted)
        if image.format == "PPM" and image.mode == "RGB" and (most := _largest_sample(data)) > 255:
            return _deep_ppm(data, image, most)
        image.load()
        if image.format == "PNG":
            _check_png_rows(data, image)
        if image.mode[0] in "IF":
            return _deep(data, image)
        if image.format == "JPEG2000" and _largest_of_jpeg2000(data) > 255:
            found = f"JPEG 2000 of more than 8 bits in {image.mode}, of which 8 would be read"
            raise PictureError(found, "store it in gray, or as a TIFF of 16 bits")
        return flat(image)


def _choose_frame(image: Image.Image, wanted: int | None) -> None:
    """Goes to the frame. Of a JPEG with further pictures (MPO) the first is meant, others are previews."""
    if image.format != "MPO" and getattr(image, "is_animated", False):
        image.seek(check_frames(getattr(image, "n_frames", 1), wanted) - 1)


def _load_jpeg(data: bytes, image: Image.Image, wanted: Wanted) -> None:
    """Loads it, at half its size or less where twice the pixels needed remain, and checks it for gaps."""
    if image.mode == "CMYK" and "adobe" not in image.info:
        found = "a JPEG in CMYK without Adobe's marker, which would say whether zero is ink"
        raise PictureError(found, "store it in gray or RGB")

    def load(one: Image.Image) -> Image.Image:
        one.draft("L" if wanted.channels == 1 else "RGB", (2 * wanted.size, 2 * wanted.size))
        one.load()
        return one

    def decode(other: bytes) -> Array:
        with Image.open(io.BytesIO(other), formats=("JPEG",)) as one:
            return np.asarray(load(one))

    load(image)
    last = image.getpixel((image.width - 1, image.height - 1))
    if jpeg.may_be_cut(data, jpeg.frame(data), last) and (
        cut := jpeg.why_cut(data, np.asarray(image), decode)
    ):
        raise PictureError(cut, "fetch the file again: it was cut off")


def _check_png_rows(data: bytes, image: Image.Image) -> None:
    """Refuses a PNG whose data end before its last row, which would be black."""
    if np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any():
        return
    channels = {png.COLOUR: 3, png.GRAY_ALPHA: 2, png.COLOUR_ALPHA: 4}.get(data[25], 1)
    needed = image.height * (1 + (image.width * channels * data[24] + 7) // 8)
    if data[28] == 0 and len(_inflated(data, needed)) < needed:
        raise PictureError("a PNG that lacks some of its rows", "fetch the file again: it was cut off")


def _inflated(data: bytes, most: int) -> bytes:
    """What the data chunks of a PNG hold, at most so much."""
    at, parts = 8, []
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    return zlib.decompressobj().decompress(b"".join(parts), most)


def _read_deep_png(data: bytes, image: Image.Image) -> Picture:
    header = png.header(data)
    if header.colour == png.GRAY:
        image.load()
        samples = np.asarray(image).astype(np.uint16)
        _check_png_rows(data, Image.fromarray((samples > 0).astype(np.uint8)))
        key = image.info.get("transparency")
        if isinstance(key, int):
            samples = np.where(samples == key, 0, samples).astype(np.uint16)
    else:
        if "transparency" in image.info:
            raise PictureError("a PNG of 16-bit colour with one transparent colour", "store it without that")
        image.load()
        samples = png.deep_samples(data)
    orientation = image.getexif().get(ORIENTATION, 1)
    alpha = None
    if header.colour in (png.GRAY_ALPHA, png.COLOUR_ALPHA):
        samples, alpha = samples[..., :-1], samples[..., -1] / 65535.0
        samples = samples[..., 0] if samples.shape[-1] == 1 else samples
    stated = None
    if header.significant and header.significant > 8:
        samples, high = png.used_bits(samples, header.significant)
        stated = (0.0, high)
    return deep(Picture(values=samples, stated=stated, full=(0.0, 65535.0)), orientation, alpha)


def _deep(data: bytes, image: Image.Image) -> Picture:
    """A loaded image of more than 8 bits of a format that is neither PNG nor TIFF."""
    values = np.asarray(image)
    stated = full = None
    if image.mode != "F":
        values = values.astype(np.int64).clip(0, 65535).astype(np.uint16)
        most = _largest_sample(data) if image.format == "PPM" else _largest_of_jpeg2000(data)
        full = (0.0, 65535.0)
        if most < 65535:
            values = np.rint(values.astype(np.float64) * most / 65535).astype(np.uint16)
            stated = (0.0, float(most))
    orientation = image.getexif().get(ORIENTATION, 1)
    return deep(Picture(values=values, stated=stated, full=full), orientation, None)


def _deep_ppm(data: bytes, image: ImageFile.ImageFile, most: int) -> Picture:
    """A PPM of more than 8 bits, of which Pillow keeps 8."""
    if not data.startswith(b"P6"):
        raise PictureError("a PPM in text of more than 8 bits", "store it as a 16-bit PNG")
    start, count = image.tile[0].offset, image.height * image.width * 3
    values = np.frombuffer(data, ">u2", count, start).reshape(image.height, image.width, 3)
    stated = (0.0, float(most)) if most < 65535 else None
    return Picture(values=values.astype(np.uint16), stated=stated, full=(0.0, 65535.0))


def _largest_sample(data: bytes) -> int:
    """What a PGM or PPM names as its largest value, which Pillow scales to 65535 or 255; 65535 at most."""
    words = [word for line in data[:1024].split(b"\n") for word in line.split(b"#")[0].split()]
    return int(words[3]) if words[0] in (b"P2", b"P5", b"P3", b"P6") and len(words) > 3 else 65535


def _largest_of_jpeg2000(data: bytes) -> int:
    """The largest value by the bits that it states, which Pillow scales to 65535."""
    start = data.find(b"\xff\x4f\xff\x51")
    return 2 ** ((data[start + 42] & 127) + 1) - 1 if 0 <= start < len(data) - 42 else 65535


def _read_tiff(data: bytes, wanted: Wanted) -> Picture:
    found = tiff.page(data)
    if found.pages > 1:
        found = tiff.page(data, check_frames(found.pages, wanted.frame))
    check_size(found.width, found.height)
    if found.slices > 1:
        raise PictureError(f"a volume of {found.slices} slices", "write each slice as a file")
    if found.several_kinds:
        advice = "write the one that is meant as a file, or three as RGB"
        raise PictureError(f"a gray TIFF with {found.samples} samples of every pixel", advice)
    notes = (WHITE_ZERO,) if found.photometric == tiff.WHITE_IS_ZERO else ()
    if not found.deep and (picture := _flat_tiff(data, found)) is not None:
        turned = (TURNED,) if found.orientation not in (0, 1) and TURNED not in picture.notes else ()
        return replace(picture, notes=(*picture.notes, *turned, *notes))
    samples, orientation = _deep_tiff(data, found)
    alpha = None
    if found.samples > 1:
        if found.alpha:
            most = tiff.full(found, samples.dtype)
            alpha = samples[..., -1] / (most[1] if most else 1.0)
        colours = 3 if found.photometric == tiff.RGB else 1
        samples = samples[..., :colours] if colours == 3 else samples[..., 0]
        if found.premultiplied:
            alpha = np.ones_like(alpha) if alpha is not None and alpha.max() >= 1 else alpha
    picture = Picture(
        values=samples,
        stated=found.stated,
        full=tiff.full(found, samples.dtype),
        inverted=found.photometric == tiff.WHITE_IS_ZERO,
        notes=notes,
    )
    return deep(picture, orientation, alpha)


def _flat_tiff(data: bytes, found: tiff.Page) -> Picture | None:
    """What Pillow reads of 8 bits or fewer; None where it does not know the kind."""
    try:
        image = Image.open(io.BytesIO(data), formats=("TIFF",))
    except Image.UnidentifiedImageError:
        return None
    with image:
        image.seek(found.index)
        image.load()
        return flat(image)


def _deep_tiff(data: bytes, found: tiff.Page) -> tuple[Array, int]:
    """Samples and what is left of the orientation: by Pillow what only it can unpack, and reads rightly."""
    kinds = {(12, tiff.UNSIGNED), (16, tiff.UNSIGNED), (16, tiff.SIGNED), (32, tiff.SIGNED), (32, tiff.FLOAT)}
    reason = ""
    try:
        return tiff.samples(data, found), found.orientation
    except (ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
    advice = "convert it to 8 or 16 bits, gray or RGB, without compression or with deflate"
    if found.samples != 1 or (found.bits, found.format) not in kinds or found.photometric > 1:
        raise PictureError(f"a TIFF that is not read ({reason or f'{found.bits} bits'})", advice)
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        image.seek(found.index)
        image.load()
        kind = {tiff.UNSIGNED: np.uint16, tiff.FLOAT: np.float32}.get(found.format, np.int32)
        return np.asarray(image).astype(kind), image.getexif().get(ORIENTATION, 1)
