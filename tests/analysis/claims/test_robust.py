"""Other ways to judge the same cells: a verdict that rests on one of them says so, and none is left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.settings import CHEXPERT, NETWORKS
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import planted, simulated_claims
from analysis.claims.conjectures import CLAIMS, contrast_of, grid_of
from analysis.claims.robust import alternatives, changed, in_margins, missing_choices, rests, robustness_table
from analysis.claims.verdicts import judge
from analysis.statistics.catalogue import Margins
from analysis.statistics.measures import Measures
from analysis.statistics.paired import coefficients
from analysis.tables.networks import Networks

NAMES = ("resnet50", "resnet18", "cbr_tiny")
SETTING = dataclasses.replace(
    CHEXPERT, sizes=(5_000, 50_000), seeds=4, networks={name: NETWORKS[name] for name in NAMES},
    auroc_sd=0.001, loss_sd=0.002, spikes=0.1,
)  # fmt: skip
PLAIN = Networks({})
WEIGHTS = "natural_weights_gain_nothing"


def grid(effect: float = 0.0) -> Measures:
    truth = planted(SETTING, effect, np.random.default_rng(0), simulated_claims(SETTING))
    return simulate(SETTING, truth, np.random.default_rng(1))


def table_of(measures: Measures, margins: Margins = SETTING.margins) -> pd.DataFrame:
    return robustness_table(measures, "natural", margins, PLAIN)


@pytest.fixture(scope="module")
def flat() -> Measures:
    return grid()


def with_measure(measures: Measures, name: str, shift: float) -> Measures:
    """A further area that is AUROC, but for `shift` in cells that start from natural images."""
    moved = np.where(measures.cells["init"] == "natural", shift, 0.0)
    cells = measures.cells.assign(**{name: measures.values("test_auroc") + moved})
    both = {**measures.covariance, name: measures.covariance["test_auroc"]}
    patients = {**measures.patients, name: measures.patients["test_auroc"]}
    return Measures(cells, both, patients, {**measures.positives, name: 1_000}, measures.freedom)


def test_the_first_line_is_the_verdict_itself(flat: Measures) -> None:
    table = table_of(flat)
    plain = table[table["choice"].isna()].set_index("claim")
    for j in judge(flat, "natural", SETTING.margins):
        if j.found is not None:
            assert plain.loc[j.claim.name, "verdict"] == j.verdict
            assert plain.loc[j.claim.name, "estimate"] == j.found.estimate
    assert not table["question"].str.contains("{", regex=False).any()


def test_a_verdict_that_rests_on_the_measure_says_so(flat: Measures) -> None:
    """Natural weights gain nothing by AUROC, and three margins by average precision."""
    table = table_of(with_measure(flat, "test_auprc", 0.03))
    rows = table[table["claim"] == WEIGHTS].set_index("alternative")
    assert rows.loc["as judged", "verdict"] == "supported"
    assert rows.loc["AUPRC on the test split", "verdict"] == "refuted"
    shift = rows.loc["AUPRC on the test split", "estimate"] - rows.loc["as judged", "estimate"]
    assert shift == pytest.approx(0.03)
    assert list(changed(rows).index) == ["AUPRC on the test split"]
    assert any(
        "rests on one choice: supported as judged, but refuted with AUPRC on the test split" in text
        and "turns it round" in text
        for text in rests(table, 4)
    )


def test_a_verdict_that_rests_on_one_network_says_so(flat: Measures) -> None:
    """ResNet-50 alone gains 0.09 from natural weights, 0.03 on the mean of three networks."""
    own = (flat.cells["init"] == "natural") & (flat.cells["architecture"] == "resnet50")
    cells = flat.cells.assign(test_auroc=flat.values("test_auroc") + np.where(own, 0.09, 0.0))
    one = Measures(cells, flat.covariance, flat.patients, flat.positives, flat.freedom)
    table = table_of(one)
    rows = table[table["claim"] == WEIGHTS].set_index("alternative")
    assert rows.loc["as judged", "verdict"] != "supported"
    assert rows.loc["without ResNet-50", "verdict"] == "supported"
    assert abs(rows.loc["without ResNet-50", "estimate"]) < 0.01
    assert rows.loc["without CBR-Tiny", "estimate"] == pytest.approx(0.045, abs=0.005)


def test_doubtful_runs_are_judged_one_way_and_the_other(flat: Measures) -> None:
    """One run that diverged: at its worst it is AUROC 0.5 there, left out its seed has no such block."""
    row = int(np.flatnonzero((flat.cells["init"] == "natural").to_numpy())[0])
    status = np.where(np.arange(len(flat.cells)) == row, "failed", "done")
    value = np.where(status == "failed", np.nan, flat.values("test_auroc"))
    covariance = flat.covariance["test_auroc"].copy()
    covariance[row], covariance[:, row] = np.nan, np.nan
    cells = flat.cells.assign(status=status, test_auroc=value)
    failed = Measures(cells, {"test_auroc": covariance}, flat.patients, flat.positives, flat.freedom)
    rows = table_of(failed)
    rows = rows[rows["claim"] == WEIGHTS].set_index("alternative")
    worst, left = rows.loc["failed runs at their worst"], rows.loc["failed runs left out"]
    per_cell = len(NAMES) * len(SETTING.sizes) * SETTING.seeds
    expected = (0.5 - flat.values("test_auroc")[row]) / per_cell
    before = next(j.found for j in judge(flat, "natural", SETTING.margins) if j.claim.name == WEIGHTS)
    assert before is not None
    assert worst["estimate"] - before.estimate == pytest.approx(expected)
    assert left["estimate"] == pytest.approx(before.estimate, abs=0.002)
    assert rows.loc["as judged", "low"] == pytest.approx(min(worst["low"], left["low"]))
    assert not failed.read_as(worst=True).doubtful.any()
    assert failed.doubtful.sum() == 1


def test_half_and_double_the_margin_are_judged(flat: Measures) -> None:
    rows = table_of(grid(1.5))
    rows = rows[rows["claim"] == WEIGHTS].set_index("alternative")
    assert rows.loc["as judged", "verdict"] == "refuted"
    assert rows.loc["half the margin", "verdict"] == "refuted"
    assert rows.loc["double the margin", "verdict"] == "supported"
    assert rows.loc["double the margin", "margin"] == 2 * rows.loc["as judged", "margin"]
    shown = in_margins(table_of(flat))
    half = shown[shown["alternative"] == "half the margin"].set_index("claim")["effect_in_margins"]
    double = shown[shown["alternative"] == "double the margin"].set_index("claim")["effect_in_margins"]
    assert np.allclose(half, 4 * double)


def test_what_the_evidence_cannot_answer_is_named(flat: Measures) -> None:
    table = table_of(flat)
    named = missing_choices(table)
    for words in (
        "last epoch (only the predictions of the best epoch are kept",
        "official split",
        "no run failed",
    ):
        assert words in named
    unavailable = table[table["not_available"].notna()]
    assert unavailable["verdict"].isna().all()
    assert {one.choice for one in alternatives(flat, PLAIN)} == {
        "", "measure", "epoch", "network", "runs", "margin",
    }  # fmt: skip
    single = flat.where("architecture", lambda name: name not in ("resnet50", "resnet18"))
    assert "without CBR-Tiny (it is the only network)" in missing_choices(table_of(single))


def test_claims_are_on_the_mean_of_all_orders_of_the_subsets_and_each_is_judged_alone(flat: Measures) -> None:
    cells = pd.concat([flat.cells.assign(subset=order) for order in (0, 1)], ignore_index=True)
    moved = cells["subset"] == 1
    cells.loc[moved, "test_auroc"] += 0.02 * (cells.loc[moved, "train_images"] == cells["train_images"].max())
    both = Measures(cells)
    claim = next(claim for claim in CLAIMS if claim.name == "last_doubling_gains_nothing")
    found = {}
    for name, measures in {"one": Measures(flat.cells), "both": both}.items():
        contrast = contrast_of(claim, grid_of(measures, "natural"))
        assert contrast is not None
        found[name] = float(coefficients(measures, contrast) @ measures.values("test_auroc"))
    doublings = np.log2(np.sort(cells["train_images"].unique())[-2:])
    assert found["both"] - found["one"] == pytest.approx(0.02 / 2 / (doublings[1] - doublings[0]))
    table = table_of(both)
    alone = table[table["choice"] == "subset"].set_index(["alternative", "claim"])["estimate"]
    between = alone.xs("last_doubling_gains_nothing", level="claim").to_numpy(float)
    assert len(between) == 2
    assert between.mean() == pytest.approx(found["both"])
    assert between[1] - between[0] == pytest.approx(0.02 / (doublings[1] - doublings[0])), "each by its name"
