"""Images that are not there: how many, where they lie instead, and the command that moves them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from transfusion.images.missing import missing_problem

NAMES = [f"train/{letter}.png" for letter in "abcde"]


def touch(root: Path, folder: str, letters: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for letter in letters:
        (root / folder / f"{letter}.png").touch()


def test_three_of_them_are_named_and_the_others_counted(tmp_path: Path) -> None:
    shown = ", ".join(str(tmp_path / name) for name in NAMES[:3])
    for count, more in ((2, ""), (3, ""), (5, " and 2 more")):
        problem = missing_problem(tmp_path, NAMES[:count], [*NAMES, "train/x.png"])
        listed = ", ".join(shown.split(", ")[: min(count, 3)])
        assert problem.where == f"{count} of 6 images ({listed}{more})"
        assert "or train without them (--skip-missing)" in problem.advice
    alone = missing_problem(tmp_path, NAMES[:1], NAMES)
    assert alone.where == str(tmp_path / NAMES[0])
    assert "train without it" in alone.advice
    assert "unpack the data set again" in missing_problem(tmp_path, NAMES, NAMES).advice


@pytest.mark.parametrize(("letters", "those"), [("abcde", "all lie"), ("abc", "3 of them lie")])
def test_the_folder_that_they_lie_in_and_the_command_that_moves_them(
    tmp_path: Path, letters: str, those: str
) -> None:
    """Masks and hidden copies of the same names are not they."""
    folder = "it's here"
    touch(tmp_path, folder, letters)
    touch(tmp_path, "masks", "abcde")
    touch(tmp_path, ".trash", "abcde")
    problem = missing_problem(tmp_path, NAMES, NAMES)
    assert f"; {those} in {folder!r}" in problem.found
    command = problem.advice.partition("move them (")[2].rpartition("), or write")[0]
    subprocess.run(["sh", "-c", command], check=True)
    assert sorted(file.name for file in (tmp_path / "train").iterdir()) == [f"{one}.png" for one in letters]


def test_fewer_than_half_of_them_elsewhere_are_not_told(tmp_path: Path) -> None:
    touch(tmp_path, "other", "ab")
    assert "lie in" not in missing_problem(tmp_path, NAMES, NAMES).found
    assert "2 of them lie in 'other'" in missing_problem(tmp_path, NAMES[:4], NAMES).found


def test_images_of_the_table_itself_are_not_those_that_are_missing(tmp_path: Path) -> None:
    touch(tmp_path, "second", "abcde")
    both = [*NAMES, *(f"second/{letter}.png" for letter in "abcde")]
    assert "lie in" not in missing_problem(tmp_path, NAMES, both).found
