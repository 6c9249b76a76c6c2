"""Whether something else in a table says whose an image is, and gives more images to one person.

Where the column of the studies is named in place of that of the patients, every study is a patient of its
own, and one person is trained and tested on. Nothing is wrong with such a table: it is said, not refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import pandas as pd

from transfusion.data.identifiers import key_of, names_nobody

PEOPLE = re.compile(
    r"(patient|pat|pt|subject|subj|person|participant|individual|case)"
    r"(id|ids|no|nr|num|number|key|code|index|uid|identifier|pseudonym|name)?|id(patient|subject|person)|mrn|empi"
)
"""Names of columns that say whose an image is, in small letters and without signs."""

FOLDER = re.compile(
    r"(?:.*/)?(?:(?:patient|subject|person)[-_ ]?\d+|sub-\w+|p\d{8})(?=/)", re.IGNORECASE | re.DOTALL
)
"""A path down to the last folder that is named as one person's: CheXpert's, BIDS', MIMIC's."""

VISIT = re.compile(
    r"(?P<person>.*\w)[-_ .]"
    r"(?:(?:v|fu|tp|visit|ses|session|scan|study|exam|image|img|view|day|week|month|year)[-_ ]?\d+"
    r"|l|r|left|right|od|os|baseline|follow-?up)",
    re.IGNORECASE,
)
"""Ids that end in a visit, an image or a side: `P12_V2`, `12-left`."""


def columns(header: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """The columns that say by their name whose an image is, but for those that are `chosen`."""
    names = [name for name in header if name not in chosen and header.count(name) == 1]
    return [name for name in names if PEOPLE.fullmatch(_plain(name))]


def notes(
    patients: pd.Series, images: Sequence[str], others: Mapping[str, Sequence[str]], column: str
) -> list[str]:
    """A sentence for each other sign of a person that has several ids.

    Args:
        patients: the ids of `column`, of every row.
        images: paths.
        others: fields of the columns that may name people, by the column's name.
        column: that of the patients.
    """
    said = []
    for name, fields in others.items():
        if torn := _torn(patients, pd.Series(map(_text, fields), dtype=object)):
            people, several = torn
            said.append(
                f"by the column {name!r}, {several:,} of {people:,} people have several ids in {column!r} "
                f"and may be trained and tested on at once: if {name!r} tells people apart, name it "
                "(--patient-column)"
            )
    ends = {name: found["person"] if (found := VISIT.fullmatch(name)) else "" for name in patients.unique()}
    stems = patients.map(ends)
    if torn := _torn(patients, stems):
        people, several = torn
        first = patients[stems.map(_counts(patients, stems)).gt(1)].iloc[0]
        said.append(
            f"{several:,} of {people:,} ids in {column!r} without the visit or side at their end, as that "
            f"of {first!r}, stand for several: if these are one person, give them one id"
        )
    folders = pd.Series([_folder(image) for image in images], dtype=object)
    if torn := _torn(patients, folders):
        people, several = torn
        first = folders[folders.map(_counts(patients, folders)).gt(1)].iloc[0]
        said.append(
            f"{several:,} of {people:,} folders with names of people, such as {first!r}, hold images of "
            f"several ids in {column!r}: is that the column of the patients (--patient-column)?"
        )
    return said


def _text(field: str) -> str:
    """The field; of bytes that are no UTF-8 a text of its own, that can be compared."""
    return field if field.isascii() else field.encode("utf-8", "surrogateescape").decode("latin-1")


def _folder(image: str) -> str:
    """The path down to the folder of one person; empty where there is none."""
    return found[0] if (found := FOLDER.match(image)) else ""


def _counts(patients: pd.Series, others: pd.Series) -> pd.Series:
    """Different ids of each other sign of a person that has several; those that name nobody are left out."""
    pairs = pd.DataFrame({"patient": patients, "other": others}).drop_duplicates()
    pairs = pairs[pairs["other"].duplicated(keep=False)]  # few, where ids tell people apart
    nobody = {name for name in pairs["other"].unique() if names_nobody(name)}
    pairs = pairs[~pairs["other"].isin(nobody)]
    keys = pairs["patient"].map({name: key_of(name) for name in pairs["patient"].unique()})
    counts = keys.groupby(pairs["other"]).nunique()
    return counts[counts > 1]


def _torn(patients: pd.Series, others: pd.Series) -> tuple[int, int] | None:
    """How many people `others` names, and how many of them have several ids; None where nobody has."""
    several = len(_counts(patients, others))
    if not several:
        return None
    return sum(not names_nobody(name) for name in others.unique()), several


def _plain(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())
