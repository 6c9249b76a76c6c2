"""A part of a data set: the rest is told in one line, or left out where that is asked for."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from other_layouts import as_nih

from transfusion.data.checks import image_problems
from transfusion.data.dataset import Dataset
from transfusion.data.present import without_missing
from transfusion.layouts import nih


@pytest.fixture
def part(phantom_folder: Path, tmp_path: Path) -> tuple[Dataset, list[str]]:
    """The table of a folder in which a third of the images is missing, and their names."""
    table = nih.read(as_nih(phantom_folder, tmp_path))
    gone = table.frame["image"].tolist()[::3]
    for name in gone:
        (table.root / name).unlink()
    return nih.read(tmp_path), gone


def test_what_is_missing_is_one_line_with_what_mends_it(
    part: tuple[Dataset, list[str]],
) -> None:
    table, gone = part
    (problem,) = image_problems(table.root, table.frame["image"])
    text = str(problem)
    assert f"{len(gone):,} of {len(table.frame):,} images" in text
    assert text.count("\n") == 0
    assert "--skip-missing" in text


def test_what_is_there_is_a_table_of_its_own(part: tuple[Dataset, list[str]]) -> None:
    table, gone = part
    found = without_missing(table)
    names = {Path(name).name for name in gone}
    kept = [name for name in table.frame["image"] if Path(name).name not in names]
    assert found.frame["image"].tolist() == kept
    assert image_problems(found.root, found.frame["image"]) == []
    assert found.fingerprint != table.fingerprint
    assert f"{len(gone):,} of {len(table.frame):,} images are not there" in found.notes[-1]
    together = table.frame.set_index("image").loc[kept]
    np.testing.assert_array_equal(found.frame["part"], together["part"], "nobody changes sides")


def test_where_all_is_there_nothing_changes(dataset: Dataset) -> None:
    assert without_missing(dataset) is dataset


def test_what_is_left_keeps_its_order_and_the_first_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name in ("b.png", "d.png"):
        (tmp_path / name).touch()
    frame = pd.DataFrame({"image": [f"{letter}.png" for letter in "abcde"], "part": "train"})
    table = Dataset(tmp_path, frame, (), "0" * 16, order=np.array([4, 3, 2, 1, 0]))
    found = without_missing(table)
    assert found.frame["image"].tolist() == ["b.png", "d.png"]
    assert found.order is not None
    assert found.order.tolist() == [3, 1]
    assert found.notes[-1].startswith("3 of 5 images are not there")
    assert found.notes[-1].endswith("a.png is the first")
    assert without_missing(dataclasses.replace(table, order=None)).order is None


def test_where_nothing_is_there_the_checks_are_left_to_say_so(tmp_path: Path) -> None:
    table = Dataset(tmp_path, pd.DataFrame({"image": ["a.png"], "part": "train"}), (), "0" * 16)
    assert without_missing(table) is table
