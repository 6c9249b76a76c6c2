"""Rows of the table of verdicts: p-values corrected, verdicts of conjectures, and what is not known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.claims.conjectures import CLAIMS, CONJECTURES
from analysis.claims.hours import Hours
from analysis.claims.judged import Judged
from analysis.claims.needed import Needed
from analysis.claims.verdict_table import verdict_table
from analysis.statistics.contrasts import Estimate
from analysis.tables.schema import VERDICTS

FOUND = Estimate(0.004, -0.01, 0.018, 0.007, 10, "measured", 0.02, 3, 900, 200, 84, 2, 1e-6)


def judged(**p: tuple[float, float]) -> list[Judged]:
    """Every claim with p of both of its tests, of 13; 0.5 where none is given."""
    return [
        Judged(claim, FOUND, 0.01, *p.get(claim.name, (0.5, 0.5)), 13, "undecided", "unknown")
        for claim in CLAIMS
    ]


def test_every_claim_stands_under_its_conjecture_and_the_conjecture_last() -> None:
    table = verdict_table(judged(), "photos")
    assert list(table) == [column.name for column in VERDICTS]
    expected = [
        (number, name)
        for number in CONJECTURES
        for name in [*(claim.name for claim in CLAIMS if claim.conjecture == number), "overall"]
    ]
    assert list(zip(table["conjecture"], table["claim"], strict=True)) == expected
    overall = table[table["claim"] == "overall"]
    assert overall["question"].tolist() == list(CONJECTURES.values())
    assert overall[["estimate", "p_supported", "margin"]].isna().all(axis=None)
    text = " ".join(verdict_table(judged(), None)["question"])
    assert "natural images" in text
    assert "{" not in text


def test_p_values_are_told_after_the_correction_for_13_tests() -> None:
    name = "last_doubling_gains_nothing"
    for pair, expected in (
        ((0.01, 0.05), (0.13, 0.65)),
        ((0.5, 0.9), (1, 1)),
        ((np.nan,) * 2, (np.nan,) * 2),
    ):
        row = verdict_table(judged(**{name: pair}), "photos").set_index("claim").loc[name]
        assert (row["p_supported"], row["p_refuted"]) == pytest.approx(expected, nan_ok=True)


def test_conjectures_follow_from_the_claims_that_they_need_or_were_decided_at_looks() -> None:
    needed = {claim.name: (0.001, 1.0) for claim in CLAIMS if claim.conjecture == 3 and claim.needed}
    claims = judged(**needed)
    assert needed

    def verdicts(table: pd.DataFrame) -> dict[int, str]:
        return table[table["claim"] == "overall"].set_index("conjecture")["verdict"].to_dict()

    open_ = dict.fromkeys(CONJECTURES, "undecided")
    assert verdicts(verdict_table(claims, "photos")) == {**open_, 3: "supported"}
    assert verdicts(verdict_table(claims, "photos", {4: "refuted"})) == {**open_, 4: "refuted"}
    assert verdicts(verdict_table(claims, "photos", {})) == open_


def test_what_a_claim_needs_and_how_likely_it_is_stand_beside_it_or_nothing() -> None:
    first, second, *rest = judged()
    likely = dataclasses.replace(first, likely=(0.1, 0.7, 0.2))
    need = Needed(seeds=4, at_best=0.9, patients=1200, hours=Hours(8.0, "GPU"))
    table = verdict_table([likely, second, *rest], "photos", needs={first.claim.name: need}).set_index(
        "claim"
    )
    row, other = table.loc[first.claim.name], table.loc[second.claim.name]
    assert tuple(row[["likely_worse", "likely_same", "likely_better"]]) == (0.1, 0.7, 0.2)
    assert tuple(row[["seeds_needed", "decided_at_best", "patients_for_seeds"]]) == (4, 0.9, 1200)
    assert tuple(row[["hours_needed", "hours_of"]]) == (8.0, "GPU")
    assert (
        other[["likely_worse", "likely_same", "likely_better", "seeds_needed", "hours_needed"]].isna().all()
    )
    assert (row["estimate"], row["cells"], row["cells_missing"]) == (0.004, 84, 2)


def test_a_claim_without_an_estimate_says_how_many_cells_are_missing() -> None:
    first, *rest = judged()
    untested = dataclasses.replace(
        first, found=None, p_supported=np.nan, p_refuted=np.nan, missing=5, untested="5 cells are missing"
    )
    row = verdict_table([untested, *rest], "photos").set_index("claim").loc[first.claim.name]
    assert row["cells_missing"] == 5
    assert row[["estimate", "low", "p_supported", "p_refuted", "smallest_effect"]].isna().all()
    assert "5 cells are missing" in row["why"]
