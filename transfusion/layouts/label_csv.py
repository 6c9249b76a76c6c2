"""Label columns of a table: every spelling that is not a label is reported with its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from transfusion.layouts.csv_rows import Rows
from transfusion.problems import Problem

LABELS = "1, 0, -1 or blank"

LABEL = re.compile(r"(?:[+-]?[01](?:[.,]0*)?)?", re.ASCII)

TRUTHS = {"true": 1.0, "false": 0.0}
"""What programs write of columns of truth values."""


WORDS = {
    **dict.fromkeys(("yes", "y", "t", "positive", "pos", "present", "abnormal"), "write 1"),
    **dict.fromkeys(("no", "n", "f", "negative", "neg", "absent", "normal"), "write 0"),
    **dict.fromkeys(("na", "n/a", "nan", "none", "null", "?", "unknown", "-", "."), "empty the field"),
    **dict.fromkeys(("uncertain", "possible", "maybe", "equivocal"), "write -1"),
}
"""What is often written for a label, and what to do about it."""


def _advice(spelling: str) -> str:
    if (known := WORDS.get(spelling.casefold())) is not None:
        return known if known.startswith("empty") else f"{known} in its place"
    try:
        value = float(spelling.replace(",", "."))
    except ValueError:
        return "correct or empty the field"
    return "decide for 1 or 0, by a threshold" if value % 1 else "correct or empty the field"


def parse_labels(rows: Rows, findings: Sequence[str]) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """float32 columns in {1, 0, -1, NaN}, and a problem for every spelling that is none of these."""
    labels, problems = {}, []
    for finding in findings:
        codes, spellings = pd.factorize(pd.Series(rows.columns[finding], dtype=object))
        values = np.full(len(spellings), np.nan, dtype=np.float32)
        for code, spelling in enumerate(spellings):
            if LABEL.fullmatch(spelling):
                values[code] = float(spelling.replace(",", ".")) + 0.0 if spelling else np.nan
                continue
            if (truth := TRUTHS.get(spelling.casefold())) is not None:
                values[code] = truth
                continue
            where = rows.where(np.flatnonzero(codes == code), finding)
            problems.append(Problem(where, repr(spelling), LABELS, _advice(spelling)))
        labels[finding] = values[codes]
    return labels, problems
