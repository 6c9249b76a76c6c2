"""Which code trained the cells, in words: where it is more than one, results may differ for that alone."""

from __future__ import annotations

import pandas as pd

DIGITS = 12


def codes(trials: pd.DataFrame) -> list[str]:
    """Every code that trained a cell of `trials`, with its cells, the most cells first.

    Codes are the same where the modules that make a result are, whatever the commit.
    """
    finished = trials[trials["status"].isin(["done", "failed"])]
    known = finished["code_digest"].fillna(finished["code_commit"]).fillna(finished["code_version"])
    groups = sorted(finished.groupby(known.fillna("")), key=lambda group: -len(group[1]))
    return [f"{_name(rows.iloc[0])} ({len(rows):,} cell{'s' * (len(rows) > 1)})" for _, rows in groups]


def several(trials: pd.DataFrame) -> str:
    """A sentence that names the codes where there is more than one, else nothing."""
    found = codes(trials)
    if len(found) < 2:
        return ""
    return f"The cells were trained by {len(found)} different codes: {'; '.join(found)}."


def _name(row: pd.Series) -> str:
    if pd.isna(row["code_version"]):
        return "one that left no version"
    commit, digest = row["code_commit"], row["code_digest"]
    known = f"commit {commit[:DIGITS]}" if pd.notna(commit) else f"code {digest}"
    changed = row["code_clean"] is not None and pd.notna(row["code_clean"]) and not row["code_clean"]
    return f"{row['code_version']}, {known}{f' with changes, code {digest}' * changed}"
