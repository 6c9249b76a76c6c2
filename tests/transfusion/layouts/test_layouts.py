"""Where files are looked for: the distributed layouts and no others; of two candidates both are named."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from imagenet_folder import write_images
from other_layouts import as_nih, as_own_table
from PIL import Image

from sweeps import full_grid
from sweeps.inputs.effects import without_effect
from sweeps.options.command_line import options_of
from transfusion.layouts import chexpert, imagenet, nih
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom
from transfusion.problems import InputError

BATCHES = (
    "CheXpert-v1.0 batch 1 (validate & csv)",
    "CheXpert-v1.0 batch 2 (train 1)",
    "CheXpert-v1.0 batch 3 (train 2)",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writing.write(
        tmp_path_factory.mktemp("small"), Phantom(images=60, official_images=12, size=16), workers=1
    )


@pytest.fixture
def batches(small: Path, tmp_path: Path) -> Path:
    source = small / "CheXpert-v1.0-small"
    for batch in BATCHES:
        (tmp_path / batch).mkdir()
    shutil.copytree(source / "valid", tmp_path / BATCHES[0] / "valid")
    for number, patient in enumerate(sorted((source / "train").iterdir())):
        shutil.copytree(patient, tmp_path / BATCHES[1 + number % 2] / patient.name)
    for name in ("train.csv", "valid.csv"):
        text = (source / name).read_text().replace("CheXpert-v1.0-small/", "CheXpert-v1.0/")
        (tmp_path / BATCHES[0] / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("named", [".", BATCHES[0]])
def test_batches_of_the_full_size_set(small: Path, batches: Path, named: str) -> None:
    dataset, expected = chexpert.read(batches / named, views="all"), chexpert.read(small, views="all")
    assert all((dataset.root / image).is_file() for image in dataset.frame["image"])
    columns = ["patient", "study", "view", "part", "Edema"]
    pd.testing.assert_frame_equal(dataset.frame[columns], expected.frame[columns])
    for ours, theirs in zip(dataset.frame["image"], expected.frame["image"], strict=True):
        assert (dataset.root / ours).read_bytes() == (expected.root / theirs).read_bytes()


def test_a_patient_in_two_batches_is_refused_with_both(batches: Path) -> None:
    patient = sorted((batches / BATCHES[1]).iterdir())[0]
    shutil.copytree(patient, batches / BATCHES[2] / patient.name)
    with pytest.raises(InputError) as caught:
        chexpert.read(batches, views="all")
    assert f"{BATCHES[1]!r} and in {BATCHES[2]!r}" in str(caught.value)


def test_two_sets_in_one_folder_are_both_named(small: Path, tmp_path: Path) -> None:
    for name in ("CheXpert-v1.0-small", "CheXpert-v1.0"):
        shutil.copytree(small / "CheXpert-v1.0-small", tmp_path / name)
    with pytest.raises(InputError, match=r"CSVs in 'CheXpert-v1\.0-small' and in 'CheXpert-v1\.0'"):
        chexpert.read(tmp_path)


@pytest.mark.parametrize(
    "other", ["CheXpert-v1.0/", "chexpert-v1.0-small/", "./CheXpert-v1.0/", "CheXpert-v1.0\\"]
)
def test_a_row_once_more_under_another_prefix(small: Path, tmp_path: Path, other: str) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "CheXpert-v1.0-small" / "train.csv"
    line = file.read_text().splitlines()[4].replace("CheXpert-v1.0-small/", other)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(
        InputError, match=r"train\.csv, row 62: found .* once more \(as .*train\.csv, row 5\)"
    ):
        chexpert.read(tmp_path)


@pytest.mark.parametrize("dropped", [["Sex", "Age", "AP/PA"], ["Fracture", "No Finding"]])
def test_columns_that_are_not_used_may_be_absent(small: Path, tmp_path: Path, dropped: list[str]) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    for name in ("train.csv", "valid.csv"):
        file = tmp_path / "CheXpert-v1.0-small" / name
        pd.read_csv(file, dtype=str, keep_default_na=False).drop(columns=dropped).to_csv(file, index=False)
    dataset = chexpert.read(tmp_path, findings=("Edema",))
    assert set(dataset.findings) == set(chexpert.FINDINGS) - set(dropped)
    assert dataset.frame["Edema"].equals(chexpert.read(small).frame["Edema"])
    if "Fracture" in dropped:
        with pytest.raises(InputError, match="a column 'Fracture'"):
            chexpert.read(tmp_path, findings=("Fracture",))


def test_patients_of_both_lists_that_look_alike(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "CheXpert-v1.0-small" / "valid.csv"
    first = (tmp_path / "CheXpert-v1.0-small" / "train.csv").read_text().splitlines()[1]
    line = first.replace("/train/patient00001", "/valid/patient1")
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(InputError, match="'patient00001', 'patient1'"):
        chexpert.read(tmp_path)
    assert {"patient00001", "patient1"} < set(chexpert.read(tmp_path, distinct_ids=True).frame["patient"])


@pytest.mark.parametrize(
    "other", ["images_masks", "images_old", "images_013", "images_1", ".images", "lungs"]
)
def test_other_folders_beside_the_images_are_not_looked_into(small: Path, tmp_path: Path, other: str) -> None:
    folder = as_nih(small, tmp_path)
    expected = nih.read(folder).frame
    (folder / other).mkdir()
    for image in expected["image"][:40]:
        Image.new("L", (8, 8)).save(folder / other / Path(image).name)
    pd.testing.assert_frame_equal(nih.read(folder).frame, expected)


@pytest.mark.parametrize("place", ["images", "images/images_001", "images_003", "sample/images"])
def test_an_image_in_two_distributed_folders(small: Path, tmp_path: Path, place: str) -> None:
    folder = as_nih(small, tmp_path)
    image = nih.read(folder).frame["image"].iloc[3]
    (folder / place).mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / image, folder / place)
    with pytest.raises(InputError) as caught:
        nih.read(folder)
    text = str(caught.value)
    assert text.startswith("1 problem ")
    assert "row 5" in text
    for named in (repr(place), repr(str(Path(image).parent))):
        assert named in text


@pytest.mark.parametrize("place", ["", "images", "images/images", "images/images_002", "sample/images"])
def test_every_distributed_place_of_the_images(small: Path, tmp_path: Path, place: str) -> None:
    folder = as_nih(small, tmp_path)
    files = list(folder.glob("images_*/images/*.png"))
    (folder / place).mkdir(parents=True, exist_ok=True)
    for file in files:
        file.rename(folder / place / file.name)
    dataset = nih.read(folder)
    assert all((folder / image).is_file() for image in dataset.frame["image"])


def test_names_on_the_lists_that_were_cut_from_the_entries(small: Path, tmp_path: Path) -> None:
    folder = as_nih(small, tmp_path)
    file = folder / nih.ENTRIES[0]
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *lines[1::3]]))
    kept = {line.split(",")[0] for line in lines[1::3]}
    official = set((folder / nih.TEST_LIST).read_text().split())
    dataset = nih.read(folder)
    assert len(dataset.rows("official")) == len(kept & official) > 0
    assert any(
        note.startswith(f"{len(official - kept)} of the {len(official)} names in test_list.txt")
        for note in dataset.notes
    )


def test_a_name_on_both_lists_and_lists_of_other_images(small: Path, tmp_path: Path) -> None:
    folder = as_nih(small, tmp_path)
    name = (folder / nih.TRAINING_LIST).read_text().split()[0]
    with (folder / nih.TEST_LIST).open("a") as stream:
        stream.write(name)
    with pytest.raises(InputError, match=f"{name} on both lists"):
        nih.read(folder)
    (folder / nih.TEST_LIST).write_text("x.png\ny.png\n")
    with pytest.raises(InputError, match=r"only images that .* does not list, x\.png first"):
        nih.read(folder)


def test_hidden_folders_and_files_are_no_classes(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "ImageNet")
    expected = imagenet.read(folder, 30)
    for name in (".ipynb_checkpoints", "__MACOSX", ".Trash"):
        (folder / "train" / name).mkdir()
        Image.new("RGB", (8, 8)).save(folder / "train" / name / "x.JPEG")
    for name in ("._n01_3.JPEG", ".n01/x.JPEG"):
        (folder / "train" / "n01" / name).parent.mkdir(exist_ok=True)
        (folder / "train" / "n01" / name).write_bytes(b"no image")
    dataset = imagenet.read(folder, 30)
    assert dataset.frame.equals(expected.frame)


@pytest.mark.parametrize(("other", "names"), [("ILSVRC/Data/CLS-LOC/train", "CLS-LOC"), (".", "ImageNet'")])
def test_two_layouts_of_classes_are_both_named(tmp_path: Path, other: str, names: str) -> None:
    folder = write_images(tmp_path / "ImageNet")
    for name in ("n01", "n02"):
        shutil.copytree(folder / "train" / name, folder / other / name)
    with pytest.raises(InputError) as caught:
        imagenet.read(folder, 20)
    assert str(folder / "train") in str(caught.value)
    assert names in str(caught.value)


def test_a_validation_set_beside_the_classes_is_no_class(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "ImageNet")
    expected = imagenet.read(folder, 30).frame
    shutil.copytree(folder / "train", folder / "val")
    (folder / "test").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "test" / "x.JPEG")
    assert imagenet.read(folder, 30).frame.equals(expected)


def labels_csv(small: Path, folder: Path, change: str) -> Path:
    """Fifty rows of a phantom, changed as named."""
    with (small / "CheXpert-v1.0-small" / "train.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))[:51]
    encoding = "utf-8"
    if change == "bom":
        encoding = "utf-8-sig"
    elif change == "report":
        rows = [
            [*row, "report" if number == 0 else 'FINDINGS:\nnone, "clear"'] for number, row in enumerate(rows)
        ]
    elif change == "short":
        rows[30] = rows[30][:3]
    elif change == "label":
        rows[30][9] = "2.0"
    elif change == "age":
        rows[30][2] = "nan"
    elif change == "view":
        rows[30][3] = ""
    elif change == "path":
        rows[30][0] = ""
    elif change == "twice":
        rows[30][0] = rows[20][0].replace("CheXpert-v1.0-small", "CheXpert-v1.0")
    file = folder / f"{change}.csv"
    with file.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows(rows)
    return file


@pytest.mark.parametrize("change", ["bom", "report"])
def test_given_rows_are_drawn_whatever_surrounds_them(small: Path, tmp_path: Path, change: str) -> None:
    labels = labels_csv(small, tmp_path, change)
    options = [str(tmp_path / "new"), "--labels", str(labels), "--images", "20", "--size", "16"]
    assert writing.main([*options, "--official-images", "12"]) == 0
    dataset = chexpert.read(tmp_path / "new", views="all")
    expected = chexpert.read(small, views="all").frame.iloc[:20]
    drawn = dataset.frame[dataset.frame["part"] != "official"]
    columns = ["image", "patient", "view", *chexpert.FINDINGS]
    pd.testing.assert_frame_equal(drawn[columns], expected[columns])
    for image in drawn["image"]:
        with (
            Image.open(dataset.root / image) as ours,
            Image.open(small / "CheXpert-v1.0-small" / image) as theirs,
        ):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("change", ["short", "label", "age", "view", "path", "twice"])
def test_given_rows_are_read_as_strictly_as_to_train_on(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    labels = labels_csv(small, tmp_path, change)
    assert writing.main([str(tmp_path / "new"), "--labels", str(labels), "--size", "16"]) == 2
    assert f"{change}.csv, row 31" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


SMALL = ["--preset", "smoke", "--architectures", "cbr_tiny", "--train-images", "8", "--dry-run"]


def test_results_beside_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    writing.write(Path("..") / "study", Phantom(images=5, official_images=3, size=16), workers=1)
    assert len(list((tmp_path / "study").rglob("*.jpg"))) == 8


def test_the_first_command_on_an_own_table(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = as_own_table(phantom_folder, tmp_path / "own", ("Edema",))
    columns = [
        "--path-column",
        "file",
        "--patient-column",
        "person",
        "--blank",
        "zeros",
        "--uncertain",
        "Edema=ones",
    ]
    command = [*SMALL, "--dataset", "table", "--data", str(table), *columns, "--out", str(tmp_path / "out")]
    assert full_grid.main(command) == 2
    error = capsys.readouterr().err
    assert "--inits consolidation: found no column Consolidation" in error
    assert "leave that pretraining out: --inits random photos" in error
    assert full_grid.main([*command, "--inits", "random", "photos"]) == 0


def test_distinct_ids_is_an_option_of_data_of_ones_own(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = as_own_table(phantom_folder, tmp_path / "own", ("Edema",))
    lines = table.read_text().splitlines()
    lines[5] = lines[5].replace("patient0", "Patient ")
    table.write_text("\n".join(lines))
    columns = [
        "--path-column",
        "file",
        "--patient-column",
        "person",
        "--blank",
        "zeros",
        "--uncertain",
        "Edema=ones",
    ]
    command = [*SMALL, "--dataset", "table", "--data", str(table), *columns, "--out", str(tmp_path / "out")]
    command += ["--inits", "random"]
    assert full_grid.main(command) == 2
    assert "row 6, column 'person'" in (error := capsys.readouterr().err) or "(6)" in error
    assert full_grid.main([*command, "--distinct-ids"]) == 0
    embedded = options_of([*SMALL, "--distinct-ids"])
    assert "--distinct-ids: found the embedded phantom" in str(without_effect(embedded, ["Edema"])[0])
