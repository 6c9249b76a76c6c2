"""A table that says twice whose an image is: where the column chosen tells finer, the plan says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from transfusion.layouts import csv_table
from transfusion.layouts.other_people import FOLDER, PEOPLE, columns


def notes_of(folder: Path, header: str, *rows: str) -> tuple[str, ...]:
    """Of a table whose first two columns are the file and what is named as the patient."""
    for number, row in enumerate(rows):
        file = folder / row.split(",")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(file)
    (folder / "t.csv").write_text("\n".join([header, *rows]))
    column = header.split(",")[1]
    names = {"path_column": "file", "patient_column": column, "findings": ("Edema",)}
    return csv_table.read(folder / "t.csv", **names).notes


@pytest.mark.parametrize("other", ["subject_id", "Patient ID", "PatientID", "patient", "MRN", "Person-Nr."])
def test_studies_in_place_of_patients_are_told(tmp_path: Path, other: str) -> None:
    header = f"file,study_id,{other},Edema"
    (note,) = notes_of(
        tmp_path, header, "a.png,s1,7,1", "b.png,s2,7,0", "c.png,s3,8,0", "d.png,s4,,0", "e.png,s5,,0"
    )
    assert note.startswith(f"by the column {other!r}, 1 of 2 people have several ids in 'study_id'")


@pytest.mark.parametrize(
    "other", ["Patient Age", "patient_sex", "subjective", "studies", "PatientOrientation"]
)
def test_other_columns_are_not_taken_for_people(tmp_path: Path, other: str) -> None:
    assert not notes_of(tmp_path, f"file,id,{other},Edema", "a.png,s1,7,1", "b.png,s2,7,0")
    assert not PEOPLE.fullmatch(other.replace(" ", "").casefold())


def test_a_column_that_tells_as_much_or_finer_is_not_told(tmp_path: Path) -> None:
    rows = ("a.png,p1,7,1", "b.png,p1,8,0", "c.png,p2,9,0")
    assert not notes_of(tmp_path, "file,person,patient_id,Edema", *rows)
    assert not notes_of(
        tmp_path, "file,person,patient_id,Edema", "a.png,p1,,1", "b.png,p2,NA,0", "c.png,p3,NA,0"
    )


@pytest.mark.parametrize(
    ("one", "other"), [("P1_V1", "P1_V2"), ("7-left", "7-right"), ("A ses-01", "A ses-02")]
)
def test_visits_and_sides_in_place_of_patients_are_told(tmp_path: Path, one: str, other: str) -> None:
    (note,) = notes_of(
        tmp_path, "file,id,Edema", f"a.png,{one},1", f"b.png,{other},0", "c.png,P3_V1,1", "d.png,P4,0"
    )
    assert note.startswith("1 of 2 ids in 'id' without the visit or side at their end")
    assert repr(one) in note


@pytest.mark.parametrize(("one", "other"), [("A-1", "A-2"), ("site1_12", "site1_13"), ("P1V", "P1W")])
def test_other_ids_that_begin_alike_are_not_told(tmp_path: Path, one: str, other: str) -> None:
    assert not notes_of(tmp_path, "file,id,Edema", f"a.png,{one},1", f"b.png,{other},0")


def test_bytes_that_are_no_utf8_in_the_other_column_do_no_harm(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 3).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_bytes(b"file,id,patient_name,Edema\na.png,1,M\xfcller,1\n")
    csv_table.read(tmp_path / "t.csv", path_column="file", patient_column="id", findings=("Edema",))


def test_a_name_twice_is_no_column_to_compare_with() -> None:
    assert columns(["file", "patient", "patient", "subject", "person"], ["person"]) == ["subject"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("files/p10/p10000032/s1/a.jpg", "files/p10/p10000032/s2/b.jpg"),
        ("sub-01/ses-01/a.png", "sub-01/ses-02/a.png"),
        ("train/patient00012/study1/v.jpg", "train/patient00012/study2/v.jpg"),
    ],
)
def test_folders_of_one_person_with_several_ids_are_told(tmp_path: Path, one: str, other: str) -> None:
    (note,) = notes_of(tmp_path, "file,id,Edema", f"{one},1,1", f"{other},2,0", "sub-03/c.png,3,0")
    assert note.startswith("1 of 2 folders with names of people")
    assert str(Path(one).parent.parent) in note


def test_folders_of_many_people_are_no_person() -> None:
    for name in ("p10", "part_001", "images_002", "subset1", "patients", "submitted", "patient"):
        assert not FOLDER.match(f"a/{name}/b.png")
    assert not FOLDER.match("a/patient1.png")
