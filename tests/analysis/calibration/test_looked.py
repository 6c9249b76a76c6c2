"""Looks on simulated grids: one draw, cut to its first seeds; costs and outcomes of each procedure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis.calibration.cases import Case, plant
from analysis.calibration.costs import gpu_hours, upstream_hours
from analysis.calibration.looked import first_seeds, looked_at, prefixes
from analysis.calibration.simulate import draw
from analysis.claims.looks import Looks, planned_looks

CASE = Case("plain", "demo", 4, 2.0)


def test_first_seeds_are_those_of_the_same_draw() -> None:
    it = plant(CASE)
    measures = draw(it.design, np.random.default_rng(0))
    part = first_seeds(measures, 2, prefixes(it.design.template, [2]))
    whole = measures.cells[measures.cells["seed"] < 2]
    assert part.cells["test_auroc"].tolist() == whole["test_auroc"].tolist()
    row, other = whole.index[3], whole.index[40]
    assert part.covariance["test_auroc"][3, 40] == measures.covariance["test_auroc"][row, other]
    assert part.seeds == [0, 1]


def test_every_grid_is_judged_by_all_three_procedures() -> None:
    table = looked_at(CASE, planned_looks((2, 4)), 3, range(3))
    assert table.groupby("procedure").size().to_dict() == {"looks": 3, "fixed": 3, "every seed": 3}
    cells = plant(CASE).design.template.cells
    hours = gpu_hours(cells)

    def cost(seeds: int) -> float:
        mine = (cells["seed"] < seeds).to_numpy()
        return float(hours[mine].sum()) + upstream_hours(cells[mine])

    fixed = table[table["procedure"] == "fixed"]
    assert fixed["hours"].to_numpy() == pytest.approx(cost(3))
    looks = table[table["procedure"] == "looks"]
    assert (looks["hours"] >= cost(2) * (1 - 1e-9)).all()
    assert (looks["hours"] <= cost(4) * (1 + 1e-9)).all()
    for k in (1, 2, 3, 4):
        assert not (table[f"right_{k}"] & table[f"wrong_{k}"]).any()


def test_one_look_with_the_whole_level_is_a_fixed_design() -> None:
    table = looked_at(CASE, Looks((3,), (1.0,)), 3, range(4)).set_index(["grid", "procedure"])
    looks, fixed = table.xs("looks", level="procedure"), table.xs("fixed", level="procedure")
    assert looks.drop(columns="hours").equals(fixed.drop(columns="hours"))
    assert looks["hours"].to_numpy() == pytest.approx(fixed["hours"].to_numpy())


def test_too_few_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 5 seeds"):
        looked_at(dataclasses.replace(CASE, seeds=4), planned_looks((2, 4)), 5, range(1))


@pytest.mark.slow
def test_peeks_that_are_paid_for_are_wrong_no_more_often_than_promised() -> None:
    """One margin, where a wrong verdict is likeliest; 200 grids leave three standard errors above 5 %."""
    table = looked_at(Case("plain", "chexpert", 5, 1.0), planned_looks((2, 3, 4, 5)), 5, range(200))
    wrong = table[table["procedure"] == "looks"]["any_wrong"].mean()
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
