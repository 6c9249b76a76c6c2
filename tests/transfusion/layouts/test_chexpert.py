"""CheXpert: the counts of the real training CSV, its layouts and prefixes, and views."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from real_csv import packaged, unpacked

from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.labels import as_fields, official_rows
from transfusion.phantom.settings import Phantom
from transfusion.problems import InputError


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """All 223,414 rows with a stand-in validation CSV; no images are needed to read labels."""
    folder = tmp_path_factory.mktemp("chexpert") / "CheXpert-v1.0-small"
    unpacked("chexpert_train.csv.gz", folder / "train.csv")
    with (folder / "valid.csv").open("w", newline="") as stream:
        rows = official_rows(234, seed=0, first_patient=64_541)
        csv.writer(stream).writerows([list(chexpert.COLUMNS), *map(as_fields, rows)])
    return chexpert.read(folder.parent, views="all")


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    """Its fields as they are written."""
    return pd.read_csv(packaged("chexpert_train.csv.gz"), dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writing.write(
        tmp_path_factory.mktemp("phantom"), Phantom(images=60, official_images=12, size=16), workers=1
    )


def test_counts_of_the_real_csv(real: Dataset) -> None:
    frame = real.frame[real.frame["part"] != "official"]
    assert len(frame) == 223_414
    assert frame["patient"].nunique() == 64_540
    assert frame["study"].nunique() == 187_641
    assert frame["view"].value_counts().to_dict() == {"frontal": 191_027, "lateral": 32_387}


@pytest.mark.parametrize(
    ("finding", "counts"),
    [("Edema", (52_246, 20_726, 12_984, 137_458)), ("Consolidation", (14_783, 28_097, 27_742, 152_792))],
)
def test_labels_and_prevalences_of_the_real_csv(
    real: Dataset, finding: str, counts: tuple[int, int, int, int]
) -> None:
    ours = (real.frame["part"] != "official").to_numpy()
    raw = real.frame[finding].to_numpy()[ours]
    positive, negative, uncertain, blank = counts
    found = ((raw == 1).sum(), (raw == 0).sum(), (raw == -1).sum(), np.isnan(raw).sum())
    assert found == counts
    rows = sum(counts)
    for policy, blanks, expected in (
        ("ones", "zeros", (positive + uncertain) / rows),
        ("zeros", "zeros", positive / rows),
        ("ignore", "zeros", positive / (rows - uncertain)),
        ("ones", "ignore", (positive + uncertain) / (rows - blank)),
        ("ignore", "ignore", positive / (positive + negative)),
    ):
        assert np.nanmean(real.labels(finding, policy, blanks)[ours], dtype=float) == pytest.approx(expected)


def test_columns_and_oddities_of_the_real_csv(texts: pd.DataFrame) -> None:
    """Taken from the file itself, and read without complaint by `real`."""
    assert tuple(texts) == chexpert.COLUMNS
    sides = Counter(texts["AP/PA"])
    assert (sides["LL"], sides["RL"]) == (16, 1)
    assert (texts["Sex"] == "Unknown").sum() == 1
    assert (texts["Age"] == "0").sum() == 3
    assert texts["Edema"].isin(["1.0", "0.0"]).sum() == 72_972
    labels = {text for finding in chexpert.FINDINGS for text in texts[finding].unique()}
    assert labels == {"1.0", "0.0", "-1.0", ""}


@pytest.mark.parametrize("finding", chexpert.FINDINGS)
def test_every_policy_of_every_finding_of_the_real_csv(
    real: Dataset, texts: pd.DataFrame, finding: str
) -> None:
    """Against a count of the fields as they are written."""
    counts = Counter(texts[finding])
    ours = (real.frame["part"] != "official").to_numpy()
    for uncertain in ("ones", "zeros", "ignore"):
        for blank in ("zeros", "ignore"):
            labels = real.labels(finding, uncertain, blank)[ours]
            assert (labels == 1).sum() == counts["1.0"] + (uncertain == "ones") * counts["-1.0"]
            zeros = counts["0.0"] + (uncertain == "zeros") * counts["-1.0"] + (blank == "zeros") * counts[""]
            assert (labels == 0).sum() == zeros


def test_parts_of_the_real_csv(real: Dataset) -> None:
    assert real.frame.groupby("patient")["part"].nunique().max() == 1
    train = real.frame[real.frame["part"] != "official"]
    patients = train.drop_duplicates("patient")["part"].value_counts(normalize=True)
    assert patients["test"] == pytest.approx(0.08, abs=0.005)
    assert patients["selection"] == pytest.approx(0.02, abs=0.003)


def test_the_studys_subsets_of_the_real_csv_are_nested(real: Dataset) -> None:
    sizes = (5_000, 50_000, 100_000, 200_000)
    subsets = [set(real.rows("train", size)) for size in sizes]
    assert tuple(len(subset) for subset in subsets) == sizes
    assert all(smaller < larger for smaller, larger in pairwise(subsets))


def test_more_than_the_training_part_of_the_real_csv_is_refused(real: Dataset) -> None:
    available = len(real.rows("train"))
    assert available == pytest.approx(0.90 * 223_414, rel=0.01)
    with pytest.raises(InputError, match=f"found {available} images, expected at least {available + 1}"):
        real.rows("train", available + 1)


def test_frontal_views_are_the_default(small: Path) -> None:
    everything, frontal = chexpert.read(small, views="all"), chexpert.read(small)
    assert set(frontal.frame["view"]) == {"frontal"}
    assert 0 < len(frontal.frame) < len(everything.frame)
    assert frontal.fingerprint == everything.fingerprint
    with pytest.raises(ValueError, match="'side'"):
        chexpert.read(small, views="side")


def test_official_part_is_the_validation_csv(small: Path) -> None:
    dataset = chexpert.read(small, views="all")
    official = dataset.frame[dataset.frame["part"] == "official"]
    assert len(official) == 12
    assert official["image"].str.startswith("valid/").all()
    assert not official[list(chexpert.FINDINGS)].isna().any().any()


@pytest.mark.parametrize("prefix", ["CheXpert-v1.0", "CheXpert-v1.0-small"])
@pytest.mark.parametrize("named", [".", "CheXpert-v1.0-small", "CheXpert-v1.0", "moved"])
def test_layouts_and_prefixes_read_alike(small: Path, tmp_path: Path, prefix: str, named: str) -> None:
    target = tmp_path / named
    shutil.copytree(small / "CheXpert-v1.0-small", target, dirs_exist_ok=True)
    for name in ("train.csv", "valid.csv"):
        text = (target / name).read_text()
        (target / name).write_text(text.replace("CheXpert-v1.0-small/", f"{prefix}/"))
    dataset = chexpert.read(target if named == "moved" else tmp_path)
    assert dataset.root == target
    assert all((dataset.root / image).is_file() for image in dataset.frame["image"])
    expected = chexpert.read(small)
    assert list(dataset.frame["image"]) == list(expected.frame["image"])
    assert (dataset.fingerprint == expected.fingerprint) == (prefix == "CheXpert-v1.0-small")


@pytest.mark.parametrize("names", [("train.csv", "valid.csv"), ("train.csv",)])
def test_csvs_without_one_path_of_the_layout_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text("Path,Frontal/Lateral,Edema\nscans/a.jpg,Frontal,1\n,Frontal,0\n")
    with pytest.raises(InputError) as caught:
        chexpert.read(tmp_path)
    text = str(caught.value)
    assert len(caught.value.problems) == (4 if len(names) == 2 else 3)
    assert "train.csv, row 2: found scans/a.jpg, expected CheXpert-v1.0-small/train/" in text
    assert "train.csv, row 3: found no path" in text


def test_csvs_beside_the_folder_of_their_prefix(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "CheXpert-v1.0-small", tmp_path / "CheXpert-v1.0-small")
    for name in ("train.csv", "valid.csv"):
        (tmp_path / "CheXpert-v1.0-small" / name).rename(tmp_path / name)
    dataset = chexpert.read(tmp_path)
    assert all((dataset.root / image).is_file() for image in dataset.frame["image"])
