"""Claims that are one and the same test on a grid, told once, as depth and parameters of two networks are."""

from __future__ import annotations

import pandas as pd

DIGITS = 9
"""Numbers that agree so far are the same: two ways to weigh two networks differ in their last bits."""
TEST = ["conjecture", "metric", "expects", "estimate", "low", "high"]
"""Rows of `verdicts` that agree in these are one test."""


def once(rows: pd.DataFrame) -> pd.DataFrame:
    """Tested claims, rows of `verdicts`, with those that are one test in one row, their questions joined."""
    found: dict[tuple[object, ...], list[int]] = {}
    tested = rows[rows["estimate"].notna()]
    numbers = {name: tested[name].astype(float).round(DIGITS) for name in ("estimate", "low", "high")}
    keys = tested.assign(**numbers)[TEST].astype(object)
    keys = keys.where(keys.notna(), None)
    for place, key in enumerate(keys.itertuples(index=False, name=None)):
        found.setdefault(key, []).append(place)
    kept = []
    for places in found.values():
        same = tested.iloc[places]
        first = same.iloc[0].copy()
        for question in same["question"].iloc[1:]:
            first["question"] = joined(str(first["question"]), str(question))
        kept.append(first)
    return pd.DataFrame(kept, columns=rows.columns).astype(rows.dtypes.to_dict())


def joined(one: str, other: str) -> str:
    """Two questions as one: `... in depth, at ...`, `... in width, at ...`: `... in depth or width, ...`."""
    words, others = one.split(), other.split()
    start = 0
    while start < min(len(words), len(others)) and words[start] == others[start]:
        start += 1
    end = 0
    while end < min(len(words), len(others)) - start and words[-1 - end] == others[-1 - end]:
        end += 1
    mine, theirs = words[start : len(words) - end], others[start : len(others) - end]
    if not mine or not theirs or len(mine) > 3 or len(theirs) > 3:
        return f"{one} {other}"
    between = f"{' '.join(mine).rstrip(',?')} or {' '.join(theirs)}"
    return " ".join([*words[:start], between, *words[len(words) - end :]])
