"""Doubts in the report: those that are not muted, and what became of the other checks."""

from __future__ import annotations

import pandas as pd

from analysis.report.doubts import doubts, others

ROWS = pd.DataFrame(
    {
        "code": ["TS008", "TS003", "TS001", "TS002", "TS004"],
        "title": ["one seed", "collapsed cell", "edge", "falling", "few patients"],
        "result": ["doubt", "muted", "not known", "clear", "clear"],
        "found": ["every condition has the seed 0", "1 of 9 cells", None, None, None],
        "why": "why", "action": "do this",
    }
)  # fmt: skip


def test_only_what_is_not_muted_is_told() -> None:
    shown = doubts(ROWS)
    assert shown["code"].tolist() == ["TS008"]
    assert shown["found"].tolist() == ["every condition has the seed 0"]
    assert others(ROWS) == (
        "Nothing found by TS002, TS004; not to be told here: TS001; muted: TS003. Every code: docs/checks.md."
    )


def test_nothing_is_said_without_checks() -> None:
    assert doubts(ROWS.iloc[:0]).empty
    assert others(ROWS.iloc[:0]) == ""
