"""Verdicts that were printed before: known afterwards, and what they do to the 5 %."""

from __future__ import annotations

import pandas as pd

from analysis.claims import earlier
from analysis.claims.earlier import Earlier


def table(seeds: int, verdict: str, p: float | None = 0.5) -> pd.DataFrame:
    row = {
        "conjecture": 3,
        "claim": "c",
        "seeds": seeds,
        "verdict": verdict,
        "p_supported": p,
        "p_refuted": p,
    }
    return pd.DataFrame([row])


def test_one_seed_tests_nothing_and_counts_for_nothing(tmp_path):
    earlier.keep(tmp_path, earlier.of_table(table(1, "undecided", None)))
    assert earlier.read(tmp_path) == []


def test_analyses_are_kept_by_their_seeds(tmp_path):
    for seeds, verdict in ((2, "undecided"), (2, "refuted"), (4, "supported")):
        earlier.keep(tmp_path, earlier.of_table(table(seeds, verdict)))
    assert earlier.read(tmp_path) == [Earlier(2, {"3: c": "refuted"}), Earlier(4, {"3: c": "supported"})]


def test_the_first_analysis_and_its_repetition_say_nothing(tmp_path):
    now = earlier.of_table(table(3, "supported"))
    assert earlier.told([], now, looks=0) == ""
    assert earlier.told([now], now, looks=0) == ""


def test_seeds_added_after_a_verdict_are_told_with_what_they_cost():
    """Three analyses, each wrong in 5 % at most, are wrong in 15 % at most, under any dependence."""
    before = [Earlier(2, {"3: c": "undecided"}), Earlier(3, {"3: c": "supported"})]
    text = earlier.told(before, Earlier(5, {"3: c": "supported"}), looks=0)
    assert "with 2 and 3 seeds" in text
    assert "All 3 together are wrong in at most 15 %" in text
    assert "Other verdicts than before: 3: c" in text
    assert "--until-decided" in text
    same = earlier.told([before[1]], Earlier(5, {"3: c": "supported", "3: new": "refuted"}), looks=0)
    assert "printed before, with 3 seeds" in same
    assert "Other verdicts" not in same
    assert "Other verdicts" not in earlier.told(before, None, looks=0)


def test_looks_are_one_analysis_beside_those_before_them():
    text = earlier.told([Earlier(3, {})], Earlier(3, {}), looks=1)
    assert "All 2 together are wrong in at most 10 %" in text


def test_a_damaged_file_is_as_none(tmp_path):
    (tmp_path / earlier.FILE).write_text("{")
    assert earlier.read(tmp_path) == []
