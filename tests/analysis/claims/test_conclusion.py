"""The conclusion in prose: of each conjecture its verdict and its claims, and what all of it rests on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.claims.analysed import Analysis
from analysis.claims.conclusion import OPEN, REFUTED, SUPPORTED, exponent, paragraphs, write
from analysis.statistics.catalogue import Margins
from analysis.statistics.measures import Measures
from analysis.statistics.power_law import EXPONENTS, PowerLaw
from analysis.tables.schema import TABLES
from analysis.tables.store import Evidence

VERDICTS = {1: "supported", 2: "refuted", 3: "undecided", 4: "undecided"}


def verdict_rows(overall: dict[int, str]) -> pd.DataFrame:
    """Of each conjecture two needed claims, the first with its verdict, and one that it does not need."""
    rows = []
    for number, verdict in overall.items():
        claims = [("a", verdict, True), ("b", "undecided", True), ("c", "refuted", False)]
        rows += [
            {"conjecture": number, "claim": name, "verdict": outcome, "needed": needed,
             "why": f"Why {name} of {number}."}
            for name, outcome, needed in claims
        ]  # fmt: skip
        rows.append({"conjecture": number, "claim": "overall", "verdict": verdict})
    return pd.DataFrame(rows)


def analysis(
    overall: dict[int, str], seeds: int = 2, law: PowerLaw | None = None, out: Path = Path("out")
) -> Analysis:
    trials = pd.DataFrame(
        [
            {"cell_id": f"{seed}{status}", "kind": "grid", "architecture": "cbr_tiny", "train_images": 100,
             "init": "random", "freeze": "none", "seed": seed, "status": status, "finding": "Edema",
             "weights": None, "weights_sha256": None, "weights_natural": None, "weights_input": None}
            for seed in range(seeds) for status in ("done", "done", "done", "failed", "failed", "missing")
        ]
    )  # fmt: skip
    empty = {
        name: pd.DataFrame(columns=[c.name for c in TABLES[name]]) for name in ("estimates", "decisions")
    }
    found = pd.DataFrame({"verdict": ["reproduced", "undecided", "undecided", "not reproduced"]})
    values: dict[str, Any] = {field.name: pd.DataFrame() for field in dataclasses.fields(Analysis)}
    values |= {
        "evidence": Evidence(out, trials, pd.DataFrame(), {"data": {"name": "mine"}}),
        "measures": Measures(trials), "margins": Margins(), "law": law, "looked": None,
        "verdicts": verdict_rows(overall), "study_results": found, "sequence_told": "", "margins_told": "",
    }  # fmt: skip
    fields = {field.name for field in dataclasses.fields(Analysis)}
    return Analysis(**{name: value for name, value in (values | empty).items() if name in fields})


def test_every_conjecture_is_told_with_its_verdict_and_the_claims_that_make_it() -> None:
    opening, one, two, three, four, study, limits = paragraphs(analysis(VERDICTS))
    assert opening == (
        "On this data, conjecture 1 is supported, conjecture 2 is refuted; 2 of four stay undecided."
    )
    assert one.startswith("**1. ")
    assert f"supported.** {SUPPORTED[1]} Why a of 1. Of its other claims: 1 undecided." in one
    assert f"refuted.** {REFUTED[2]} Why a of 2. Of its other claims: 1 undecided." in two
    assert f"undecided.** {OPEN} Why a of 3. Why b of 3." in three
    assert "Of its other claims" not in four
    assert "Of the study's 4 findings: 1 reproduced here, 1 not reproduced, 2 undecided." in study
    assert "rests on 6 of 12 planned cells on mine with 2 seeds; 4 failed and 2 are missing." in limits
    assert "With one seed" not in limits


@pytest.mark.parametrize(
    ("overall", "opening"),
    [
        (dict.fromkeys((1, 2, 3, 4), "undecided"), "This grid decides none of the four conjectures; more"),
        ({**dict.fromkeys((1, 2, 3), "refuted"), 4: "undecided"}, "; 1 of four stays undecided."),
        (dict.fromkeys((1, 2, 3, 4), "supported"), "conjecture 3 is supported, conjecture 4 is supported."),
    ],
)
def test_how_many_conjectures_stay_open(overall: dict[int, str], opening: str) -> None:
    assert opening in paragraphs(analysis(overall))[0]


def law(low: float, high: float) -> PowerLaw:
    """An exponent of 1/2 with these ends, and an AUROC of 0.9 at ten times the data."""
    return PowerLaw((0.5, low, high), (0.9, low / 10 + 0.8, high / 10 + 0.9), np.zeros(0), np.zeros((3, 0)))


def test_an_exponent_at_the_end_of_what_was_searched_says_so() -> None:
    assert exponent(law(0.3, 0.7)) == "0.50 (0.30 to 0.70)"
    ends = float(EXPONENTS[0]), float(EXPONENTS[-1])
    assert exponent(law(*ends)) == f"0.50 ({ends[0]:.2f} or less to {ends[1]:.2f} or more)"


def test_the_power_law_stands_under_the_conjecture_on_data_alone() -> None:
    told = paragraphs(analysis(VERDICTS, law=law(0.3, 0.7)))
    promised = "has exponent 0.50 (0.30 to 0.70) and promises an AUROC of 0.900 (0.830 to 0.970) at ten times"
    assert [promised in text for text in told] == [number == 3 for number in range(len(told))]
    assert not any("of one seed: no intervals" in text for text in told)
    alone = paragraphs(analysis(VERDICTS, law=law(0.3, 0.7).without_intervals()))[3]
    assert "has exponent 0.50 and promises an AUROC of 0.900 at ten times the data (of one seed: no" in alone


def test_one_seed_decides_nothing() -> None:
    limits = paragraphs(analysis(VERDICTS, seeds=1))[-1]
    assert "3 of 6 planned cells on mine with 1 seed; 2 failed and 1 are missing" in limits
    assert "With one seed nothing is decided" in limits


def test_the_text_is_kept_below_a_heading(tmp_path: Path) -> None:
    text = write(analysis(VERDICTS, out=tmp_path))
    assert (tmp_path / "conclusion.md").read_text() == f"# Conclusion\n\n{text}"
    assert list(tmp_path.iterdir()) == [tmp_path / "conclusion.md"]
    assert text.count("\n\n") == 6
