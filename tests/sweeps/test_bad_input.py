"""Bad data: found before anything starts, all in one go, with file, row, found, expected, and what to do.

Every case damages real files and runs the command itself.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from sweeps import full_grid
from transfusion.data import checks
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom
from transfusion.problems import InputError

FOLDER = "CheXpert-v1.0-small"
NOBODY = 65_534
IMAGES, OFFICIAL = 250, 16


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    phantom = Phantom(images=IMAGES, official_images=OFFICIAL, size=16)
    return writing.write(tmp_path_factory.mktemp("sound"), phantom)


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    """A copy by hard links: files are replaced, never written into."""
    shutil.copytree(sound, tmp_path / "data", copy_function=os.link)
    return tmp_path / "data"


def run(data: Path, out: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    command = ["--preset", "smoke", "--data", str(data), "--out", str(out), *options]
    status = full_grid.main(command)
    return status, capsys.readouterr().err


def replace(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def edit(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = change(file.read_text().splitlines())
    replace(file, ("\n".join(lines) + "\n").encode())


def set_field(file: Path, row: int, column: str, text: str) -> None:
    """Row 1 is the header, as in the messages."""

    def change(lines: list[str]) -> list[str]:
        fields = lines[row - 1].split(",")
        fields[lines[0].split(",").index(column)] = text
        return [*lines[: row - 1], ",".join(fields), *lines[row:]]

    edit(file, change)


def image_of(data: Path, row: int, name: str = "train.csv") -> Path:
    return data / (data / FOLDER / name).read_text().splitlines()[row - 1].split(",")[0]


def first_frontal(data: Path) -> Path:
    return next(iter(sorted((data / FOLDER / "train").rglob("*frontal.jpg"))))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims to be this large."""
    chunks = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return chunks


def missing_train_csv(data: Path) -> list[str]:
    (data / FOLDER / "train.csv").unlink()
    return [str(data / FOLDER / "train.csv"), "no such file"]


def missing_valid_csv(data: Path) -> list[str]:
    (data / FOLDER / "valid.csv").unlink()
    return [str(data / FOLDER / "valid.csv"), "no such file"]


def no_csv_at_all(data: Path) -> list[str]:
    shutil.rmtree(data / FOLDER)
    return [str(data), "an empty folder", "--data"]


def missing_columns(data: Path) -> list[str]:
    def change(lines: list[str]) -> list[str]:
        return [lines[0].replace("Edema", "Oedema").replace("Path", "Pfad"), *lines[1:]]

    edit(data / FOLDER / "train.csv", change)
    return ["train.csv, row 1", "Pfad", "a column 'Path'", "a column 'Edema'", "is it 'Oedema' for 'Edema'?"]


def unknown_label(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 7, "Edema", "2.0")
    return ["train.csv, row 7, column 'Edema'", "2.0", "1, 0, -1 or blank"]


def label_that_is_no_number(data: Path) -> list[str]:
    set_field(data / FOLDER / "valid.csv", 3, "Pneumonia", "maybe")
    return ["valid.csv, row 3, column 'Pneumonia'", "'maybe'", "1, 0, -1 or blank"]


def label_spelled_not_available(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 4, "Fracture", "NA")
    return ["train.csv, row 4, column 'Fracture'", "'NA'"]


def unknown_view(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 5, "Frontal/Lateral", "Sideways")
    return ["train.csv, row 5, column 'Frontal/Lateral'", "'Sideways'", "Frontal or Lateral"]


def empty_table(data: Path) -> list[str]:
    edit(data / FOLDER / "train.csv", lambda lines: lines[:1])
    return ["train.csv, row 2", "nothing below the header", "at least one image"]


def empty_file(data: Path) -> list[str]:
    replace(data / FOLDER / "train.csv", b"")
    return ["train.csv", "an empty file", "comma-separated values"]


def binary_file(data: Path) -> list[str]:
    replace(data / FOLDER / "train.csv", first_frontal(data).read_bytes())
    return ["train.csv", "comma-separated values in UTF-8"]


def ragged_row(data: Path) -> list[str]:
    edit(data / FOLDER / "train.csv", lambda lines: [*lines[:10], lines[10] + ",1.0,1.0", *lines[11:]])
    return ["train.csv, row 11", "found 21 fields, expected 19"]


def duplicate_path(data: Path) -> list[str]:
    edit(data / FOLDER / "train.csv", lambda lines: [*lines, lines[1]])
    return [f"train.csv, row {IMAGES + 2}", "once more", "every path once"]


def path_that_leaves(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 6, "Path", f"{FOLDER}/train/../../../patient1/study1/x.jpg")
    return ["train.csv, row 6", "../", "inside the data folder"]


def absolute_path(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 6, "Path", "/etc/patient1/study1/passwd")
    return ["train.csv, row 6", "/etc/patient1/study1/passwd", "inside the data folder"]


def path_without_patient(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 6, "Path", f"{FOLDER}/train/x.jpg")
    return ["train.csv, row 6", "patientNNNNN/studyN"]


def blank_path(data: Path) -> list[str]:
    set_field(data / FOLDER / "train.csv", 6, "Path", "")
    return ["train.csv, row 6", "no path"]


def patient_in_both(data: Path) -> list[str]:
    line = (data / FOLDER / "train.csv").read_text().splitlines()[1]
    edit(data / FOLDER / "valid.csv", lambda lines: [*lines, line.replace("/train/", "/valid/")])
    return [f"valid.csv, row {OFFICIAL + 2}", "patient00001, who is in train.csv too"]


def missing_image(data: Path) -> list[str]:
    file = first_frontal(data)
    file.unlink()
    return [f"{file}: found no such file", "--skip-missing"]


