"""What a grid cannot say is said."""

import numpy as np
import pandas as pd
import pytest

from analysis.report.limits import _perfect
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
