"""Ids of patients: text, never numbers; whoever is not named, or named in two spellings, is a problem."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from transfusion.problems import Problem

NOBODY = frozenset(
    {
        *("nan", "<nan>", "none", "na", "<na>", "n/a", "n.a.", "n.a", "null", "nil", "nat", "no id"),
        *("#n/a", "#na", "#null!", "#value!", "#ref!", "#name?", "#num!", "#div/0!"),
        *("unknown", "undefined", "unspecified", "missing", "empty", "blank", "not available"),
        *("not applicable", "anonymous", "anonymized", "anonymised"),
    }
)
"""What stands where no patient is named, in small letters; so does whatever has no letter and no digit."""

ROUNDED = re.compile(r"\d([.,]\d+e\+?|e\+)\d+", re.IGNORECASE)
"""A long number as a spreadsheet rounds it, `1.23E+12`, `1,23E12`: many people may have become one."""

MONTHS = "jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
DATED = re.compile(
    rf"\d{{1,2}}(-|\. ?)({MONTHS})|({MONTHS})[- ]\d\d"
    r"|\d{1,2}/\d{1,2}/(19|20)\d\d|\d{4}-\d\d-\d\d 00:00:00",
    re.IGNORECASE,
)
"""A date as a spreadsheet makes it of an id, `2-Jan` of `1-2` and of `01/02`: two people may be one now."""

POINT_ZERO = re.compile(r"((\.0*)|(?<=\d),0{0,2})+$")
ZEROS = re.compile(r"^[=+0]+(?=.)|(?<!\d)0+(?=\d)")
"""Zeros before a number, and what stands before an id among them: `=`, `+`."""

THOUSANDS = re.compile(r"\d{1,3}((,\d{3})+|(\.\d{3})+)")
POWER = re.compile(r"(?=\.?\d)(\d{0,9})(?:[.,](\d{1,9}))?e\+?(\d{1,2})")
QUOTES = str.maketrans("", "", "'\"`´‘’“”^")
"""Signs without meaning in an id; `^` stands between and behind the parts of a name in DICOM."""

JOINTS = re.compile(r"(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=[^\W\d_])")
"""A hyphen between a letter and a digit."""

LATIN = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "abekmhopctyxijsabezhikmnoptyx",
)
"""Small Cyrillic and Greek letters whose capitals look like Latin ones, by what they look like."""

VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Selectors of glyphs, invisible."""

Where = Callable[[Sequence[int] | np.ndarray], str]
"""From row positions to the words that name them, such as `Rows.where`."""


def id_problems(patients: pd.Series, where: Where, distinct: bool) -> list[Problem]:
    """Rows that name no patient, ids that a spreadsheet rounded, and ids that are one but for their spelling.

    Args:
        patients: stripped text of every row.
        where: names rows.
        distinct: ids that look alike are different people, because the user says so.
    """
    codes, index = pd.factorize(patients)
    names = index.tolist()
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(names) + 1))

    def rows_of(members: Sequence[int]) -> np.ndarray:
        return np.sort(np.concatenate([order[starts[code] : starts[code + 1]] for code in members]))

    problems = []
    nobody = [code for code, name in enumerate(names) if names_nobody(name)]
    for code in nobody:
        found = f"{names[code]!r}, which names no patient" if names[code] else "no patient"
        advice = "fill it in or drop the row"
        problems.append(Problem(where(rows_of([code])), found, "the id of a patient", advice))
    if distinct:
        return problems
    for code, name in enumerate(names):
        rounded = ROUNDED.fullmatch(name)
        if rounded or DATED.fullmatch(name):
            what = "rounded by a spreadsheet" if rounded else "a date, as a spreadsheet makes of ids"
            found, advice = f"{name!r}, {what}", "export the ids anew as text"
            problems.append(Problem(where(rows_of([code])), found, "an id in full", advice))
    alike: dict[str, list[int]] = {}
    for code, name in enumerate(names):
        alike.setdefault(key_of(name), []).append(code)
    missing = set(nobody)
    for members in alike.values():
        if len(members) < 2 or missing.issuperset(members):
            continue
        spellings = ", ".join(ascii(names[code]) for code in members)
        first = [int(order[starts[code]]) for code in members]
        found = f"ids that differ in their spelling only: {spellings} ({len(rows_of(members))} rows)"
        advice = "correct them, or say that they are different people (--distinct-ids)"
        problems.append(Problem(where(first), found, "one spelling for each patient", advice))
    return problems


def names_nobody(name: str) -> bool:
    """Whether this stands for a missing id."""
    if name.isascii() and name.isalnum() and len(name) > 11:
        return False
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    return plain in NOBODY or not any(sign.isalnum() for sign in plain)


def key_of(name: str) -> str:
    """Equal for ids that differ only in zeros before a number, `.0` behind it, case, spaces, Unicode form,
    hyphens between a letter and a digit, and letters of other scripts that look alike.

    So are `="007"`, with which spreadsheets are told that it is text, `+7`, and numbers with a decimal comma.
    """
    plain = name.lower() if name.isascii() and name.isalnum() else _plain(name)
    plain = ZEROS.sub("", POINT_ZERO.sub("", ZEROS.sub("", plain)))
    if (power := POWER.fullmatch(plain)) and int(power[3]) >= len(power[2] or ""):
        plain = power[1] + (power[2] or "") + "0" * (int(power[3]) - len(power[2] or ""))
    if THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "").replace(".", "")
    return ZEROS.sub("", plain).lstrip("=+") or "0"


def _plain(name: str) -> str:
    """Small letters in compatibility form, plain digits and dashes; no spaces, quotes or invisible signs."""
    folded = name
    for _ in range(2):  # folding may undo the form, and the form the folding
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded).upper().casefold())
    signs = []
    for sign in folded.translate(QUOTES):
        kind = unicodedata.category(sign)
        if kind == "Nd":
            signs.append(str(unicodedata.decimal(sign)))
        elif kind in ("Pd", "Pc") or sign == "−":
            signs.append("-")
        elif kind not in ("Cf", "Cc") and sign not in VARIATIONS and not sign.isspace():
            signs.append(sign)
    return JOINTS.sub("", unicodedata.normalize("NFC", "".join(signs)).translate(LATIN))
