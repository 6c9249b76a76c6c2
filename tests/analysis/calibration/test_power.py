"""Forecasts: what they assume, what they say, and that they say it of the design that is asked about."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis.calibration.costs import gpu_hours
from analysis.calibration.power import (
    DEMO_PRIORS,
    PRIORS,
    Variances,
    cheapest,
    designs_of,
    forecast,
    hours_of,
    variances_of,
)
from analysis.calibration.settings import CHEXPERT, DEMO
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import plan, planted, simulated_claims
from analysis.calibration.worlds import Luck, World

QUIET = dataclasses.replace(
    PRIORS, auroc=dict.fromkeys(PRIORS.auroc, 0.0005), loss=0.001, over_sizes={}, spikes=0.5
)
LOUD = dataclasses.replace(QUIET, auroc=dict.fromkeys(PRIORS.auroc, 0.05), loss=0.5)


def test_a_quiet_grid_decides_and_a_loud_one_does_not() -> None:
    quiet, loud = (forecast(CHEXPERT, v, (0.0, 2.0), grids=4) for v in (QUIET, LOUD))
    conjectures = quiet["kind"] == "conjecture"
    assert quiet[conjectures & quiet["claim"].eq("conjecture 4")]["right"].min() == 1
    assert loud[conjectures]["right"].max() <= 0.25
    assert (quiet["right_low"] <= quiet["right"]).all()
    assert (quiet["right"] <= quiet["right_high"]).all()
    assert set(quiet["source"]) == {"priors"}
    assert set(quiet["effect"]) == {0.0, 2.0}


def test_one_seed_is_forecast_to_decide_nothing() -> None:
    table = forecast(dataclasses.replace(DEMO, seeds=1), DEMO_PRIORS, (2.0,), grids=3)
    assert (table["right"] == 0).all()


def test_claims_that_a_design_cannot_test_are_not_in_its_forecast() -> None:
    scratch = dataclasses.replace(CHEXPERT, arms=(("random", "none"),))
    names = {claim.name for claim in simulated_claims(scratch)}
    assert "last_doubling_gains_nothing" in names
    assert "natural_weights_gain_nothing" not in names
    table = forecast(scratch, QUIET, (0.0,), grids=2)
    assert set(table["claim"]) == names | {"conjecture 1", "conjecture 2", "conjecture 3"}
    small = dataclasses.replace(CHEXPERT, networks={"cbr_tiny": (5, 1_078_817)})
    assert "loss_grows_with_depth" not in {claim.name for claim in simulated_claims(small)}


def test_scatter_is_found_again_in_finished_cells() -> None:
    luck = Luck(over_sizes={"natural none": 0.8}, by_arm={"natural none": 3.0})
    setting = dataclasses.replace(CHEXPERT, seeds=12, auroc_sd=0.01, loss_sd=0.03, patients=700, images=2_000)
    truth = planted(setting, 0.0, np.random.default_rng(0), simulated_claims(setting))
    measures = simulate(setting, truth, np.random.default_rng(1), World("x", "", (), luck))
    found = variances_of(measures, "finished cells")
    assert found.source == "finished cells"
    assert found.auroc["random none"] == pytest.approx(0.01, rel=0.15)
    assert found.auroc["natural none"] == pytest.approx(0.03, rel=0.25)
    assert found.loss == pytest.approx(0.03, rel=0.1)
    assert found.over_sizes["natural none"] == pytest.approx(0.8, abs=0.12)
    assert found.over_sizes["random none"] < 0.15
    assert found.spikes == pytest.approx(2.0, rel=0.1)
    assert not found.prior


def test_an_arm_with_one_seed_keeps_the_prior_and_says_so() -> None:
    truth = planted(DEMO, 0.0, np.random.default_rng(0), simulated_claims(DEMO))
    found = variances_of(simulate(DEMO, truth, np.random.default_rng(1)), "pilot", DEMO_PRIORS)
    assert set(found.prior) == set(DEMO_PRIORS.auroc)
    assert found.auroc == DEMO_PRIORS.auroc
    assert found.loss == DEMO_PRIORS.loss


def test_the_cheapest_design_that_decides_is_found() -> None:
    designs = designs_of(CHEXPERT, seeds=(2, 3, 6), sizes=((50_000, 100_000), CHEXPERT.sizes))
    assert len(designs) == 6
    best, tried = cheapest(designs, [4], QUIET, grids=5)
    assert best is not None
    assert best is tried[-1]
    assert best.power >= 0.8
    assert all(option.power < 0.8 for option in tried[:-1])
    assert [option.hours for option in tried] == sorted(option.hours for option in tried)
    nothing, all_tried = cheapest(designs[:1], [4], LOUD, grids=3)
    assert nothing is None
    assert len(all_tried) == 1


def test_hours_by_hand() -> None:
    cells = plan(dataclasses.replace(CHEXPERT, sizes=(100_000,), arms=(("random", "none"),)), seeds=1)
    hours = dict(zip(cells["architecture"], gpu_hours(cells), strict=True))
    assert hours["resnet50"] == pytest.approx(3 * 4.09e9 * 1e5 * 100 / 2e13 / 3600)
    more = dataclasses.replace(CHEXPERT, seeds=6)
    assert hours_of(more) == pytest.approx(2 * hours_of(CHEXPERT))


def test_every_arm_has_a_prior() -> None:
    for prior in (PRIORS, DEMO_PRIORS):
        assert isinstance(prior, Variances)
        assert prior.source == "priors"
        assert set(prior.auroc) == {f"{init} {freeze}" for init, freeze in CHEXPERT.arms}


@pytest.mark.slow
def test_a_forecast_is_near_the_rate_of_grids_that_it_did_not_see() -> None:
    """Two forecasts with other random numbers; 5 points, and two standard errors of 400 grids each."""
    one, two = (forecast(CHEXPERT, PRIORS, (0.0, 2.0), 400, seed) for seed in (0, 1))
    spread = np.sqrt(2 * 0.25 / 400)
    assert (one["right"] - two["right"]).abs().max() < 0.05 + 2 * spread
