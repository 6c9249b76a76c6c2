"""Tables and folders in the shapes that people have: what has one reading only is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from wrong_tables import HEADER, ROWS, TABLE, picture, said

from transfusion.data.dataset import Dataset
from transfusion.layouts import csv_table

FLAT = tuple(f"im{n}.png" for n in range(len(ROWS)))


def below(folder: str, extension: str = "png", parts: int = 1) -> tuple[str, ...]:
    """The images in a folder, or by turns in several."""
    return tuple(f"{folder.format(1 + n % parts)}/im{n}.{extension}" for n in range(len(ROWS)))


SHAPES: dict[str, tuple[Callable[[Path], str | bytes], tuple[str, ...]]] = {
    "truth values": (lambda _: TABLE.replace(",1\n", ",True\n").replace(",0\n", ",FALSE\n"), FLAT),
    "decimal commas": (
        lambda _: TABLE.replace(",", ";").replace(";1\n", ";1,0\n").replace(";0\n", ";0,0\n"), FLAT,
    ),
    "paths from the root": (lambda folder: TABLE.replace("im", f"{folder}/im"), FLAT),
    "images in one folder beside": (lambda _: TABLE, below("images")),
    "images in a folder twice": (lambda _: TABLE, below("images/images")),
    "retina: names without extension": (lambda _: TABLE.replace(".png", ""), below("train", "jpeg")),
    "skin: two parts": (lambda _: TABLE.replace(".png", ""), below("HAM_images_part_{}", "jpg", 2)),
    "masks beside the images": (lambda _: TABLE, (*below("images"), *below("masks"))),
    "the folder's own folder": (lambda _: TABLE.replace("im", "train/im"), below("data/train")),
    "semicolons and no last line": (lambda _: TABLE.replace(",", ";").rstrip(), FLAT),
    "a separator at the end of rows": (lambda _: "\n".join([HEADER, *(f"{row}," for row in ROWS)]), FLAT),
    "blank lines": (lambda _: "\n\n" + TABLE.replace("\n", "\r\n\r\n"), FLAT),
    "UTF-16": (lambda _: TABLE.encode("utf-16"), FLAT),
}  # fmt: skip


def read(folder: Path) -> Dataset:
    return csv_table.read(folder / "t.csv", path_column="file", patient_column="person", findings=["Edema"])


@pytest.mark.parametrize("shape", SHAPES)
def test_one_reading(shape: str, tmp_path: Path) -> None:
    content, images = SHAPES[shape]
    for name in images:
        picture(tmp_path / name)
    made = content(tmp_path)
    (tmp_path / "t.csv").write_bytes(made if isinstance(made, bytes) else made.encode())
    frame = read(tmp_path).frame
    assert frame["Edema"].tolist() == [float(n % 2) for n in range(len(ROWS))]
    assert frame["patient"].tolist() == [f"p{n // 2}" for n in range(len(ROWS))]
    assert frame["image"].tolist() == list(images[: len(ROWS)])


def test_the_same_names_in_two_folders_are_no_reading(tmp_path: Path) -> None:
    for name in (*below("first"), *below("second")):
        picture(tmp_path / name)
    (tmp_path / "t.csv").write_text(TABLE)
    assert "first/im0.png and second/im0.png are there" in said(lambda: read(tmp_path))


def test_masks_alone_are_no_images(tmp_path: Path) -> None:
    for name in below("masks"):
        picture(tmp_path / name)
    (tmp_path / "t.csv").write_text(TABLE)
    assert read(tmp_path).frame["image"].tolist() == list(FLAT)  # as in the table: `checks` finds none there
