"""Every format and depth: the pixels that are trained are the picture that was drawn, never inverted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import Image

from transfusion.data.survey import survey
from transfusion.images import formats, tiff
from transfusion.images.decoding import ImageError, decode
from transfusion.images.formats import FORMATS
from transfusion.images.inspection import Look, look_at
from transfusion.images.picture import TRANSPARENT, PictureError, Wanted, flat
from transfusion.images.reading import Reading, parse

SIDE = 64
Write = Callable[[np.ndarray, Path], object]


def drawing(depth: int = 8, seed: int = 0) -> np.ndarray:
    """Two slopes and a bright corner, all levels from 0 to the largest of `depth` bits: int64 [64, 64]."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    shape = 0.75 * rows + 0.15 * columns + 0.1 * ((rows < 0.3) & (columns > 0.6 - 0.01 * seed))
    shape = (shape - shape.min()) / (shape.max() - shape.min())
    return np.rint(shape * (2**depth - 1)).astype(np.int64)


def pillow(mode: str = "L", **options: object) -> Write:
    return lambda picture, file: Image.fromarray(picture.astype(np.uint8)).convert(mode).save(file, **options)


def deep(kind: type, scale: float = 1, offset: float = 0, **options: object) -> Write:
    def write(picture: np.ndarray, file: Path) -> None:
        values = (picture * scale + offset).astype(kind)
        if "tiff_" in str(options.get("compression")) or file.suffix in (".png", ".pgm", ".jp2"):
            Image.fromarray(values).save(file, **options)
        else:
            tifffile.imwrite(file, values, **options)

    return write


def rgb(kind: type, channels: int, **options: object) -> Write:
    def write(picture: np.ndarray, file: Path) -> None:
        largest = np.iinfo(kind).max
        stack = [picture] * (channels - 1 + channels % 2)
        stack += [np.full_like(picture, largest)] * (channels - len(stack))
        pixels = np.stack(stack, axis=2).astype(kind)
        if file.suffix == ".png":
            imageio.imwrite(file, pixels) if kind is np.uint8 else _deep_png(file, pixels)
        else:
            tifffile.imwrite(file, pixels, **options)

    return write


