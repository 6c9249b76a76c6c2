"""What a user forgot to say of a table is told with the names to choose from."""

from pathlib import Path

import pytest
from wrong_tables import TABLE, picture

from transfusion.layouts.readers import READERS, Request
from transfusion.problems import InputError, SettingError


@pytest.mark.parametrize(
    "content", ["file;person;Edema\r\na.png;p;1\r\n", "sep=,\nfile,person,Edema\na.png,p,1\n"]
)
def test_columns_that_were_not_named_are_listed(tmp_path: Path, content: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbf" + content.encode())
    with pytest.raises(SettingError, match=r"--patient-column: found nothing.*'file', 'person', 'Edema'"):
        READERS["table"].read(Request(data=table, findings=("Edema",), path_column="file"))


@pytest.mark.parametrize(
    ("given", "missing"),
    [({"patient_column": "person"}, "--path-column"), ({}, "--path-column, --patient-column")],
)
def test_only_the_columns_that_were_not_named_are_asked_for(
    tmp_path: Path, given: dict[str, str], missing: str
) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    with pytest.raises(SettingError, match=f"^{missing}: found nothing"):
        READERS["table"].read(Request(data=tmp_path / "t.csv", findings=("Edema",), **given))


def test_a_table_whose_columns_are_named_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    for n in range(16):
        picture(tmp_path / f"im{n}.png")
    named = {"path_column": "file", "patient_column": "person"}
    dataset = READERS["table"].read(Request(data=tmp_path / "t.csv", findings=("Edema",), **named))
    assert dataset.frame["patient"].tolist() == [f"p{n // 2}" for n in range(16)]


def test_a_column_that_is_to_be_trained_must_be_in_chexperts_lists(tmp_path: Path) -> None:
    for name, part in (("train.csv", "train"), ("valid.csv", "valid")):
        row = f"CheXpert-v1.0/{part}/patient{part}/study1/a.jpg,Frontal,1"
        (tmp_path / name).write_text(f"Path,Frontal/Lateral,Edema\n{row}\n")
    with pytest.raises(InputError, match=r"train\.csv, row 1: .*a column 'Fracture'"):
        READERS["chexpert"].read(Request(data=tmp_path, findings=("Edema", "Fracture")))
