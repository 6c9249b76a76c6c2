"""Images that are damaged, and ranges that do not hold: found while planning or when the cache is built."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from transfusion.data import image_cache
from transfusion.data.dataset import Dataset
from transfusion.data.survey import Survey, read_as, survey
from transfusion.images.decoding import ImageError, decode
from transfusion.images.inspection import look_at
from transfusion.images.reading import Reading, parse
from transfusion.problems import InputError, SettingError

NOISE = np.random.default_rng(0).integers(0, 256, (120, 130)).astype(np.uint8)


def jpeg(mode: str = "L", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def looked(folder: Path, names: list[str], asked: Reading | None = None) -> Survey:
    looks = look_at(folder, names)
    found = survey(folder, names, looks, asked or Reading())
    problems = [look.problem for look in looks if look.problem is not None]
    return Survey(found.reading, found.notes, (*problems, *found.problems), found.empty)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 5}],
    ids=["plain", "progressive", "restart"],
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_part_of_a_jpeg_that_ends_properly_is_found(
    tmp_path: Path, mode: str, options: dict[str, object], share: float
) -> None:
    whole = jpeg(mode, **options)
    cut = whole[: int(len(whole) * share)].removesuffix(b"\xff")
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(cut + b"\xff\xd9")
    for size, channels in ((64, 1), (64, 3), (16, 1)):
        decode([tmp_path / "whole.jpg"], size, channels)
        with pytest.raises(ImageError, match="lacks"):
            decode([tmp_path / "cut.jpg"], size, channels)
    (problem,) = looked(tmp_path, ["whole.jpg", "cut.jpg"]).problems
    assert problem.where.endswith("cut.jpg")


def test_a_gray_that_looks_cut_is_read(tmp_path: Path) -> None:
    pixels = NOISE.copy()
    pixels[60:] = 128
    for name, options in {"a.jpg": {}, "b.jpg": {"progressive": True}}.items():
        Image.fromarray(pixels).save(tmp_path / name, quality=90, **options)
        assert decode([tmp_path / name], 120)[0][-1].tolist() == [128] * 120


@pytest.mark.parametrize("behind", [b"\0" * 9000, b"appended by a scanner" * 1000])
def test_bytes_behind_the_end_do_not_matter(tmp_path: Path, behind: bytes) -> None:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, "PNG")
    for name, data in {
        "a.jpg": jpeg(),
        "b.jpg": jpeg("RGB", progressive=True),
        "c.png": stream.getvalue(),
    }.items():
        (tmp_path / name).write_bytes(data + behind)
        (tmp_path / f"plain-{name}").write_bytes(data)
        assert looked(tmp_path, [name]).problems == ()
        np.testing.assert_array_equal(*decode([tmp_path / name, tmp_path / f"plain-{name}"], 64))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_with_too_few_rows_is_found(tmp_path: Path, depth: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + NOISE[:, : 120 // (depth // 8)].tobytes()[:120] for _ in range(60))
    start = struct.pack(">IIBBBBB", 120 // (depth // 8), 120, depth, 0, 0, 0, 0)
    data = chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert "lacks some of its rows" in str(looked(tmp_path, ["a.png"]).problems[0])


def deep(folder: Path, largest: list[int]) -> list[str]:
    names = [f"{number}.png" for number in range(len(largest))]
    for name, most in zip(names, largest, strict=True):
        values = np.round(NOISE / NOISE.max() * most).astype(np.uint16)
        Image.fromarray(values).save(folder / name)
    return names


def dataset_of(folder: Path, names: list[str], reading: Reading) -> Dataset:
    frame = pd.DataFrame({"image": names})
    dataset = Dataset(root=folder, frame=frame, findings=("Edema",), fingerprint="0" * 16)
    return read_as(dataset, Survey(reading))


def test_values_beyond_the_range_are_refused_with_the_range_that_holds_them(tmp_path: Path) -> None:
    names = deep(tmp_path, [4095] * 40 + [9000, 20000])
    dataset = dataset_of(tmp_path, names, Reading(low=0, high=4095))
    with pytest.raises(InputError, match="values from 0 to 20,000 in 2 images") as caught:
        image_cache.load(dataset, 32, tmp_path / "cache")
    assert "--intensity 15bit" in str(caught.value)
    assert not list((tmp_path / "cache").glob("*.partial"))
    assert image_cache.load(dataset_of(tmp_path, names, parse("15bit")), 32, tmp_path / "cache").max() > 90


def test_two_ranges_in_one_data_set_are_refused(tmp_path: Path) -> None:
    names = deep(tmp_path, [4095, 4000, 3900, 65535, 65000])
    (problem,) = looked(tmp_path, names).problems
    assert "3 images with values up to 4,095 and 2 with values up to 65,535" in str(problem)
    assert looked(tmp_path, names, parse("each")).problems == ()


def test_the_range_is_a_part_of_the_fingerprint_and_eight_bits_are_not(tmp_path: Path) -> None:
    names = deep(tmp_path, [4095, 4000])
    prints = {
        dataset_of(tmp_path, names, one).fingerprint for one in (Reading(), parse("12bit"), parse("0:4095"))
    }
    assert len(prints) == 3
    assert dataset_of(tmp_path, names, Reading()).fingerprint == "0" * 16


def test_a_range_for_images_of_eight_bits_is_an_option_without_effect(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (problem,) = looked(tmp_path, ["a.png"], parse("12bit")).problems
    assert "--intensity" in problem.where


@pytest.mark.parametrize(
    "text", ["loud", "5:5", "9:1", "nan:1", "0:inf", "0bit", "99bit", "12", ":", "1:2:3"]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(SettingError, match="--intensity"):
        parse(text)


def test_images_of_one_value(tmp_path: Path) -> None:
    for number in range(10):
        Image.fromarray(NOISE if number > 1 else np.full_like(NOISE, 7)).save(tmp_path / f"{number}.png")
    names = [f"{number}.png" for number in range(10)]
    found = looked(tmp_path, names)
    assert found.empty == ()
    assert any("2 of 10 images have one value everywhere" in note and "0.png" in note for note in found.notes)
    said: list[str] = []
    image_cache.prepare(dataset_of(tmp_path, names, Reading()), 32, tmp_path / "cache", say=said.append)
    assert "2 of 10 images have one value everywhere" in said[0]
    assert "2 of 2 images" in str(looked(tmp_path, names[:2]).empty[0])
    with pytest.raises(InputError, match="2 of 2 images"):
        image_cache.prepare(dataset_of(tmp_path, names[:2], Reading()), 32, tmp_path / "cache")


def one(folder: Path, data: bytes) -> Survey:
    (folder / "image").write_bytes(data)
    return looked(folder, ["image"])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_part_of_a_tiff_is_refused(tmp_path: Path, compression: str | None, kind: type) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(kind)
    tifffile.imwrite(stream, noise, compression=compression, rowsperstrip=8)
    assert one(tmp_path, stream.getvalue()[: len(stream.getvalue()) * 6 // 10]).problems


def test_broken_bytes_anywhere_are_problems_or_pictures(tmp_path: Path) -> None:
    """Whatever stands in a file: it is read, or it is refused with a sentence."""
    draw = np.random.default_rng(1)
    noise = Image.fromarray(draw.integers(0, 255, (64, 64)).astype(np.uint8))
    for kind in ("PNG", "TIFF", "GIF", "BMP", "PPM", "WEBP", "JPEG", "JPEG2000"):
        stream = io.BytesIO()
        noise.save(stream, kind)
        for number in range(12):
            data = bytearray(stream.getvalue())
            for place in draw.integers(0, min(len(data), 400), 1 + number % 4):
                data[place] = draw.integers(0, 256)
            one(tmp_path, bytes(data))


def test_samples_that_nobody_names_are_refused(tmp_path: Path) -> None:
    for kind in (np.uint8, np.uint16):
        for samples in (2, 3):
            stream = io.BytesIO()
            pixels = np.random.default_rng(0).integers(0, 255, (64, 64, samples)).astype(kind)
            tifffile.imwrite(stream, pixels, photometric="minisblack", planarconfig="contig")
            assert f"{samples} samples of every pixel" in str(one(tmp_path, stream.getvalue()).problems)
    stream = io.BytesIO()
    slices = np.random.default_rng(0).integers(0, 4095, (2, 64, 64)).astype(np.uint16)
    tifffile.imwrite(stream, slices, volumetric=True, tile=(2, 16, 16))
    assert "a volume of 2 slices" in str(one(tmp_path, stream.getvalue()).problems)


def test_ink_or_light_must_be_said(tmp_path: Path) -> None:
    data = jpeg("CMYK")
    assert one(tmp_path, data).problems == ()
    at = data.index(b"\xff\xee")
    length = int.from_bytes(data[at + 2 : at + 4])
    assert "whether zero is ink" in str(one(tmp_path, data[:at] + data[at + 2 + length :]).problems)


@pytest.mark.parametrize("far", [65535, 40000])
def test_marks_far_above_all_else_are_refused_with_the_range_without_them(tmp_path: Path, far: int) -> None:
    names = deep(tmp_path, [4095] * 4)
    for name in names:
        pixels = np.asarray(Image.open(tmp_path / name)).copy()
        pixels[3, 5:9] = far
        Image.fromarray(pixels).save(tmp_path / name)
    (problem,) = looked(tmp_path, names).problems
    assert "--intensity 0:4095" in problem.advice
    assert looked(tmp_path, names, parse("0:4095")).problems == ()


def test_padding_far_below_all_else_is_refused_with_the_range_without_it(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(-1000, 400, (64, 64)).astype(np.int16)
    pixels[:16] = -32768
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    (problem,) = looked(tmp_path, ["a.tif"]).problems
    low, high = problem.advice.split("--intensity ")[1].split(" ")[0].split(":")
    assert abs(int(low) + 1000) < 10
    assert abs(int(high) - 400) < 10


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + bytes(600), "NIfTI"),
        (struct.pack(">i", 348) + bytes(600), "NIfTI"),
        (b"\0\0\0\x18ftypheic" + bytes(600), "HEIC"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(600), "JPEG XL"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x40\0\x40\x01\x01\x11\0" + bytes(600), "JPEG-LS"),
        (b"SIMPLE  =                    T" + b" " * 600, "FITS"),
    ],
)
def test_more_kinds_are_told_apart(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    (look,) = look_at(tmp_path, ["a.png"])
    assert said in str(look.problem)


@pytest.mark.parametrize(("bits", "told"), [(8, 0), (12, 1), (16, 1)])
def test_jpeg_2000_in_colour_of_more_bits_than_are_read(tmp_path: Path, bits: int, told: int) -> None:
    """Of colours eight bits are read: 12 bits in 16 would be 16 gray levels, unsaid."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.j2k")
    data = bytearray((tmp_path / "a.j2k").read_bytes())
    assert data[:4] == b"\xff\x4f\xff\x51"
    data[42:51:3] = bytes([bits - 1] * 3)
    (tmp_path / "a.j2k").write_bytes(data)
    found = looked(tmp_path, ["a.j2k"])
    assert ["of more than 8 bits in RGB" in one.found for one in found.problems] == [True] * told
