"""Tables as text: shape, row numbers, separators, encodings; what has two readings is refused."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import pytest

from transfusion.layouts.csv_rows import Rows, nearest, read_rows
from transfusion.problems import InputError

NAMES = ("file", "person", "Edema")


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(folder: Path, content: str | bytes) -> Rows:
    return read_rows(written(folder, content), NAMES)


def refused(folder: Path, content: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, content)
    return str(caught.value)


def fields(rows: Rows) -> list[tuple[str, ...]]:
    return list(zip(*(rows.columns[name] for name in NAMES), strict=True))


PLAIN = [("00000", "007", "1"), ("1e3", "12.0", ""), ("nan", "NA", "-1.0")]
LINES = ["00000,007,1", "1e3,12.0,", "nan,NA,-1.0"]


def joined(separator: str = ",", end: str = "\n", header: str = "file,person,Edema") -> str:
    return end.join([header, *LINES, ""]).replace(",", separator)


@pytest.mark.parametrize(
    "content",
    [
        joined(),
        joined(end="\r\n"),
        joined(end="\r"),
        joined().rstrip("\n"),
        joined(";"),
        joined("\t"),
        joined("|"),
        joined(", "),
        joined(" ; "),
        "sep=,\n" + joined(),
        "sep=;\r\n" + joined(";", "\r\n"),
        '"sep=\t"\n' + joined("\t"),
        "sep=;\r" + joined(";", "\r"),
        "\n\n" + joined(),
        "\ufeff" + joined(),
        "\ufeffsep=;\n" + joined(";"),
        joined().encode("utf-16"),
        joined().encode("utf-16-le"),
        joined().encode("utf-16-be"),
        joined().encode("utf-32"),
        gzip.compress(joined().encode()),
        joined(end=",\n"),
        joined().replace("Edema\n", "Edema,\n"),
        joined(end=",,\n").replace("Edema,,\n", "Edema\n"),
        joined(header=" file , person,Edema "),
        joined().replace("\n1e3", "\n\n,,\n   \n1e3"),
        'file,"person",Edema\n"00000" ,007,1\n'.replace('" ,', '",') + "\n".join(LINES[1:]),
    ],
)
def test_every_spelling_of_a_table_is_the_same_text(tmp_path: Path, content: str | bytes) -> None:
    assert fields(read(tmp_path, content)) == PLAIN


def test_a_zip_archive_of_one_csv_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", joined())
    assert fields(read_rows(tmp_path / "t.csv.zip", NAMES)) == PLAIN


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        (["a,p,1", "b,p", "c,q,0"], ["row 3", "found 2 fields, expected 3"]),
        (["a,p,1", "b,p,1,", "c,q,0"], ["row 3", "found 4 fields, expected 3"]),
        (["a,p,1", "b,x,p,", "c,q,0"], ["row 3", "found 4 fields, expected 3"]),
        (["a,p,1,", "b,p,", "c,q,0,"], ["row 3", "found 3 fields, expected 4"]),
        (["0,a,p,1", "1,b,p,1"], ["row 2", "found 4 fields in every row, expected 3", "row names"]),
        (["a,p", "b,p"], ["row 2", "found 2 fields in every row, expected 3"]),
        (["", "a,p,1", "", "b,p", "c,q,0"], ["row 5"]),
        (['"a\nb\nc",p,1', "b,p"], ["row 3 (line 5)"]),
        (["a,p,1", 'b,"p,1', "c,q,0"], ["row 3", "quotes"]),
        (["a,p,1", 'b,"p"x,1', "c,q,0"], ["row 3", "quotes"]),
        (["a;p;1", "b;p;0"], ["row 2", "found 1 field in every row"]),
    ],
)
def test_a_row_of_another_length_is_refused_with_its_number(
    tmp_path: Path, lines: list[str], parts: list[str]
) -> None:
    message = refused(tmp_path, "\n".join(["file,person,Edema", *lines, ""]))
    for part in parts:
        assert part in message


def test_many_rows_of_one_kind_are_one_line(tmp_path: Path) -> None:
    lines = [f"{n},p,1" if n < 200 else f"{n},p" for n in range(240)]
    message = refused(tmp_path, "\n".join(["file,person,Edema", *lines]))
    assert "row 202 and 39 more (203, 204, 205, 206, 207, ...)" in message
    assert message.startswith("1 problem ")


def test_numbers_count_blank_rows_and_what_a_quote_holds(tmp_path: Path) -> None:
    rows = read(tmp_path, 'file,person,Edema\n\n"a\n1",p,1\n,,\nb,q,0\n')
    assert rows.numbers.tolist() == [3, 5]
    assert rows.lines.tolist() == [3, 6]
    assert rows.where([0, 1], "file").endswith("row 3 and 1 more (5 (line 6)), column 'file'")
    named = read(tmp_path, 'sep=;\nfile;person;Edema\n"a\n1";p;1\nb;q;0\n')
    assert (named.header_row, named.numbers.tolist(), named.lines.tolist()) == (2, [3, 4], [3, 5])


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("file,person,Edema,Edema\na,p,1,0\n", ["row 1", "2 columns 'Edema'"]),
        ("file,person,edema\na,p,1\n", ["a column 'Edema'", "'edema' for 'Edema'"]),
        ("File Name,Person,Edema\na,p,1\n", ["a column 'file', a column 'person'", "'Person' for 'person'"]),
        ("file person Edema\na p 1\n", ["one column only", "commas"]),
        ("file,person,Edema\n", ["row 2", "nothing below the header"]),
        ("file,person,Edema\n\n,,\n", ["nothing below the header"]),
        (b"", ["an empty file"]),
        (b"\n \n", ["nothing but blanks"]),
        (b"PK\x03\x04rest", ["Excel"]),
        (b"<!DOCTYPE html><html>", ["web page"]),
        (b"version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
        (b"file,person,Edema\na,p\0,1\n", ["no text"]),
        (joined().encode("utf-16")[:-1], ["UTF-8"]),
        ("file,person,Edema\na,M\xfcller,1\nb,q,0\n".encode("latin-1"), ["row 2, column 'person'", "UTF-8"]),
        ("file,person,Edema,\xd6dem\na,p,1,\n".encode("latin-1"), ["row 1", "UTF-8"]),
    ],
)
def test_what_has_no_single_reading_is_refused(
    tmp_path: Path, content: str | bytes, parts: list[str]
) -> None:
    message = refused(tmp_path, content)
    assert message.startswith("1 problem ")
    for part in parts:
        assert part in message


def test_a_header_that_two_separators_read_is_refused_unless_the_file_names_one(tmp_path: Path) -> None:
    content = "file,person,x;file;person\na,p,y;b;q\n"
    with pytest.raises(InputError, match="a header that can be read by commas and by semicolons"):
        read_rows(written(tmp_path, content), NAMES[:2])
    rows = read_rows(written(tmp_path, "sep=;\n" + content), NAMES[:2])
    assert (rows.columns["file"], rows.columns["person"]) == (["b"], ["q"])


def test_other_bytes_in_a_column_that_is_not_read_do_no_harm(tmp_path: Path) -> None:
    content = "file,person,Edema,report,report\na,p,1,\xf6dematous,x\n".encode("latin-1")
    assert fields(read(tmp_path, content)) == [("a", "p", "1")]


def test_a_folder_names_the_tables_in_it(tmp_path: Path) -> None:
    written(tmp_path, joined())
    with pytest.raises(InputError, match=r"a folder.*name one: .*/t\.csv"):
        read_rows(tmp_path, NAMES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Pleural Effusion", "pleural_effusion"),
        ("Edema", "Oedema"),
        ("Patient ID", "PatientID"),
        ("Mass", None),
    ],
)
def test_the_nearest_name(name: str, expected: str | None) -> None:
    assert nearest(name, ["Path", "pleural_effusion", "Oedema", "PatientID"]) == expected
    assert nearest("Edemas", ["Oedema", "Edema", "Edmea"]) == "Edema", "of several the nearest"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(InputError, match="a pipe or a device"):
        read_rows(tmp_path / "t.csv", NAMES)


@pytest.mark.parametrize(("rows", "told"), [(65_535, False), (65_536, True), (65_537, False)])
def test_a_file_of_just_as_many_rows_as_a_sheet_holds_is_told(tmp_path: Path, rows: int, told: bool) -> None:
    found = read(tmp_path, "file,person,Edema\n" + "a,b,1\n" * (rows - 1))
    assert len(found) == rows - 1
    assert [note.startswith("t.csv has exactly 65,536 rows") for note in found.notes] == [True] * told
