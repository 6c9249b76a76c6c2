"""Verdicts on grids with a planted truth, and on grids that cannot decide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.cases import right_verdict
from analysis.calibration.settings import CHEXPERT, DEMO, Setting
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import planted, simulated_claims, true_effects
from analysis.claims.conjectures import (
    CLAIMS,
    LARGE_TEST,
    SMALL_TEST,
    Claim,
    contrast_of,
    default_margins,
    grid_of,
    size_weights,
)
from analysis.claims.sentences import why_claim
from analysis.claims.study_results import STUDY, study_result_table
from analysis.claims.verdicts import judge, overall, verdict_table
from analysis.statistics.contrasts import Estimate
from analysis.statistics.measures import Measures
from sweeps.presets import demo
from transfusion.data.table import split_patients
from transfusion.phantom.labels import FINDINGS, training_rows

MIDDLE = dataclasses.replace(
    CHEXPERT, name="middle", patients=1_500, images=4_000, seeds=3, auroc_sd=0.002, loss_sd=0.004
)


def judged(setting: Setting, effect: float, seed: int = 0, natural: str = "natural") -> pd.DataFrame:
    truth = planted(setting, effect, np.random.default_rng([seed, 1]), simulated_claims(setting))
    measures = simulate(setting, truth, np.random.default_rng([seed, 2]))
    return verdict_table(judge(measures, natural, setting.margins), natural)


def test_planted_values_are_exactly_those_asked_for() -> None:
    for effect in (0.0, 1.0, 2.0):
        truth = planted(DEMO, effect, np.random.default_rng(0), simulated_claims())
        for claim, value in zip(simulated_claims(), true_effects(truth, simulated_claims()), strict=True):
            margin = DEMO.margins.of(claim.metric)
            sign = -1 if claim.expects == "negative" else 1
            twice = 2 if claim.name == "in_domain_gains" else 1  # the sum of two planted gains
            assert value == pytest.approx(sign * effect * margin * twice, abs=1e-9), claim.name


def test_a_planted_effect_of_three_margins_is_found_in_every_claim() -> None:
    table = judged(MIDDLE, 3.0)
    claims = table[table["claim"] != "overall"].set_index("claim")
    for claim in simulated_claims():
        right = right_verdict(claim, 3.0 * (-1 if claim.expects == "negative" else 1), 1.0)
        assert claims.loc[claim.name, "verdict"] == right, claims.loc[claim.name, "why"]
    overall_rows = table[table["claim"] == "overall"].set_index("conjecture")["verdict"]
    assert overall_rows.to_dict() == {1: "supported", 2: "refuted", 3: "refuted", 4: "refuted"}


def test_a_planted_null_is_never_taken_for_an_effect() -> None:
    for seed in range(3):
        table = judged(MIDDLE, 0.0, seed)
        for claim in simulated_claims():
            wrong = "supported" if claim.expects in ("positive", "negative") else "refuted"
            row = table[table["claim"] == claim.name].iloc[0]
            assert row["verdict"] != wrong, row["why"]


def test_every_claim_has_a_row_and_a_sentence_with_its_numbers() -> None:
    table = judged(MIDDLE, 2.0, natural="natural")
    assert len(table) == len(CLAIMS) + 4
    assert set(table["verdict"]) <= {"supported", "refuted", "undecided"}
    for row in table[table["estimate"].notna()].to_dict("records"):
        digits = 1 if row["metric"] == "spikes" else 3
        for number in (row["estimate"], row["low"], row["high"]):
            assert f"{number:+.{digits}f}" in row["why"]
        assert "3 seeds" in row["why"]
    for row in table[table["claim"] == "overall"].to_dict("records"):
        mine = table[(table["conjecture"] == row["conjecture"]) & (table["verdict"] == row["verdict"])]
        deciding = mine[mine["needed"].fillna(False).astype(bool)]
        assert len(deciding)
        assert all(f"{estimate:+.3f}" in row["why"] for estimate in deciding["estimate"])
    unbalanced = table[table["claim"] == "worse_where_unbalanced"].iloc[0]
    assert unbalanced["verdict"] == "undecided"
    assert unbalanced["why"].startswith("Not tested")


def test_depth_that_costs_more_on_unbalanced_classes_is_found_where_it_is_planted() -> None:
    setting = dataclasses.replace(MIDDLE, name="balanced too", balanced=True)
    table = judged(setting, 3.0).set_index("claim")
    row = table.loc["worse_where_unbalanced"]
    assert row["verdict"] == "supported"
    assert row["estimate"] == pytest.approx(-0.03, abs=0.006)
    assert row["cells"] == 2 * 7 * 4 * 3
    null = judged(setting, 0.0).set_index("claim").loc["worse_where_unbalanced"]
    assert null["verdict"] == "refuted"


def test_the_natural_task_is_called_by_its_name() -> None:
    truth = planted(DEMO, 0.0, np.random.default_rng(1), simulated_claims())
    measures = simulate(DEMO, truth, np.random.default_rng(2))
    measures.cells["init"] = measures.cells["init"].replace("natural", "photos")
    renamed = Measures(measures.cells, measures.covariance, measures.patients, measures.positives)
    table = verdict_table(judge(renamed, "photos", SMALL_TEST), "photos")
    text = " ".join(table["question"]) + " ".join(table["why"])
    assert "photos" in text
    assert "ImageNet" not in text
    assert "{natural}" not in text


def test_a_conjecture_stands_or_falls_with_the_claims_it_needs() -> None:
    table = judged(MIDDLE, 0.0)
    for number in (1, 2, 3, 4):
        rows = table[table["conjecture"] == number]
        needed = rows[(rows["claim"] != "overall") & rows["needed"].astype(bool)]["verdict"]
        verdict = rows[rows["claim"] == "overall"]["verdict"].iloc[0]
        if (needed == "refuted").any():
            assert verdict == "refuted"
        elif (needed == "supported").all():
            assert verdict == "supported"
        else:
            assert verdict == "undecided"
    assert overall([]) == "undecided"


def test_one_seed_is_said_to_be_one_seed() -> None:
    table = judged(DEMO, 2.0)
    tested_rows = table[table["estimate"].notna() & (table["claim"] != "overall")]
    assert set(tested_rows["seed_part"]) == {"runs"}
    assert tested_rows["why"].str.contains("One seed only").all()


def test_one_seed_and_one_size_decide_nothing() -> None:
    setting = dataclasses.replace(DEMO, sizes=DEMO.sizes[-1:], name="one size")
    cells = planted(DEMO, 2.0, np.random.default_rng(0), simulated_claims())
    truth = cells[cells["train_images"] == DEMO.sizes[-1]].reset_index(drop=True)
    measures = simulate(setting, truth, np.random.default_rng(1))
    table = verdict_table(judge(measures, "natural", SMALL_TEST), "natural")
    claims = table[(table["claim"] != "overall") & (table["metric"] != "spikes")]
    assert (claims["verdict"] == "undecided").all()
    assert set(claims["seed_part"].dropna()) == {"unknown"}


def test_margins_depend_on_the_size_of_the_test_split_alone() -> None:
    assert default_margins(6_450) == LARGE_TEST
    assert default_margins(150) == SMALL_TEST
    assert default_margins(None) == SMALL_TEST
    changed = default_margins(150).with_changes({"auroc": 0.02})
    assert (changed.auroc, changed.loss) == (0.02, SMALL_TEST.loss)


def test_size_weights_by_hand() -> None:
    sizes = (5_000, 50_000, 100_000, 200_000)
    assert size_weights(sizes, "last_doubling").tolist() == [0, 0, -1, 1]  # type: ignore[union-attr]
    assert size_weights(sizes, "range").tolist() == [0, -1, 0, 1]  # type: ignore[union-attr]
    np.testing.assert_allclose(size_weights((100, 400), "last_doubling"), [-0.5, 0.5])  # type: ignore[arg-type]
    np.testing.assert_allclose(size_weights((1, 2, 4), "trend"), [-0.5, 0, 0.5])  # type: ignore[arg-type]
    assert size_weights((100,), "last_doubling") is None


def test_a_grid_without_natural_images_leaves_those_claims_unsimulated_claims() -> None:
    truth = planted(DEMO, 0.0, np.random.default_rng(1), simulated_claims())
    measures = Measures(truth)
    claims = [c for c in CLAIMS if any(i == "natural" for _, i, _ in c.parts)]
    assert claims
    assert all(contrast_of(c, grid_of(measures, None)) is None for c in claims)


def test_findings_of_the_study_are_reproduced_where_they_are_planted() -> None:
    """The study's order of losses, its gains from data and pretraining, planted far beyond the margins."""
    loss = {"cbr_large_wide": 0.10, "resnet34": 0.2, "cbr_large_tall": 0.3, "resnet18": 0.3, "resnet50": 0.4,
            "cbr_small": 0.35, "cbr_tiny": 0.4}  # fmt: skip
    cells = planted(MIDDLE, 0.0, np.random.default_rng(0), simulated_claims())
    cells["train_loss"] = cells["architecture"].map(loss)
    doublings = np.log2(cells["train_images"] / 5_000)
    cells["test_auroc"] = 0.78 + 0.03 * doublings - 0.02 * doublings * (cells["architecture"] == "resnet18")
    cells["test_auroc"] += 0.05 * (cells["init"] == "natural")
    cells.loc[cells["architecture"] == "resnet50", "spikes"] = 12
    measures = simulate(MIDDLE, cells, np.random.default_rng(1))
    table = study_result_table(measures, "natural", LARGE_TEST).set_index("finding")["verdict"]
    for finding in (
        "The training loss of ResNet-50 spikes upwards",
        "CBR-Large-Wide fits better than the ResNets",
        "ResNet-34 underfits less than ResNet-18 and ResNet-50",
        "CBR-Large-Wide fits better than ResNet-34",
        "ResNet-50 fits worse than CBR-Large-Tall and ResNet-18",
        "CBR-Large-Wide gains from a quarter of the data to all of it",
        "CBR-Large-Wide gains from natural",
        "ResNet-18 gains less from data than the other networks",
    ):
        assert table[finding] == "reproduced", finding
    assert len(table) == len(STUDY)
    assert set(table) <= {"reproduced", "not reproduced", "undecided"}


