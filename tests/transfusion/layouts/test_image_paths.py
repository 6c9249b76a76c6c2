"""Paths of images: normalised, repeated in any spelling, and found where exactly one file fits."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from transfusion.images.inspection import image_problems
from transfusion.layouts import csv_table, image_paths
from transfusion.layouts.image_paths import Located, leaves, locate, normalised, path_problems
from transfusion.problems import InputError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def where(positions: list[int]) -> str:
    return f"row {', '.join(str(int(position)) for position in positions)}"


def located(folder: Path, *texts: str) -> Located:
    return locate(folder, pd.Series([normalised(text) for text in texts]), texts, where)


@pytest.mark.parametrize(
    "text",
    ["./x/a.png", "x//a.png", "x/y/../a.png", "x\\a.png", ".\\x\\.\\a.png", "./y/..//x/./a.png"],
)
def test_one_path_in_many_spellings(text: str) -> None:
    assert normalised(text) == "x/a.png"
    assert not leaves(text)


@pytest.mark.parametrize(
    "text",
    [
        *("/a.png", "../a.png", "x/../../a.png", "..", "x\\..\\..\\a.png", "C:\\a.png", "c:/a.png"),
        *("\\\\host\\a.png", "~/a.png", "https://host/a.png", "file:///a.png"),
    ],
)
def test_paths_that_leave_the_folder(text: str) -> None:
    assert leaves(text)


@pytest.mark.parametrize("text", ["a..b.png", "..a/b.png", "a:b.png", "1.2.3", "x~/a.png"])
def test_paths_that_only_look_like_it(text: str) -> None:
    assert not leaves(text)
    assert normalised(text) == text


@pytest.mark.parametrize(
    ("on_disk", "text"),
    [
        ("im0.png", "im0"),
        ("im0.PNG", "im0.png"),
        ("im0.png", "IM0.PNG"),
        ("im0.png", "im0.jpg"),
        ("Sub/im0.png", "sub/im0"),
        ("1.2.840.dcm", "1.2.840"),
        (unicodedata.normalize("NFD", "é.png"), "é.png"),
        ("é.png", unicodedata.normalize("NFD", "é.png")),
    ],
)
def test_the_only_file_of_that_name_is_taken(tmp_path: Path, on_disk: str, text: str) -> None:
    touched(tmp_path, on_disk, "other.png", ".im0.png", "im0.txt")
    found = located(tmp_path, text, "other.png")
    assert not found.problems
    assert list(found.images) == [on_disk, "other.png"]


def test_another_folders_file_of_that_name_is_not_taken_where_the_folder_is_there(tmp_path: Path) -> None:
    """Of two hospitals with equal names of files one lacks an image: the other's is another patient's."""
    touched(tmp_path, "here/001.png", "there/001.png", "there/002.png", "old/003.png")
    names = ("here/001.png", "HERE/002.png", "new/003.png")
    found = locate(tmp_path, pd.Series(names), names, where, also=["here", "there", "old"])
    assert list(found.images) == ["here/001.png", "HERE/002.png", "old/003.png"]
    assert not found.problems


def test_it_is_said_once_with_a_count(tmp_path: Path) -> None:
    touched(tmp_path, *(f"im{number}.png" for number in range(30)))
    found = located(tmp_path, *(f"im{number}" for number in range(30)))
    assert found.notes == [
        "30 of 30 images are spelled otherwise on disk, and were found all the same: 'im0' is 'im0.png'"
    ]
    assert not located(tmp_path, *(f"im{number}.png" for number in range(30))).notes


def test_two_files_that_fit_are_both_named_once(tmp_path: Path) -> None:
    touched(tmp_path, "im0.png", "im0.jpg", "im1.png", "im1.bmp")
    found = located(tmp_path, "im0", "im1")
    assert [problem.where for problem in found.problems] == ["row 0, 1"]
    assert "im0.jpg and im0.png are there" in found.problems[0].found
    assert found.sought == []


def test_a_missing_file_is_left_to_the_check_of_images(tmp_path: Path) -> None:
    found = located(touched(tmp_path, "a.png"), "a.png", "b.png", "", "gone/c.png")
    assert list(found.images) == ["a.png", "b.png", "", "gone/c.png"]
    assert found.sought == ["a.png", "b.png", "gone/c.png"]
    assert not found.problems


@pytest.mark.parametrize(
    "second",
    [
        "a.png",
        "./a.png",
        "x/../a.png",
        ".//a.png",
        "a",
        "A.png",
        "a.jpg",
        "soft.png",
        "link/a.png",
    ],
)
def test_the_same_file_twice_is_refused_with_both_rows(tmp_path: Path, second: str) -> None:
    touched(tmp_path, "a.png", "b.png")
    (tmp_path / "soft.png").symlink_to("a.png")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    found = located(tmp_path, "a.png", "b.png", second)
    assert [problem.where for problem in found.problems] == ["row 2"]
    assert "once more" in found.problems[0].found
    assert "in row 0" in found.problems[0].found


def test_a_hard_link_is_another_image_whose_equal_bytes_are_reported_elsewhere(tmp_path: Path) -> None:
    touched(tmp_path, "a.png")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    assert located(tmp_path, "a.png", "hard.png").problems == []


def test_many_absolute_paths_are_one_problem_and_few_are_named_each() -> None:
    many = path_problems([f"/data/{number}.png" for number in range(100)], where)
    assert len(many) == 1
    assert many[0].where.startswith("row 0, 1, 2")
    assert many[0].found == "/data/0.png and 99 more such paths"
    few = path_problems(["a.png", "/data/b.png", "../c.png", "d.png"], where)
    assert [(one.where, one.found) for one in few] == [("row 1", "/data/b.png"), ("row 2", "../c.png")]


@pytest.mark.parametrize("kind", ["pipe", "loop", "long name", "long path", "below a file"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    """A pipe without a writer would be read for ever; the others are errors of the file system."""
    Image.new("L", (8, 8), 3).save(tmp_path / "a.png")
    names = {
        "long name": f"{'x' * 300}.png",
        "long path": f"{'x/' * 3000}a.png",
        "below a file": "a.png/b.png",
    }
    name = names.get(kind, "odd.png")
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    if kind == "loop":
        (tmp_path / name).symlink_to(name)
    csv = tmp_path / "t.csv"
    csv.write_text(f"file,person,Edema\na.png,p,1\n{name},q,0\n")
    dataset = csv_table.read(csv, path_column="file", patient_column="person", findings=("Edema",))
    problems = image_problems(dataset.root, dataset.frame["image"])
    assert [problem.where for problem in problems] == [str(tmp_path / name)]
    assert problems[0].found.startswith("no file")


def test_an_own_table_reads_digits_and_refuses_a_repeated_path(tmp_path: Path) -> None:
    lines = []
    for number in range(6):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number:05d}", "PNG")
        lines.append(f"{number:05d},p{number},{number % 2}")
    csv = tmp_path / "t.csv"
    csv.write_text("\n".join(["file,person,Edema", *lines]))
    names = {"path_column": "file", "patient_column": "person", "findings": ("Edema",)}
    assert csv_table.read(csv, **names).frame["image"].tolist() == [f"{number:05d}" for number in range(6)]
    csv.write_text("\n".join(["file,person,Edema", *lines, "./00003,p9,0"]))
    with pytest.raises(InputError, match=r"row 8: found \./00003 once more \(as 00003 in .*row 5\)"):
        csv_table.read(csv, **names)


def test_folders_beside_a_table_are_those_that_may_hold_its_images(tmp_path: Path) -> None:
    """No files, hidden folders or masks; where many lie there, none: the table has to name them."""
    for name in ("scans/scans", "more/other", "masks/masks", ".trash/.trash"):
        (tmp_path / name).mkdir(parents=True)
    for number in range(30):
        (tmp_path / f"{number}.png").touch()
    table = tmp_path / "t.csv"
    assert image_paths.folders_beside(table) == ["more", "scans", "scans/scans"]
    for number in range(image_paths.MOST_FOLDERS - 3):
        (tmp_path / f"x{number}").mkdir()
    assert len(image_paths.folders_beside(table)) == image_paths.MOST_FOLDERS
    (tmp_path / "y").mkdir()
    assert image_paths.folders_beside(table) == []


def test_files_are_looked_at_in_their_order_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
    paths = ["0", "none", "1", "2", "none", "3", "4"]
    alone = image_paths.identities(tmp_path, paths)
    assert [place is None for place in alone] == [path == "none" for path in paths]
    monkeypatch.setattr(image_paths, "TOGETHER", 2)
    assert image_paths.identities(tmp_path, paths) == alone
