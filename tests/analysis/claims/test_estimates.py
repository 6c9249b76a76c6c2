"""Rows of the table of estimates: which there are, what they say of themselves, and their values by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from analysis.claims import estimates
from analysis.claims.conclusion import exponent
from analysis.claims.conjectures import Grid, grid_of
from analysis.claims.estimates import estimate_table, power_law
from analysis.statistics.catalogue import MEASURES
from analysis.statistics.measures import Measures
from analysis.statistics.power_law import fit

SIZES = (100, 200, 800)
DOUBLINGS = {100: 0, 200: 1, 800: 3}
SLOPE = {"resnet18": 0.02, "cbr_tiny": 0.04}
ARMS = {
    ("random", "none"): 0.0, ("photos", "none"): 0.05, ("photos", "backbone"): 0.01, ("own", "none"): 0.03,
    ("own", "backbone"): -0.05, ("fractures", "none"): 0.08,
}  # fmt: skip
SCATTER = 0.001
"""By which two seeds lie above and below."""


def value(network: str, size: int, init: str, freeze: str) -> float:
    """Steeper from `fractures` by 0.01 per doubling."""
    slope = SLOPE[network] + (0.01 if init == "fractures" else 0.0)
    return 0.6 + slope * DOUBLINGS[size] + ARMS[init, freeze]


def measures(sizes: tuple[int, ...] = SIZES, subsets: tuple[int, ...] = (0,)) -> Measures:
    rows = [
        {
            "architecture": network, "train_images": size, "init": init, "freeze": freeze, "seed": seed,
            "balance": "natural", "subset": subset, "status": "done", "depth": 5, "parameters": 10,
            "in_domain": init == "fractures", "other_weights": init == "own",
            "test_auroc": value(network, size, init, freeze) + SCATTER * (1 - 2 * seed) + 0.02 * (subset - 1),
        }
        for network, size, (init, freeze) in itertools.product(SLOPE, sizes, ARMS)
        for seed, subset in itertools.product((0, 1), subsets)
    ]  # fmt: skip
    return Measures(pd.DataFrame(rows))


def table(found: Measures) -> pd.DataFrame:
    return estimate_table(found, grid_of(found, "photos"), None)


@pytest.fixture(scope="module", autouse=True)
def one_measure() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "MEASURES", {"test_auroc": MEASURES["test_auroc"]})
        yield


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return table(measures())


def one(rows: pd.DataFrame, **said: object) -> pd.Series:
    """The row with these values; None where it is null."""
    for name, wanted in said.items():
        rows = rows[rows[name].isna() if wanted is None else rows[name] == wanted]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_levels_and_their_intervals_in_log_odds(rows: pd.DataFrame) -> None:
    """Two seeds 0.001 above and below: standard error 0.001, one degree of freedom."""
    levels = rows[rows["kind"] == "level"]
    assert len(levels) == 2 * 3 * len(ARMS)
    reach = float(stats.t.ppf(0.975, 1)) * SCATTER
    for network, size, (init, freeze) in itertools.product(SLOPE, SIZES, ARMS):
        row = one(levels, architecture=network, train_images=size, init=init, freeze=freeze)
        area = value(network, size, init, freeze) - 0.02
        assert row["estimate"] == pytest.approx(area)
        odds = reach / (area * (1 - area))
        expected = expit(logit(area) - odds), expit(logit(area) + odds)
        assert (row["low"], row["high"]) == pytest.approx(expected)
        assert (row["sizes"], row["unit"]) == ("one", "AUROC")
        assert pd.isna(row["contrast"])


PAIRS = {
    "photos minus scratch": (("photos", "none"), ("random", "none")),
    "fractures minus scratch": (("fractures", "none"), ("random", "none")),
    "fractures minus photos": (("fractures", "none"), ("photos", "none")),
    "photos frozen minus fine-tuned": (("photos", "backbone"), ("photos", "none")),
    "own minus scratch": (("own", "none"), ("random", "none")),
    "own frozen minus fine-tuned": (("own", "backbone"), ("own", "none")),
}


@pytest.mark.parametrize("label", PAIRS)
def test_differences_at_sizes_of_their_mean_and_per_doubling(rows: pd.DataFrame, label: str) -> None:
    """Doublings 0, 1 and 3: mean 4/3."""
    (init, freeze), (other, others) = PAIRS[label]
    gain = ARMS[init, freeze] - ARMS[other, others]
    steeper = 0.01 if init == "fractures" else 0.0
    mine = rows[rows["contrast"] == label]
    assert set(mine["kind"]) == {"difference"}
    assert len(mine) == 3 * (3 + 2), "two networks and their mean, at three sizes, their mean and their trend"
    for network in (None, *SLOPE):
        for size in SIZES:
            row = one(mine, sizes="one", train_images=size, architecture=network)
            assert row["estimate"] == pytest.approx(gain + steeper * DOUBLINGS[size])
        mean, trend = (one(mine, sizes=how, architecture=network) for how in ("mean", "trend"))
        assert mean["estimate"] == pytest.approx(gain + steeper * 4 / 3)
        assert trend["estimate"] == pytest.approx(steeper, abs=1e-9)
        assert (mean["unit"], trend["unit"]) == ("AUROC", "AUROC / doubling")
    assert mine["balance"].eq("natural").all()
    assert mine["init"].isna().all() == (init != other)
    assert mine["freeze"].isna().all() == (freeze != others)
    assert mine.loc[mine["sizes"] != "one", "train_images"].isna().all()


def test_what_the_grid_lacks_is_not_compared(rows: pd.DataFrame) -> None:
    assert set(rows.loc[rows["kind"] == "difference", "contrast"]) == set(PAIRS)
    found = measures()
    without = estimate_table(found, grid_of(found, None), None)
    assert set(without.loc[without["kind"] == "difference", "contrast"]) == {
        label for label in PAIRS if "photos" not in label
    }
    single = table(measures((100,)))
    assert set(single["sizes"]) == {"one"}
    assert set(single["kind"]) == {"level", "difference"}


def test_gains_per_doubling_between_neighbours_and_over_all(rows: pd.DataFrame) -> None:
    gains = rows[rows["kind"] == "gain"]
    slopes = {None: sum(SLOPE.values()) / 2, **SLOPE}
    assert len(gains) == 3 * len(slopes)
    for label, sizes in (("from 100 to 200", "step"), ("from 200 to 800", "step"), ("all sizes", "trend")):
        for network, slope in slopes.items():
            row = one(gains, contrast=label, architecture=network)
            assert row["estimate"] == pytest.approx(slope)
            assert (row["sizes"], row["init"], row["unit"]) == (sizes, "random", "AUROC / doubling")


def test_orders_of_subsets_count_as_one_together() -> None:
    """Order 2 lies 0.02 above order 1 everywhere: a difference is what it is in each of them."""
    rows = table(measures((100, 200), (1, 2)))
    label = one(rows, contrast="photos minus scratch", train_images=100, architecture=None)
    assert label["estimate"] == pytest.approx(0.05)
    assert one(rows, contrast="from 100 to 200", architecture="cbr_tiny")["estimate"] == pytest.approx(0.04)
    levels = rows[(rows["kind"] == "level") & (rows["init"] == "random") & (rows["train_images"] == 100)]
    first, second = (one(levels, architecture="cbr_tiny", subset=k)["estimate"] for k in (1, 2))
    assert (first, second) == pytest.approx((0.6, 0.62))


def test_an_area_of_exactly_1_has_no_interval() -> None:
    found = measures()
    perfect = (found.cells["architecture"] == "cbr_tiny") & (found.cells["train_images"] == 800)
    found.cells.loc[perfect, "test_auroc"] = 1.0
    row = one(
        table(found), kind="level", architecture="cbr_tiny", train_images=800, init="random", freeze="none"
    )
    assert row["estimate"] == 1
    assert np.isnan([row["low"], row["high"]]).all()


def test_a_level_of_runs_that_all_collapsed_stands_as_it_is_and_no_difference_rests_on_it() -> None:
    found = measures((100,))
    cells = found.cells
    gone = (cells["architecture"] == "cbr_tiny") & (cells["init"] == "photos") & (cells["freeze"] == "none")
    rows = table(Measures(cells.assign(collapsed=gone)))
    photos = {"architecture": "cbr_tiny", "init": "photos", "freeze": "none"}
    assert one(rows, kind="level", **photos)["estimate"] == pytest.approx(0.65 - 0.02)
    mine = rows[rows["architecture"] == "cbr_tiny"]
    assert set(mine.loc[mine["kind"] == "difference", "contrast"]) == {
        label for label in PAIRS if "photos" not in label
    }


def test_a_power_law_has_two_rows() -> None:
    """1 - AUROC = 0.3 x (images / 100)^-0.25 at five sizes, and at ten times the data."""
    sizes = 100.0 * 2.0 ** np.arange(5)
    law = fit(sizes, 1 - 0.3 * (sizes / 100) ** -0.25, 1e-10 * np.eye(5), np.random.default_rng(0), 50)
    assert law is not None
    found = measures()
    rows = estimate_table(found, grid_of(found, "photos"), law)
    rows = rows[rows["kind"] == "power_law"]
    assert one(rows, contrast="exponent")["estimate"] == pytest.approx(0.25, abs=0.01)
    promised = one(rows, contrast="promised")
    assert promised["estimate"] == pytest.approx(1 - 0.3 * 160**-0.25, abs=2e-3), "exponents on a ladder"
    assert promised["low"] <= promised["estimate"] <= promised["high"]
    assert power_law(found, Grid(SIZES, None)) is None, "three sizes are too few"


def test_a_power_law_of_one_seed_has_no_interval() -> None:
    sizes = 100.0 * 2.0 ** np.arange(5)
    law = fit(sizes, 1 - 0.3 * (sizes / 100) ** -0.25, 1e-10 * np.eye(5), np.random.default_rng(0), 50)
    assert law is not None
    alone = law.without_intervals()
    assert (alone.exponent[0], alone.promised[0]) == (law.exponent[0], law.promised[0])
    np.testing.assert_array_equal(alone.curve[0], law.curve[0])
    assert np.isnan([*alone.exponent[1:], *alone.promised[1:], *alone.curve[1:].ravel()]).all()
    assert exponent(law) == f"{law.exponent[0]:.2f} ({law.exponent[1]:.2f} to {law.exponent[2]:.2f})"
    assert exponent(alone) == f"{law.exponent[0]:.2f}"
