"""The phantom: CheXpert's layout and prevalences, the same bytes always, and findings that can be seen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from real_csv import packaged, unpacked

from transfusion.layouts import chexpert
from transfusion.layouts.chexpert import FINDINGS
from transfusion.phantom import writing
from transfusion.phantom.labels import LABEL_SHARES, Radiograph, official_rows, training_rows
from transfusion.phantom.render import render
from transfusion.phantom.settings import Phantom
from transfusion.problems import InputError

FOLDER = "CheXpert-v1.0-small"


def row_with(finding: str | None, label: float = 1.0, patient: int = 1, view: str = "frontal") -> Radiograph:
    labels = [label if name == finding else float("nan") for name in FINDINGS]
    path = f"{FOLDER}/train/patient{patient:05d}/study1/view1_{view}.jpg"
    return Radiograph(path, "Female", 60, view, "AP" if view == "frontal" else "", tuple(labels))


def digest(folder: Path) -> str:
    content = hashlib.sha256()
    for file in sorted(folder.rglob("*.*g")) + sorted(folder.rglob("*.csv")):
        content.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return content.hexdigest()


def test_bytes_are_the_same_on_every_run_and_for_every_worker_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FEW", 16)
    settings = {"images": 50, "official_images": 10, "size": 24, "seed": 5}
    one = digest(writing.write(tmp_path / "one", Phantom(**settings), workers=1))
    assert one == digest(writing.write(tmp_path / "three", Phantom(**settings), workers=3))
    assert one != digest(writing.write(tmp_path / "other", Phantom(**{**settings, "seed": 6}), workers=1))


def test_complete_phantom_is_left_alone_and_an_interrupted_one_is_finished(tmp_path: Path) -> None:
    settings = {"images": 20, "official_images": 5, "size": 24}
    writing.write(tmp_path, Phantom(**settings))
    expected = digest(tmp_path)
    calls: list[int] = []
    writing.write(tmp_path, Phantom(**settings), progress=lambda done, total: calls.append(done))
    assert not calls
    folder = tmp_path / FOLDER
    (folder / "phantom.json").rename(folder / "unfinished.json")
    next(folder.rglob("*.jpg")).unlink()
    writing.write(tmp_path, Phantom(**settings))
    assert digest(tmp_path) == expected
    with pytest.raises(InputError, match="another phantom"):
        writing.write(tmp_path, Phantom(**{**settings, "size": 25}))


def test_folder_of_another_origin_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "train.csv").write_text("mine")
    with pytest.raises(InputError, match="files of another origin"):
        writing.write(tmp_path, Phantom(images=10))
    assert (tmp_path / FOLDER / "train.csv").read_text() == "mine"


@pytest.mark.parametrize(("name", "value"), [("images", 0), ("size", 2), ("difficulty", 1.5)])
def test_settings_out_of_range_are_refused(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}: found {value}"):
        writing.write(tmp_path / "new", Phantom(**{"images": 10, name: value}))
    assert not (tmp_path / "new").exists()


def test_prevalences_are_those_of_chexpert() -> None:
    rows = training_rows(12_000, seed=0)
    labels = np.array([row.labels for row in rows])
    for column, finding in enumerate(FINDINGS):
        for value, share in zip((1, 0, -1), LABEL_SHARES[finding], strict=True):
            found = (labels[:, column] == value).mean()
            assert found == pytest.approx(share, abs=0.03), (finding, value)
    healthy = labels[:, 0] == 1
    assert not (labels[healthy, 1:-1] == 1).any()
    assert np.mean([row.view == "lateral" for row in rows]) == pytest.approx(32_387 / 223_414, abs=0.03)
    edema, effusion = (
        labels[:, FINDINGS.index("Edema")] == 1,
        labels[:, FINDINGS.index("Pleural Effusion")] == 1,
    )
    assert 0.05 < np.corrcoef(edema, effusion)[0, 1] < 0.3


def test_shares_are_those_of_the_real_csv() -> None:
    rows = pd.read_csv(packaged("chexpert_train.csv.gz"), dtype=str, keep_default_na=False)
    for finding, shares in LABEL_SHARES.items():
        for text, share in zip(("1.0", "0.0", "-1.0"), shares, strict=True):
            assert (rows[finding] == text).mean() == pytest.approx(share, abs=1e-4)


def test_official_rows_have_the_numbers_of_the_validation_split() -> None:
    rows = official_rows(234, seed=0, first_patient=64_541)
    studies = {row.path.rsplit("/", 1)[0]: row.labels for row in rows}
    assert (len(rows), len(studies)) == (234, 200)
    assert len({row.path.split("/")[2] for row in rows}) == 200
    assert sum(row.view == "frontal" for row in rows) == 202
    labels = np.array(list(studies.values()))
    assert set(np.unique(labels)) == {0.0, 1.0}
    assert labels[:, FINDINGS.index("Edema")].sum() == 42
    assert (labels.sum(axis=0) >= 2).all()


def test_layout_columns_and_label_strings(phantom_folder: Path) -> None:
    folder = phantom_folder / FOLDER
    for name in ("train.csv", "valid.csv"):
        lines = (folder / name).read_text().splitlines()
        assert lines[0].split(",") == list(chexpert.COLUMNS)
        for line in lines[1:]:
            fields = line.split(",")
            assert len(fields) == 19
            assert set(fields[5:]) <= {"1.0", "0.0", "-1.0", ""}
            with Image.open(phantom_folder / fields[0]) as image:
                assert (image.format, image.mode) == ("JPEG", "L")
                assert (image.width > image.height) == (fields[3] == "Frontal")
    assert json.loads((folder / "phantom.json").read_text())["images"] == 800


@pytest.mark.parametrize("view", ["frontal", "lateral"])
@pytest.mark.parametrize("finding", FINDINGS[1:])
def test_every_finding_can_be_seen(finding: str, view: str) -> None:
    """Against the same patient, pose and noise without it: something changes, and not for a label of 0."""
    changes = []
    for patient in range(1, 6):
        healthy = render(row_with(None, patient=patient, view=view), 96).astype(float)
        ill = render(row_with(finding, patient=patient, view=view), 96).astype(float)
        np.testing.assert_array_equal(healthy, render(row_with(finding, 0.0, patient, view), 96))
        changes.append(np.abs(ill - healthy).max())
    assert np.median(changes) > 8


def test_edema_is_bilateral_haze_and_consolidation_is_focal() -> None:
    shares = {}
    for finding in ("Edema", "Consolidation"):
        halves = []
        for patient in range(1, 9):
            change = render(row_with(finding, patient=patient), 96).astype(float)
            change -= render(row_with(None, patient=patient), 96)
            left, right = change[:, :58].sum(), change[:, 58:].sum()
            assert left + right > 0, "it brightens"
            halves.append(min(left, right) / max(left, right))
        shares[finding] = float(np.median(halves))
    assert shares["Edema"] > 0.5
    assert shares["Consolidation"] < 0.2


def test_uncertain_labels_hide_a_truth_that_suits_their_policy() -> None:
    present = {}
    for finding in ("Edema", "Consolidation"):
        shown = [
            not np.array_equal(
                render(row_with(finding, -1.0, patient), 32), render(row_with(None, patient=patient), 32)
            )
            for patient in range(150)
        ]
        present[finding] = np.mean(shown)
    assert present["Edema"] == pytest.approx(0.8, abs=0.12)
    assert present["Consolidation"] == pytest.approx(0.15, abs=0.1)


def test_difficulty_makes_findings_fainter() -> None:
    contrast = []
    for difficulty in (0.0, 0.5, 1.0):
        changes = []
        for patient in range(1, 9):
            ill = render(row_with("Edema", patient=patient), 64, difficulty=difficulty).astype(float)
            healthy = render(row_with(None, patient=patient), 64, difficulty=difficulty)
            changes.append((ill - healthy).mean())
        contrast.append(np.mean(changes))
    assert contrast[0] > contrast[1] > contrast[2] > 0


def test_real_rows_are_drawn_and_kept_as_they_are(tmp_path: Path) -> None:
    labels = unpacked("chexpert_train.csv.gz", tmp_path / "real.csv", lines=201)
    data = writing.write(tmp_path / "data", Phantom(images=150, official_images=20, size=16, labels=labels))
    written = (data / FOLDER / "train.csv").read_text().splitlines()
    assert written == labels.read_text().splitlines()[:151]
    dataset = chexpert.read(data, views="all")
    assert len(dataset.frame) == 170
    assert all((dataset.root / image).is_file() for image in dataset.frame["image"])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert writing.main([str(tmp_path / "a"), "--images", "5", "--official-images", "2", "--size", "16"]) == 0
    assert len(list((tmp_path / "a").rglob("*.jpg"))) == 7
    assert writing.main([str(tmp_path / "b"), "--labels", str(tmp_path / "none.csv")]) == 2
    assert "none.csv: found no such file" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