CLAIM = Claim(
    3, "name", "Is it so?", "some AUROC", "zero", "test_auroc", ((1.0, "random", "none"),), "largest"
)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (-0.002, 0.004, "supported", "Any effect is smaller than 0.010"),
        (0.002, 0.006, "supported", "above zero beyond chance, but smaller than 0.010"),
        (0.02, 0.03, "refuted", "above zero beyond chance"),
        (-0.02, 0.03, "undecided", "would find an effect of 0.006"),
        (0.002, 0.03, "undecided", "not once corrected for the number of claims"),
    ],
)
def test_sentences(low: float, high: float, verdict: str, words: str) -> None:
    found = Estimate((low + high) / 2, low, high, 0.002, 50, "measured", 0.006, 3, 6_450, 900, 84, 0)
    text = why_claim(CLAIM, found, 0.01, verdict)
    assert words in text
    assert "6,450 patients, 3 seeds" in text


def test_the_simulated_demo_is_as_large_as_the_demo() -> None:
    """Its test split has the patients, frontal images and prevalence that the preset's rows and hash give."""
    preset = demo()
    assert preset.phantom is not None
    frontal = [row for row in training_rows(preset.phantom.images, seed=0) if row.view == "frontal"]
    patients = pd.Series([row.path.split("/")[2] for row in frontal])
    test = split_patients(patients) == "test"
    edema = np.array([row.labels[FINDINGS.index("Edema")] for row in frontal])[test]
    assert (patients[test].nunique(), int(test.sum())) == (DEMO.patients, DEMO.images) == (147, 395)
    assert np.isin(edema, (1.0, -1.0)).mean() == pytest.approx(DEMO.prevalence, abs=0.005)  # uncertain is one
    assert list(DEMO.sizes) == preset.space["train_images"]["grid_search"]
