"""A user's own CSV: named columns, patients kept together, and strict reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from other_layouts import as_own_table

from transfusion.data import image_cache
from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert, csv_table
from transfusion.problems import InputError

FINDINGS = ("Edema", "Consolidation")


def read(csv: Path) -> Dataset:
    return csv_table.read(csv, path_column="file", patient_column="person", findings=FINDINGS)


def test_labels_and_images_are_those_of_the_source(phantom_folder: Path, tmp_path: Path) -> None:
    dataset, source = read(as_own_table(phantom_folder, tmp_path)), chexpert.read(phantom_folder)
    assert dataset.findings == FINDINGS
    for finding in FINDINGS:
        np.testing.assert_array_equal(dataset.frame[finding].to_numpy(), source.frame[finding].to_numpy())
    assert dataset.frame.groupby("patient")["part"].nunique().max() == 1
    assert set(dataset.frame["part"]) == {"train", "selection", "test"}
    pixels = image_cache.load(dataset, 16, tmp_path / "cache")
    np.testing.assert_array_equal(pixels, image_cache.load(source, 16, tmp_path / "cache"))


def test_chosen_columns_are_part_of_the_fingerprint(phantom_folder: Path, tmp_path: Path) -> None:
    csv = as_own_table(phantom_folder, tmp_path)
    fewer = csv_table.read(csv, path_column="file", patient_column="person", findings=("Edema",))
    assert read(csv).fingerprint != fewer.fingerprint


def test_missing_columns_are_all_named(phantom_folder: Path, tmp_path: Path) -> None:
    csv = as_own_table(phantom_folder, tmp_path)
    with pytest.raises(InputError, match="'path', a column 'patient'") as caught:
        csv_table.read(csv, path_column="path", patient_column="patient", findings=FINDINGS)
    assert len(caught.value.problems) == 1


def test_rows_that_cannot_be_used(phantom_folder: Path, tmp_path: Path) -> None:
    csv = as_own_table(phantom_folder, tmp_path)
    lines = csv.read_text().splitlines()
    lines[1] = "scan0.png,,1,0"
    lines[2] = "../scan1.png,someone,1,0"
    lines[3] = "scan2.png,someone,yes,0"
    csv.write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        read(csv)
    text = str(caught.value)
    for part in ("row 2, column 'person'", "row 3: found ../scan1.png", "row 4, column 'Edema': found 'yes'"):
        assert part in text