def _deep_png(file: Path, pixels: np.ndarray, extra: bytes = b"") -> None:
    """A PNG of 16 bits in any colour type, by the specification: filter 0 on every row."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    start = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
    data = chunk(b"IHDR", start) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def significant(bits: int, scaled: bool) -> Write:
    """12 bits in a PNG that says so (sBIT), with the values as they are, or scaled as the standard asks."""

    def write(picture: np.ndarray, file: Path) -> None:
        import zlib

        values = (picture << (16 - bits)) | (picture >> (2 * bits - 16)) if scaled else picture
        chunk = b"\0\0\0\1sBIT" + bytes([bits])
        _deep_png(file, values, chunk + zlib.crc32(chunk[4:]).to_bytes(4))

    return write


def few_bits(bits: int) -> Write:
    """A gray PNG of 1, 2 or 4 bits."""

    def write(picture: np.ndarray, file: Path) -> None:
        import struct
        import zlib

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        flat = np.unpackbits(picture.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :]
        rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(flat.reshape(SIDE, -1), axis=1))
        start = struct.pack(">IIBBBBB", SIDE, SIDE, bits, 0, 0, 0, 0)
        data = chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + data)

    return write


def packed(bits: int, white_is_zero: bool = False, order: str = "<") -> Write:
    """A TIFF of samples that lie in the file without gaps, highest bit first (TIFF 6.0, section 8)."""

    def write(picture: np.ndarray, file: Path) -> None:
        import struct

        stored = 2**bits - 1 - picture if white_is_zero else picture
        rows = np.unpackbits(stored.astype(">u2").view(np.uint8).reshape(SIDE, SIDE, 2), axis=2)
        data = np.packbits(rows[..., 16 - bits :].reshape(SIDE, -1), axis=1).tobytes()
        tags = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: int(not white_is_zero)}
        tags |= {273: 0, 277: 1, 278: SIDE, 279: len(data)}
        tags[273] = 8 + 2 + 12 * len(tags) + 4
        entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
        start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
        file.write_bytes(start + entries + bytes(4) + data)

    return write


def ppm(largest: int) -> Write:
    start = f"P6 {SIDE} {SIDE} {largest}\n".encode()
    return lambda p, f: f.write_bytes(start + np.stack([p] * 3, axis=2).astype(">u2").tobytes())


def white_zero(inner: Write) -> Write:
    return lambda picture, file: inner(picture.max() - picture, file)


def lab(picture: np.ndarray, file: Path) -> None:
    from PIL import ImageCms

    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = Image.fromarray(picture.astype(np.uint8)).convert("RGB")
    ImageCms.profileToProfile(image, *spaces, outputMode="LAB").save(file)


KINDS: dict[str, tuple[int, str, Write]] = {
    "png 1": (1, "png", few_bits(1)),
    "png 2": (2, "png", few_bits(2)),
    "png 4": (4, "png", few_bits(4)),
    "png 8": (8, "png", pillow()),
    "png palette": (8, "png", lambda p, f: _palette(p).save(f)),
    "png gray with alpha": (8, "png", pillow("LA")),
    "png rgba": (8, "png", pillow("RGBA")),
    "png 16": (16, "png", deep(np.uint16)),
    "png 12 in 16": (12, "png", deep(np.uint16)),
    "png 10 in 16": (10, "png", deep(np.uint16)),
    "png 8 in 16": (8, "png", deep(np.uint16)),
    "png 12 said": (12, "png", significant(12, scaled=False)),
    "png 12 said and scaled": (12, "png", significant(12, scaled=True)),
    "png rgb 16": (16, "png", rgb(np.uint16, 3)),
    "png rgb 12 in 16": (12, "png", rgb(np.uint16, 3)),
    "png gray with alpha 16": (16, "png", rgb(np.uint16, 2)),
    "png rgba 16": (16, "png", rgb(np.uint16, 4)),
    "tiff 8": (8, "tif", pillow()),
    "tiff 1 bit": (1, "tif", lambda p, f: Image.fromarray(p > 0).save(f, compression="group4")),
    "tiff 8 lzw": (8, "tif", pillow(compression="tiff_lzw")),
    "tiff 8 jpeg": (8, "tif", pillow(compression="jpeg", quality=95)),
    "tiff 8 white is zero": (8, "tif", white_zero(deep(np.uint8, photometric="miniswhite"))),
    "tiff 16 white is zero": (16, "tif", white_zero(deep(np.uint16, photometric="miniswhite"))),
    "tiff 12 in 16 white is zero": (12, "tif", white_zero(deep(np.uint16, photometric="miniswhite"))),
    "tiff float white is zero": (8, "tif", white_zero(deep(np.float32, 1 / 255, photometric="miniswhite"))),
    "tiff 16": (16, "tif", deep(np.uint16)),
    "tiff 16 big-endian": (16, "tif", deep(np.uint16, byteorder=">")),
    "tiff 12 in 16 big-endian": (12, "tif", deep(np.uint16, byteorder=">")),
    "tiff 12 in 16": (12, "tif", deep(np.uint16)),
    "tiff 16 deflate": (12, "tif", deep(np.uint16, compression="zlib", predictor=True)),
    "tiff 16 lzw": (12, "tif", deep(np.uint16, compression="tiff_lzw")),
    "tiff 16 with its largest": (12, "tif", deep(np.uint16, extratags=[(341, 3, 1, 4095, True)])),
    "tiff int16 CT numbers": (12, "tif", deep(np.int16, offset=-1024)),
    "tiff int32": (12, "tif", deep(np.int32)),
    "tiff int32 CT numbers": (12, "tif", deep(np.int32, offset=-1024)),
    "tiff uint32": (16, "tif", deep(np.uint32)),
    "tiff uint32 large": (16, "tif", deep(np.uint32, scale=65537)),
    "tiff int8": (8, "tif", deep(np.int8, offset=-128)),
    "tiff float 0 to 1": (12, "tif", deep(np.float32, 1 / 4095)),
    "tiff float 0 to 4095": (12, "tif", deep(np.float32)),
    "tiff float 64 CT numbers": (12, "tif", deep(np.float64, offset=-1024.5)),
    "tiff rgb 8": (8, "tif", rgb(np.uint8, 3, photometric="rgb")),
    "tiff rgb 16": (16, "tif", rgb(np.uint16, 3, photometric="rgb")),
    "tiff rgb 12 in 16": (12, "tif", rgb(np.uint16, 3, photometric="rgb")),
    "tiff rgba 16": (16, "tif", rgb(np.uint16, 4, photometric="rgb", extrasamples=["unassalpha"])),
    "tiff tiled": (12, "tif", deep(np.uint16, tile=(16, 16))),
    "tiff big": (16, "tif", deep(np.uint16, bigtiff=True)),
    "tiff lab": (8, "tif", lab),
    "tiff cmyk": (8, "tif", pillow("CMYK")),
    "jpeg gray": (8, "jpg", pillow(quality=95)),
    "jpeg rgb": (8, "jpg", pillow("RGB", quality=95)),
    "jpeg cmyk": (8, "jpg", pillow("CMYK", quality=95)),
    "jpeg progressive": (8, "jpg", pillow(quality=95, progressive=True)),
    "jpeg rgb progressive": (8, "jpg", pillow("RGB", quality=95, progressive=True)),
    "jpeg 2000": (8, "jp2", pillow()),
    "jpeg 2000 16": (16, "jp2", deep(np.uint16)),
    "webp": (8, "webp", pillow("RGB", quality=95)),
    "webp lossless": (8, "webp", pillow("RGBA", lossless=True)),
    "bmp": (8, "bmp", pillow()),
    "bmp rgb": (8, "bmp", pillow("RGB")),
    "gif": (8, "gif", pillow()),
    "pgm": (8, "pgm", pillow()),
    "pgm 16": (16, "pgm", deep(np.uint16)),
    "pgm 12 in 16": (12, "pgm", deep(np.uint16)),
    "pgm 12 said": (12, "pgm", lambda p, f: f.write_bytes(b"P5 64 64 4095\n" + p.astype(">u2").tobytes())),
    "png 10 said": (10, "png", significant(10, scaled=False)),
    "png 10 said and scaled": (10, "png", significant(10, scaled=True)),
    "png 14 said": (14, "png", significant(14, scaled=False)),
    "png 14 said and scaled": (14, "png", significant(14, scaled=True)),
    "tiff 6 packed": (6, "tif", packed(6)),
    "tiff 10 packed": (10, "tif", packed(10)),
    "tiff 12 packed": (12, "tif", packed(12)),
    "tiff 12 packed big-endian": (12, "tif", packed(12, order=">")),
    "tiff 12 packed white is zero": (12, "tif", packed(12, white_is_zero=True)),
    "tiff 14 packed white is zero": (14, "tif", packed(14, white_is_zero=True, order=">")),
    "tiff 8 big big-endian": (8, "tif", deep(np.uint8, bigtiff=True, byteorder=">")),
    "tiff 12 in 16 from 31744": (12, "tif", deep(np.uint16, offset=31744)),
    "tiff dark white is zero": (12, "tif", deep(np.uint16, scale=-1, offset=65535, photometric="miniswhite")),
    "tiff float 12 of 16 bits": (12, "tif", deep(np.float32, 1 / 65535)),
    "ppm 12 in 16": (12, "ppm", ppm(65535)),
    "ppm 12 said": (12, "ppm", ppm(4095)),
    "mpo": (8, "mpo", pillow("RGB", quality=95, save_all=True, append_images=[Image.new("RGB", (9, 9))])),
    "pfm": (12, "pfm", lambda p, f: f.write_bytes(b"Pf\n64 64\n-1.0\n" + p[::-1].astype("<f4").tobytes())),
}

if "AVIF" in FORMATS:
    KINDS["avif"] = (8, "avif", pillow("RGB", quality=95))


def _palette(picture: np.ndarray) -> Image.Image:
    """Indices that run against the grays that they stand for."""
    indices = (255 - picture).astype(np.uint8)
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette([gray for level in range(255, -1, -1) for gray in (level, level, level)])
    return image


def read(folder: Path, names: list[str], asked: Reading | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pixels as a sweep reads them, and what its plan says."""
    looks = look_at(folder, names)
    assert [look.problem for look in looks if look.problem] == []
    found = survey(folder, names, looks, asked or Reading())
    if problems := (*found.problems, *found.empty):
        raise ImageError(problems)
    return decode([folder / name for name in names], SIDE, 1, found.reading), found.notes


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_the_picture_that_was_drawn(tmp_path: Path, kind: str) -> None:
    depth, suffix, write = KINDS[kind]
    drawn = [drawing(depth, seed) for seed in (0, 20)]
    names = [f"{number}.{suffix}" for number in range(2)]
    for picture, name in zip(drawn, names, strict=True):
        write(picture, tmp_path / name)
    pixels, _ = read(tmp_path, names)
    for picture, found in zip(drawn, pixels, strict=True):
        assert np.corrcoef(picture.ravel(), found.ravel())[0, 1] > 0.99
        levels = len(np.unique(picture * 255 // (2**depth - 1)))
        assert len(np.unique(found)) >= min(200, levels), "gray levels were lost"
        assert found.max() > 240
        assert found.min() < 15


@pytest.mark.parametrize("depths", [(8, 12), (8, 16), (8, 10)])
def test_mixed_depths_are_equally_bright(tmp_path: Path, depths: tuple[int, int]) -> None:
    eight = drawing(8)
    Image.fromarray(eight.astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray((eight << (depths[1] - 8)).astype(np.uint16)).save(tmp_path / "b.png")
    (one, two), notes = read(tmp_path, ["a.png", "b.png"])
    assert np.abs(one.astype(int) - two).max() <= 1
    assert f"read as {depths[1]} bits" in "\n".join(notes)


def sideways(picture: np.ndarray, orientation: int) -> np.ndarray:
    """What is stored so that a viewer that follows `orientation` (EXIF 2.32, tag 0x0112) shows `picture`."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.T,
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].T,
        8: lambda p: np.rot90(p, -1),
    }[orientation](picture)


@pytest.mark.parametrize("suffix", ["jpg", "rgb.jpg", "png", "tif", "webp", "deep.png", "deep.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_followed(tmp_path: Path, suffix: str, orientation: int) -> None:
    picture = drawing()
    stored, file = sideways(picture, orientation), tmp_path / f"image.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    if suffix == "deep.tif":
        tag = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(file, (stored * 16).astype(np.uint16), extratags=tag)
    elif suffix == "deep.png":
        Image.fromarray((stored * 16).astype(np.uint16)).save(file, exif=exif)
    else:
        mode = "RGB" if suffix == "rgb.jpg" else "L"
        Image.fromarray(stored.astype(np.uint8)).convert(mode).save(file, exif=exif, quality=95)
    (found,), notes = read(tmp_path, [file.name])
    assert np.corrcoef(picture.ravel(), found.ravel())[0, 1] > 0.99
    assert any("orientation" in note for note in notes) == (orientation != 1)


def test_transparency_is_laid_over_black_and_said(tmp_path: Path) -> None:
    picture = drawing().astype(np.uint8)
    alpha = np.full_like(picture, 255)
    alpha[:8] = 0
    expected = np.where(alpha > 0, picture, 0)
    for name, pixels in {
        "la.png": np.stack([picture, alpha], 2),
        "rgba.png": np.stack([picture] * 3 + [alpha], 2),
        "rgba.tif": np.stack([picture] * 3 + [alpha], 2),
    }.items():
        Image.fromarray(pixels).save(tmp_path / name)
        (found,), notes = read(tmp_path, [name])
        np.testing.assert_array_equal(found, expected)
        assert "1 of 1 images partly transparent, laid over black" in notes
    deep_pixels = np.stack([picture, alpha], 2).astype(np.uint16) * 257
    _deep_png(tmp_path / "deep.png", deep_pixels)
    (found,), notes = read(tmp_path, ["deep.png"])
    np.testing.assert_array_equal(found, expected)
    assert any("transparent" in note for note in notes)


def refused(folder: Path, name: str, asked: Reading | None = None) -> str:
    with pytest.raises((ImageError, AssertionError)) as caught:
        read(folder, [name], asked)
    return str(caught.value)


def test_what_lies_in_the_alpha_channel_alone_is_refused(tmp_path: Path) -> None:
    drawn = np.zeros((SIDE, SIDE, 4), np.uint8)
    drawn[..., 3] = drawing() // 2
    Image.fromarray(drawn).save(tmp_path / "a.png")
    assert "transparent throughout" in refused(tmp_path, "a.png")


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_several_frames_are_refused_or_chosen(tmp_path: Path, suffix: str) -> None:
    first, second = (
        Image.fromarray(one) for one in (drawing().astype(np.uint8), 255 - drawing().astype(np.uint8))
    )
    file = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(file, save_all=True, append_images=[second], **options)
    assert "2 pages or frames" in refused(tmp_path, file.name)
    for frame, image in ((1, first), (2, second)):
        (found,), _ = read(tmp_path, [file.name], parse(None, frame))
        assert np.corrcoef(np.asarray(image).ravel(), found.ravel())[0, 1] > 0.99
    assert "no frame 3" in refused(tmp_path, file.name, parse(None, 3))


def test_reduced_pages_of_a_tiff_are_no_images_of_their_own(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write((drawing() * 16).astype(np.uint16))
        writer.write((drawing()[::4, ::4] * 16).astype(np.uint16), subfiletype=1)
    (found,), _ = read(tmp_path, ["a.tif"])
    np.testing.assert_allclose(found.astype(int), drawing(), atol=1)


def test_an_opaque_image_is_not_called_transparent() -> None:
    gray = Image.fromarray(drawing().astype(np.uint8))
    opaque = flat(gray.convert("RGBA"))
    assert opaque.notes == ()
    assert np.array_equal(np.asarray(opaque.image), np.asarray(gray.convert("RGB")))
    glass = gray.convert("LA")
    glass.putpixel((0, 0), (200, 254))
    assert flat(glass).notes == (TRANSPARENT,)
    glass.putalpha(254)
    with pytest.raises(PictureError, match="transparent throughout"):
        flat(glass)


@pytest.mark.parametrize(
    ("kind", "ends"), [(np.uint16, (0.0, 65_535.0)), (np.int16, (-32_768.0, 32_767.0)), (np.float32, None)]
)
def test_what_the_samples_of_a_tiff_can_hold(
    tmp_path: Path, kind: type, ends: tuple[float, float] | None
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", drawing().astype(kind))
    page = tiff.page((tmp_path / "a.tif").read_bytes())
    assert tiff.full(page, np.dtype(kind)) == ends


def test_a_pgm_of_twelve_bits_keeps_its_own_values_and_states_their_range(tmp_path: Path) -> None:
    """Also where none of them comes near the largest."""
    values = drawing(10)
    head = f"P5\n# made by hand\n{SIDE} {SIDE}\n4095\n".encode()
    found = formats.read(head + values.astype(">u2").tobytes(), Wanted(size=SIDE))
    assert np.array_equal(np.asarray(found.values), values)
    assert found.stated == (0.0, 4_095.0)


@pytest.mark.parametrize(("depth", "deep_samples"), [(8, False), (16, True)])
def test_the_header_of_a_png_says_what_it_holds_and_its_chunks_whether_it_is_whole(
    tmp_path: Path, depth: int, deep_samples: bool
) -> None:
    rgb(np.uint16 if depth == 16 else np.uint8, 3)(drawing(depth), tmp_path / "a.png")
    assert look_at(tmp_path, ["a.png"])[0] == Look(deep=deep_samples, pixels=SIDE * SIDE)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: data.rindex(b"IEND") - 4])
    assert "cut off" in str(look_at(tmp_path, ["a.png"])[0].problem)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_a_tiff_of_32_bits_that_is_packed_keeps_its_values(tmp_path: Path, kind: type) -> None:
    values = (drawing(12) / 2).astype(kind)
    Image.fromarray(values).save(tmp_path / "a.tif", compression="tiff_lzw")
    found = formats.read((tmp_path / "a.tif").read_bytes(), Wanted(size=SIDE))
    assert np.array_equal(np.asarray(found.values), values)
