"""What a grid cannot say is said."""

import numpy as np
import pandas as pd
import pytest

from analysis.report.limits import _doubted, _perfect, _tested, _undefined, untested
from analysis.statistics.measures import Measures


@pytest.mark.parametrize(
    ("areas", "said"),
    [([1.0, 1.0, 0.9, np.nan], "2 of 3 have a test AUROC of exactly 1"), ([1.0, 0.9], ""), ([np.nan], "")],
)
def test_a_task_that_is_too_easy_tells_no_networks_apart(areas: list[float], said: str) -> None:
    cells = pd.DataFrame({"test_auroc": areas, "seed": 0, "architecture": "cbr_tiny"})
    found = _perfect(Measures(cells))
    assert bool(found) == bool(said)
    assert not said or said in found[0]


def test_networks_that_a_conclusion_had_better_not_rest_on_are_counted() -> None:
    trials = pd.DataFrame(
        {
            "status": ["done", "done", "failed"],
            "still_falling": [True, False, None],
            "collapsed": [True, True, None],
        }
    )
    falling, collapsed = _doubted(trials)
    assert "the training loss of 1 of 2 networks was still falling" in falling
    assert collapsed.startswith("What 2 networks that collapsed would do")
    assert _doubted(trials.assign(still_falling=None, collapsed=False)) == []


def test_finished_cells_without_an_area_are_counted_by_their_reason() -> None:
    """Of the official split nothing is said where there is none: a table of one's own need not have one."""
    cells = pd.DataFrame(
        {
            "test_auroc": [0.7, np.nan, np.nan, np.nan], "official_auroc": np.nan, "seed": 0,
            "architecture": "cbr_tiny", "status": ["done", "done", "done", "missing"],
        }
    )  # fmt: skip
    (none,) = _undefined(Measures(cells))
    assert none == "2 finished cells have no predictions on the test split and no AUROC."
    tested = Measures(cells, {}, {"test_auroc": 1_234}, {"test_auroc": 5})
    (undefined,) = _undefined(tested)
    assert undefined.startswith("2 finished cells have no AUROC on the test split: its images are all of one")
    assert "(5 positive images in all)" in undefined
    assert _tested(tested) == ["Tested on 1,234 patients; 5 images of theirs positive."]


def test_claims_without_an_estimate_are_joined_by_why() -> None:
    rows = pd.DataFrame(
        [("A?", "Not planned.", None), ("B?", "Not finished.", None), ("C?", "Not planned.", None),
         ("D?", "Decided.", 0.1)],
        columns=["question", "why", "estimate"],
    )  # fmt: skip
    assert untested(rows) == ["A? C? Not planned.", "B? Not finished."]
