"""NIH ChestX-ray14: the real entries, the lists, and a phantom in its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from other_layouts import as_nih
from real_csv import unpacked

from transfusion.data import image_cache
from transfusion.layouts import chexpert, nih
from transfusion.problems import InputError


@pytest.fixture(scope="module")
def folder(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_nih(phantom_folder, tmp_path_factory.mktemp("nih"))


def test_real_entries(tmp_path: Path) -> None:
    """Counts that hold of the file itself, taken with a text search."""
    text = unpacked("Data_Entry_2017_v2020.csv.gz", tmp_path / nih.ENTRIES[0]).read_text().splitlines()[1:]
    dataset = nih.read(tmp_path)
    assert len(dataset.frame) == len(text) == 112_120
    assert dataset.frame["patient"].nunique() == 30_805
    for finding in nih.FINDINGS:
        expected = sum(finding in line.split(",")[1].split("|") for line in text)
        assert dataset.frame[finding].sum() == expected > 0, finding
    assert dataset.frame.groupby("patient")["part"].nunique().max() == 1
    assert set(dataset.frame["part"]) == {"train", "selection", "test"}


def test_layout_and_lists(phantom_folder: Path, folder: Path) -> None:
    dataset, source = nih.read(folder), chexpert.read(phantom_folder)
    assert all((dataset.root / image).is_file() for image in dataset.frame["image"])
    assert len(dataset.rows("official")) == len(source.rows("official"))
    expected = (source.frame["Edema"] == 1).to_numpy()
    np.testing.assert_array_equal(dataset.labels("Edema") == 1, expected)
    pixels = image_cache.load(dataset, 24, folder / "cache")
    np.testing.assert_array_equal(pixels, image_cache.load(source, 24, folder / "cache"))


def test_without_lists_nothing_is_official(phantom_folder: Path, tmp_path: Path) -> None:
    assert len(nih.read(as_nih(phantom_folder, tmp_path, lists=False)).rows("official")) == 0


def test_everything_wrong_is_found_at_once(phantom_folder: Path, tmp_path: Path) -> None:
    folder = as_nih(phantom_folder, tmp_path)
    file = folder / nih.ENTRIES[0]
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[1], "Influenza|Edema")
    missing = lines[5].split(",")[0]
    next(folder.glob(f"*/images/{missing}")).unlink()
    file.write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        nih.read(folder)
    text = str(caught.value)
    assert len(caught.value.problems) == 2
    for part in (f"{file}, row 4", "'Influenza|Edema'", "unknown: Influenza", missing):
        assert part in text


@pytest.mark.parametrize("spelled", [str.upper, lambda name: name.removesuffix(".png"), str.swapcase])
def test_names_on_a_list_that_are_spelled_otherwise_stay_official(
    spelled: Callable[[str], str], phantom_folder: Path, tmp_path: Path
) -> None:
    """Half of the list in other case or without extension: none of it is trained on."""
    folder = as_nih(phantom_folder, tmp_path)
    names = (folder / nih.TEST_LIST).read_text().split()
    changed = [spelled(name) if number % 2 else name for number, name in enumerate(names)]
    (folder / nih.TEST_LIST).write_text("\n".join(changed))
    dataset = nih.read(folder)
    official = {Path(image).name for image in dataset.frame["image"][dataset.frame["part"] == "official"]}
    assert official == set(names)
    assert not dataset.notes


def test_images_that_the_only_list_leaves_out_are_said(phantom_folder: Path, tmp_path: Path) -> None:
    folder = as_nih(phantom_folder, tmp_path)
    official = len((folder / nih.TEST_LIST).read_text().split())
    (folder / nih.TEST_LIST).unlink()
    assert nih.read(folder).notes[0].startswith(f"{official} images are on neither list and are trained on")


def test_folder_without_entries(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Data_Entry_2017_v2020\.csv"):
        nih.read(tmp_path)


def test_columns_that_were_sorted_apart(phantom_folder: Path, tmp_path: Path) -> None:
    """A spreadsheet that sorts one column alone leaves every label and every patient with another's image."""
    file = as_nih(phantom_folder, tmp_path) / nih.ENTRIES[0]
    header, *lines = (line.split(",") for line in file.read_text().splitlines())
    names = [line[0] for line in lines]
    patients = {int(line[3]) for line in lines}
    repeated = next(
        name[:8] for place, name in enumerate(names) if name[:8] in {one[:8] for one in names[:place]}
    )
    rows = [place for place, name in enumerate(names) if name.startswith(repeated)]
    lines[rows[0]][3] = str(max(patients) + 1)
    file.write_text("\n".join(map(",".join, [header, *lines])))
    with pytest.raises(InputError) as caught:
        nih.read(tmp_path)
    (problem,) = caught.value.problems
    assert f"row {rows[0] + 2} and" in problem.where
    assert f"{repeated}_... of the patients {max(patients) + 1} and {int(repeated)}" in problem.found


def test_numbers_of_patients_that_are_not_those_of_the_names_are_told(
    phantom_folder: Path, tmp_path: Path
) -> None:
    """All of two patients exchanged: nobody is in two parts, but a column was moved."""
    file = as_nih(phantom_folder, tmp_path) / nih.ENTRIES[0]
    assert not nih.read(tmp_path).notes
    header, *lines = (line.split(",") for line in file.read_text().splitlines())
    for line in lines:
        line[3] = {"1": "2", "2": "1"}.get(line[3], line[3])
    file.write_text("\n".join(map(",".join, [header, *lines])))
    moved = [line for line in lines if line[3] in ("1", "2")]
    (note,) = nih.read(tmp_path).notes
    assert note.startswith(
        f"{len(moved)} of {len(lines)} images begin with another number than their patient's"
    )
    assert f"{moved[0][0]} of patient {moved[0][3]}" in note
