"""What looks, or verdicts that were printed before, do to these ones: which of the two sentences is said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.claims import analysed, earlier
from analysis.claims.look_record import Record, fixed_by, fresh
from analysis.claims.looked import Looked
from analysis.claims.looks import Decision
from analysis.tables.store import Evidence

LOOKS = fresh((2, 3), fixed_by("conjectures", {}, {}, {}))
OTHER_MARGINS = "with these other margins verdicts are not corrected for looks, and decide nothing"
VERDICTS = pd.DataFrame(
    [{"conjecture": 3, "claim": "c", "seeds": 3, "verdict": "refuted", "p_supported": 1.0, "p_refuted": 0.0}]
)


@pytest.mark.parametrize(
    ("record", "found", "said"),
    [(None, None, False), (LOOKS, Looked(LOOKS, Decision()), False), (LOOKS, None, True)],
)
def test_looks_with_other_margins_decide_nothing(
    tmp_path: Path, record: Record | None, found: Looked | None, said: bool
) -> None:
    evidence = Evidence(tmp_path, pd.DataFrame(), pd.DataFrame())
    assert (OTHER_MARGINS in analysed._sequence_told(evidence, record, found, VERDICTS)) == said


def test_an_earlier_verdict_of_as_many_seeds_counts_beside_looks_alone(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path, pd.DataFrame(), pd.DataFrame())
    earlier.keep(tmp_path, earlier.of_table(VERDICTS))
    assert analysed._sequence_told(evidence, None, None, VERDICTS) == ""
    told = analysed._sequence_told(evidence, LOOKS, Looked(LOOKS, Decision()), VERDICTS)
    assert told.startswith("Verdicts were printed before, with 3 seeds")
    assert "All 2 together are wrong in at most 10 %" in told
