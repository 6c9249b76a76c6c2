"""Whether something else in a table says whose an image is, and gives more images to one person.

Where the column of the studies is named in place of that of the patients, every study is a patient of its
own, and one person is trained and tested on. Nothing is wrong with such a table: it is said, not refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
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


@dataclass(frozen=True)
class Torn:
    """People by another sign: how many, how many of them have several ids, and the first row of one."""

    people: int
    several: int
    first: int


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
            said.append(
                f"by the column {name!r}, {torn.several:,} of {torn.people:,} people have several ids in "
                f"{column!r} and may be trained and tested on at once: if {name!r} tells people apart, "
                "name it (--patient-column)"
            )
    ends = {name: found["person"] if (found := VISIT.fullmatch(name)) else "" for name in patients.unique()}
    if torn := _torn(patients, patients.map(ends)):
        said.append(
            f"{torn.several:,} of {torn.people:,} ids in {column!r} without the visit or side at their end, "
            f"as that of {patients.iloc[torn.first]!r}, stand for several: if these are one person, give "
            "them one id"
        )
    folders = pd.Series([_folder(image) for image in images], dtype=object)
    if torn := _torn(patients, folders):
        said.append(
            f"{torn.several:,} of {torn.people:,} folders with names of people, such as "
            f"{folders.iloc[torn.first]!r}, hold images of several ids in {column!r}: is that the column of "
            "the patients (--patient-column)?"
        )
    return said


def _text(field: str) -> str:
    """The field; of bytes that are no UTF-8 a text of its own, that can be compared."""
    return field if field.isascii() else field.encode("utf-8", "surrogateescape").decode("latin-1")


def _folder(image: str) -> str:
    """The path down to the folder of one person; empty where there is none."""
    return found[0] if (found := FOLDER.match(image)) else ""


def _torn(patients: pd.Series, others: pd.Series) -> Torn | None:
    """What `others` says of people with several ids; None where nobody has, or no one is named."""
    pairs = pd.DataFrame({"patient": patients, "other": others}).drop_duplicates()
    pairs = pairs[pairs["other"].duplicated(keep=False)]  # few, where ids tell people apart
    nobody = {name for name in pairs["other"].unique() if names_nobody(name)}
    pairs = pairs[~pairs["other"].isin(nobody)]
    keys = pairs["patient"].map({name: key_of(name) for name in pairs["patient"].unique()})
    counts = keys.groupby(pairs["other"]).nunique()
    several = counts.index[counts > 1]
    if not len(several):
        return None
    people = sum(not names_nobody(name) for name in others.unique())
    return Torn(people, len(several), int(np.flatnonzero(others.isin(several))[0]))


def _plain(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())