def folder_in_place_of_an_image(data: Path) -> list[str]:
    file = first_frontal(data)
    file.unlink()
    file.mkdir()
    return [f"{file}: found no file"]


def truncated_jpeg(data: Path) -> list[str]:
    file = first_frontal(data)
    replace(file, file.read_bytes()[:-20])
    return [f"{file}: found a JPEG without its end", "it was cut off"]


def jpeg_of_zero_bytes(data: Path) -> list[str]:
    file = first_frontal(data)
    replace(file, b"")
    return [f"{file}: found 0 bytes"]


def image_that_is_none(data: Path) -> list[str]:
    file = first_frontal(data)
    replace(file, b"<html>404 Not Found</html>")
    return [f"{file}: found a web page", "fetch the file again"]


def large_image(data: Path) -> list[str]:
    file = first_frontal(data)
    replace(file, png_of_size(10_000, 9_000))
    return [f"{file}: found 10000 x 9000 pixels", "store the image smaller"]


def absurdly_large_image(data: Path) -> list[str]:
    file = first_frontal(data)
    replace(file, png_of_size(200_000, 200_000))
    return [f"{file}: found 200000 x 200000 pixels", "store the image smaller"]


def one_class_only(data: Path) -> list[str]:
    column = chexpert.COLUMNS.index("Edema")

    def change(lines: list[str]) -> list[str]:
        rows = [line.split(",") for line in lines[1:]]
        return [lines[0], *(",".join([*row[:column], "0.0", *row[column + 1 :]]) for row in rows)]

    edit(data / FOLDER / "valid.csv", change)
    return ["finding 'Edema', part 'official'", "0 positive", "both classes"]


CASES = [
    missing_train_csv,
    missing_valid_csv,
    no_csv_at_all,
    missing_columns,
    unknown_label,
    label_that_is_no_number,
    label_spelled_not_available,
    unknown_view,
    empty_table,
    empty_file,
    binary_file,
    ragged_row,
    duplicate_path,
    path_that_leaves,
    absolute_path,
    path_without_patient,
    blank_path,
    patient_in_both,
    missing_image,
    folder_in_place_of_an_image,
    truncated_jpeg,
    jpeg_of_zero_bytes,
    image_that_is_none,
    large_image,
    absurdly_large_image,
    one_class_only,
]


def test_sound_data_are_accepted(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sound, tmp_path / "out", capsys, "--dry-run") == (0, "")


@pytest.mark.parametrize("damage", CASES, ids=lambda damage: damage.__name__)
def test_damage_is_named_and_nothing_starts(
    damage: Callable[[Path], list[str]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = damage(data)
    status, message = run(data, tmp_path / "out", capsys)
    assert status == 2
    for part in expected:
        assert part in message
    assert "; " in message, "it says what to do"
    assert not (tmp_path / "out").exists(), "nothing is written"
    assert not ray.is_initialized()


def test_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, message = run(tmp_path / "nowhere", tmp_path / "out", capsys)
    assert status == 2
    assert f"{tmp_path / 'nowhere'}: found no such folder" in message
    assert not (tmp_path / "out").exists(), "nothing is written"


def test_more_images_than_there_are(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, message = run(data, tmp_path / "out", capsys, "--train-images", "64", "5000")
    assert status == 2
    assert "part 'train'" in message
    assert "at least 5000" in message
    assert not (tmp_path / "out").exists(), "nothing is written"


def test_everything_at_once(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damage of many kinds, one of them often: each kind is shown, that which is often once, with a count.

    The five: one of each kind, and 41 images that are gone (40, and that of the row that was added).
    """
    several = (unknown_label, unknown_view, patient_in_both, truncated_jpeg)
    expected = [part for damage in several for part in damage(data)]
    unlinked = sorted((data / FOLDER / "train").rglob("*frontal.jpg"))[50:90]
    for file in unlinked:
        file.unlink()
    status, message = run(data, tmp_path / "out", capsys)
    assert status == 2
    for part in expected:
        assert part in message
    assert "5 problems with the data" in message
    assert message.count("\n- ") == 5
    assert "- 41 of " in message
    assert "and 38 more): found no such file" in message


def test_broken_images_of_every_kind_are_found_before_anything_starts(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five of each of five: the gone in one line, all of two kinds, three of ten that are cut off."""
    files = sorted((data / FOLDER / "train").rglob("*frontal.jpg"))[:125:5]
    whole = files[0].read_bytes()
    zeros = whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
    for number, file in enumerate(files):
        file.unlink()
        if number % 5:
            file.write_bytes([b"", whole[: len(whole) // 2], zeros, b"GIF89a no image"][number % 5 - 1])
    status, message = run(data, tmp_path / "out", capsys)
    assert status == 2
    assert "21 problems with the data" in message
    assert message.count("\n- /") == 13
    assert "- 7 more of the same kind\n" in message
    for found in ("no such file", "0 bytes", "a JPEG without its end", "a text"):
        assert found in message
    assert not (tmp_path / "out").exists(), "nothing is written"
    assert not ray.is_initialized()


@contextmanager
def without_privileges() -> Iterator[None]:
    """Not root for a while, if this is root: nothing is forbidden to root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("victim", ["csv", "image", "folder"])
def test_no_permission_to_read(sound: Path, victim: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        shutil.copytree(sound, data, dirs_exist_ok=True)
        data.chmod(0o755)
        image = first_frontal(data)
        file = {"csv": data / FOLDER / "train.csv", "image": image, "folder": data / FOLDER}[victim]
        file.chmod(0)
        with without_privileges(), pytest.raises(InputError) as caught:
            checks.check(chexpert.read(data), findings=["Edema"], train_images=10)
        file.chmod(0o755)
        assert str(file) in str(caught.value)
        assert "no permission" in str(caught.value)
