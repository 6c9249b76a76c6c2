"""Orders of the nested subsets are refused where every cell trains on all images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sweeps.inputs.data import most_images, one_subset_problems
from sweeps.options.command_line import options_of
from sweeps.options.overrides import axis_values
from transfusion.cell import Cell, Recipe, cell_id, describe, upstream_of
from transfusion.data.dataset import Dataset
from transfusion.problems import SettingError


def dataset_of(images: int) -> Dataset:
    names = pd.Series([f"p{number}" for number in range(images)])
    frame = pd.DataFrame({"image": names, "patient": names, "part": "train"})
    return Dataset(root=Path("nowhere"), frame=frame, findings=("Edema",), fingerprint="0" * 16)


def cells_of(sizes: tuple[int, ...], subsets: int) -> list[Cell]:
    return [
        Cell(architecture="cbr_tiny", train_images=size, subset=subset)
        for size in sizes
        for subset in range(subsets)
    ]


CASES = (((60,), 3, True), ((60,), 1, False), ((30, 60), 3, False))


@pytest.mark.parametrize(("sizes", "subsets", "refused"), CASES)
def test_orders_without_a_smaller_subset_are_refused(
    sizes: tuple[int, ...], subsets: int, refused: bool
) -> None:
    problems = one_subset_problems(dataset_of(60), cells_of(sizes, subsets))
    assert [problem.where for problem in problems] == ["--subsets"] * refused


@pytest.mark.parametrize("init", ["random", "photos"])
def test_pretraining_on_other_images_asks_for_none_of_these(init: str) -> None:
    cells = [Cell(architecture="cbr_tiny", train_images=size, init=init) for size in (30, 60)]
    assert most_images(cells, Recipe(upstream_images=5_000)) == 60


def test_the_usual_order_changes_no_identity_and_another_does() -> None:
    usual, named, other = (
        Cell(architecture="cbr_tiny", train_images=30, init="photos", **more)
        for more in ({}, {"subset": 0}, {"subset": 1})
    )
    ids = [cell_id(cell, Recipe(), "f") for cell in (usual, named, other)]
    assert ids[0] == ids[1] != ids[2]
    assert upstream_of(usual, Recipe()) == upstream_of(other, Recipe())
    assert "order 1" in describe(other)
    assert "order" not in describe(usual)


def test_the_option_says_how_many() -> None:
    assert list(axis_values(options_of(["--subsets", "3"]))["subset"]) == [0, 1, 2]
    with pytest.raises(SettingError, match="--subsets: found 0"):
        axis_values(options_of(["--subsets", "0"]))
