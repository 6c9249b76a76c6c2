"""Conditions: what cells share that differ in their seed alone, and what may not be left out."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.tables.conditions import CONDITION, condition, conditions, filled

CELL = {"architecture": "cbr_tiny", "train_images": 100, "init": "random", "freeze": "none"}


def test_a_condition_is_that_of_its_cells_whatever_is_left_out() -> None:
    """Natural classes and the usual subsets, be they named, null, or of an evidence without these axes."""
    whole = condition(**CELL, balance="natural", subset=0)
    assert dict(zip(CONDITION, whole, strict=True)) == {**CELL, "balance": "natural", "subset": 0}
    assert condition(**CELL) == whole
    rows = [{**CELL, "balance": None, "subset": None}, {**CELL, "balance": "natural", "subset": 0}]
    assert conditions(pd.DataFrame(rows)) == [whole, whole]
    assert conditions(pd.DataFrame([CELL])) == [whole]
    other = {**CELL, "balance": "balanced", "subset": 2}
    assert conditions(pd.DataFrame([other])) == [condition(**other)] != [whole]


def test_the_seed_is_no_part_of_a_condition() -> None:
    rows = pd.DataFrame([{**CELL, "seed": seed, "finding": "Edema"} for seed in (0, 1)])
    assert len(set(conditions(rows))) == 1
    assert filled(rows)["seed"].tolist() == [0, 1]


def test_axes_without_a_default_and_names_that_are_no_axes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found axes seed, size; expected some of architecture, train_im"):
        condition(**CELL, seed=0, size=3)
    with pytest.raises(ValueError, match=r"found no value of init, freeze; expected one for each axis"):
        condition(architecture="cbr_tiny", train_images=100)
