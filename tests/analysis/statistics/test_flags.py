"""Flags of cells on curves with a known end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics import curves, flags


def test_the_late_fall_is_the_straight_line_of_the_last_third() -> None:
    rng = np.random.default_rng(0)
    losses = 1 - 0.01 * np.arange(90) + rng.normal(0, 0.05, 90)
    found = flags.late_fall(losses)
    line = stats.linregress(np.arange(30), losses[60:])
    assert found is not None
    assert found.losses == 30
    assert found.fall == pytest.approx(-29 * line.slope)
    assert found.error == pytest.approx(29 * line.stderr)


def test_a_line_without_noise_falls_by_what_it_falls() -> None:
    found = flags.late_fall(np.linspace(1.0, 0.4, 7))
    assert found is not None
    assert (found.fall, found.error) == (pytest.approx(0.5), pytest.approx(0, abs=1e-9))
    assert found.still
    risen = flags.late_fall(np.linspace(0.4, 1.0, 7))
    assert risen is not None
    assert risen.fall < 0
    assert not risen.still


def test_a_run_that_has_arrived_is_hardly_ever_flagged_and_one_that_falls_is() -> None:
    rng = np.random.default_rng(1)
    flat, falling = 0, 0
    for _ in range(400):
        noise = rng.normal(0, 0.05, 120)
        flat += _still(0.3 + noise)
        falling += _still(np.linspace(0.9, 0.3, 120) + noise)
    assert flat <= 0.08 * 400
    assert falling >= 0.95 * 400


def _still(losses: np.ndarray) -> bool:
    found = flags.late_fall(losses)
    assert found is not None
    return found.still


def test_a_fall_that_does_not_matter_is_none_and_too_few_losses_say_nothing() -> None:
    assert not _still(np.linspace(0.30, 0.27, 300))
    assert flags.late_fall(np.linspace(1, 0, 5)) is None
    assert flags.late_fall(np.full(40, np.nan)) is None
    of_epochs = flags.late_fall(np.linspace(1, 0, 5), flags.FEWEST_EPOCHS)
    assert of_epochs is not None
    assert of_epochs.losses == 3


def grid(areas: dict[int, float], losses: dict[int, float]) -> pd.DataFrame:
    rows = [
        {
            "architecture": "a", "init": "random", "freeze": "none", "balance": "natural", "seed": 0,
            "train_images": size, "test_auroc": areas[size], "train_loss": losses[size],
        }
        for size in areas
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_dent_between_neighbours_is_a_collapse_where_training_was_worse_too() -> None:
    areas = {48: 0.7, 96: 0.9, 192: 0.63, 384: 0.94}
    worse = {48: 0.4, 96: 0.4, 192: 0.6, 384: 0.3}
    assert flags.collapsed(grid(areas, worse)).tolist() == [pd.NA, False, True, False]
    as_good = {48: 0.4, 96: 0.4, 192: 0.4, 384: 0.3}
    assert not flags.collapsed(grid(areas, as_good)).fillna(False).any()


def test_the_largest_size_has_one_neighbour_and_other_conditions_are_none() -> None:
    areas, losses = {48: 0.8, 96: 0.85, 192: 0.9, 384: 0.7}, {48: 0.3, 96: 0.3, 192: 0.3, 384: 0.6}
    one = grid(areas, losses)
    assert flags.collapsed(one).tolist() == [pd.NA, False, False, True]
    apart = one.assign(seed=range(4))
    assert flags.collapsed(apart).isna().all()
    unknown = one.assign(test_auroc=[0.75, np.nan, np.nan, 0.7])
    assert flags.collapsed(unknown).tolist() == [pd.NA, pd.NA, pd.NA, False]


def test_losses_after_equally_many_steps() -> None:
    losses = np.arange(100.0)
    assert curves.loss_at(losses, 100) == pytest.approx(94.5)
    assert curves.loss_at(losses, 10) == pytest.approx(7.0), "steps 6 to 10"
    assert np.isnan(curves.loss_at(losses, 101))
    assert np.isnan(curves.loss_at(losses, 4))


def test_the_table_of_trials_carries_the_flags_of_its_grid_cells(done: Path) -> None:
    trials = pd.read_parquet(done / "evidence" / "trials.parquet")
    finished = trials[(trials["status"] == "done") & (trials["kind"] == "grid")]
    assert finished["still_falling"].notna().all()
    assert finished.loc[finished["train_images"] > finished["train_images"].min(), "collapsed"].notna().all()
    assert trials.loc[trials["kind"] == "upstream", "still_falling"].isna().all()
