"""Ids of patients: spellings of one id have one key, ids of two people have two, and nobody is no patient."""

from __future__ import annotations

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion.data.identifiers import id_problems, key_of, names_nobody

ALIKE = [
    (
        "7",
        [
            "07",
            "007",
            "7.0",
            "7.00",
            "7.",
            " 7",
            "７",
            "٧",
            "7\u200b",
            "\ufeff7",
            "'7",
            "7e0",
            "0.7e1",
            "7,0",
            "7,00",
            '="007"',
            "+7",
        ],
    ),
    ("P7", ["p7", "P07", "P 7", "P\u00a07", "Ｐ7", "P7.0", "p\u20097", "P\u00ad7"]),
    ("Müller", ["Mu\u0308ller", "MÜLLER", "müller ", "Mül ler"]),
    ("1234", ["1,234", "1.234e3", "1.234E+3", "01234", "1 234", "1.234", "1,234e3", "1234,0"]),
    ("A-1", ["a‐1", "A–01", "A−1", "A‑1", "A_1", "A1", "a_01", "\u0410-1", "\u0391-1"]),
    ("12-B", ["12B", "012_b", "12-\u0412", "12\u0392"]),
    ("1-12", ["1_12", "01_12", "1\u203f12"]),
    ("DOE^JOHN", ["DOE^JOHN^", "Doe^John^^^", "DOE JOHN", "DOE^\u0408OHN"]),
    ("ﬁ1", ["fi1", "FI1"]),
]


@pytest.mark.parametrize(("name", "others"), ALIKE, ids=[name for name, _ in ALIKE])
def test_spellings_of_one_id_have_one_key(name: str, others: list[str]) -> None:
    for other in others:
        assert key_of(other) == key_of(name), ascii(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "10"),
        ("0", "1"),
        ("a1", "b1"),
        ("1-12", "11-2"),
        ("1.5", "15"),
        ("7.1", "7"),
        ("p1", "p11"),
        ("1.0.5", "1.5"),
        ("1,5", "15"),
        ("12,3", "12"),
        ("1.23", "123"),
        ("a+7", "a7"),
        ("a1-2", "a12"),
        ("1-a", "a1"),
        ("\u0411-1", "B-1"),
    ],
)
def test_ids_of_two_people_have_two_keys(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 4), st.sampled_from(["", ".0", ".00"]))
def test_numbers_have_one_key_if_they_are_one_number(one: int, other: int, zeros: int, end: str) -> None:
    assert (key_of("0" * zeros + f"{one}{end}") == key_of(str(other))) == (one == other)


@given(st.text(max_size=12), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_unicode_forms_and_case_make_no_difference(text: str, form: str) -> None:
    assert key_of(unicodedata.normalize(form, text)) == key_of(text)
    assert key_of(text.casefold()) == key_of(text)


@pytest.mark.parametrize(
    "name", ["", "nan", "NaN", "None", "NA", "n/a", "NULL", "-", "--", "?", ".", "<NA>", "#N/A", "ｎａｎ"]
)
def test_nobody(name: str) -> None:
    assert names_nobody(name)


@pytest.mark.parametrize("name", ["0", "nancy", "N1", "nan1", "é", "患者", "-1"])
def test_somebody(name: str) -> None:
    assert not names_nobody(name)


def where(positions: list[int]) -> str:
    return f"rows {[int(position) for position in positions]}"


def test_rows_are_named_and_the_user_may_overrule() -> None:
    patients = pd.Series(["7", "a", "07", "7", "", "b", "nan", "A"])
    problems = id_problems(patients, where, distinct=False)
    assert [problem.where for problem in problems] == ["rows [4]", "rows [6]", "rows [0, 2]", "rows [1, 7]"]
    assert "'7', '07' (3 rows)" in problems[2].found
    assert "--distinct-ids" in problems[2].advice
    assert len(id_problems(patients, where, distinct=True)) == 2, "nobody is nobody all the same"


@pytest.mark.parametrize("number", ["1.23457E+11", "1,23457E+11", "1.23457e11", "1E+11"])
def test_numbers_that_a_spreadsheet_rounded(number: str) -> None:
    problems = id_problems(pd.Series([number, "b", number]), where, distinct=False)
    assert [problem.where for problem in problems] == ["rows [0, 2]"]
    assert "rounded" in problems[0].found


@pytest.mark.parametrize(
    "name",
    ["2-Jan", "02-JAN", "Jan-02", "Mar-45", "02. Jan", "1. Mrz", "Dez 02", "1/2/2003", "2003-02-01 00:00:00"],
)
def test_dates_that_a_spreadsheet_made_of_ids(name: str) -> None:
    patients = pd.Series([name, "b", name])
    problems = id_problems(patients, where, distinct=False)
    assert [problem.where for problem in problems] == ["rows [0, 2]"]
    assert "a date" in problems[0].found
    assert not id_problems(patients, where, distinct=True)


@pytest.mark.parametrize(
    "name", ["2-Jane", "Jan", "Mara-1", "2003-02-01", "1-2", "12-jan-b", "1/2", "10.12.1234"]
)
def test_ids_that_are_no_date_of_a_spreadsheet(name: str) -> None:
    assert not id_problems(pd.Series([name, "b"]), where, distinct=False)


@pytest.mark.parametrize("name", ["12e11", "3e5a", "1.5", "e+11", "1.2.3e4"])
def test_ids_that_no_spreadsheet_rounded(name: str) -> None:
    assert not id_problems(pd.Series([name, "b"]), where, distinct=False)
