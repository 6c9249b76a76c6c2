"""Verdicts on grids with a planted truth, and on grids that cannot decide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.settings import CHEXPERT, DEMO, Setting
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import planted, simulated_claims, true_effects
from analysis.claims.conjectures import CLAIMS, Claim, contrast_of, grid_of, size_weights
from analysis.claims.judged import Judged, right_effects, right_verdict
from analysis.claims.margin_tests import decide, effect_of, likely, p_values
from analysis.claims.sentences import why_claim, why_overall
from analysis.claims.study_results import STUDY, study_result_table
from analysis.claims.verdict_table import verdict_table
from analysis.claims.verdicts import judge, overall
from analysis.statistics.catalogue import Margins
from analysis.statistics.estimate import Estimate
from analysis.statistics.measures import Measures
from sweeps.presets import demo
from transfusion.data.dataset import split_patients
from transfusion.phantom.labels import FINDINGS, training_rows

MIDDLE = dataclasses.replace(
    CHEXPERT, name="middle", patients=1_500, images=4_000, seeds=5, auroc_sd=0.002, loss_sd=0.004
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


def test_a_planted_effect_of_four_margins_is_found_in_every_claim() -> None:
    table = judged(MIDDLE, 4.0)
    claims = table[table["claim"] != "overall"].set_index("claim")
    for claim in simulated_claims():
        right = right_verdict(claim, 4.0 * (-1 if claim.expects == "negative" else 1), 1.0)
        assert claims.loc[claim.name, "verdict"] == right, claims.loc[claim.name, "why"]
        assert claims.loc[claim.name, "effect"] in right_effects(
            claim, 4.0 * (-1 if claim.expects == "negative" else 1), 1.0
        )
    overall_rows = table[table["claim"] == "overall"].set_index("conjecture")["verdict"]
    assert overall_rows.to_dict() == {1: "supported", 2: "refuted", 3: "refuted", 4: "refuted"}
    assert claims.loc["loss_grows_with_depth", "effect"] == "loss"  # a higher loss is the worse
    assert claims.loc["natural_weights_gain_nothing", "effect"] == "gain"
    shares = claims.loc["natural_weights_gain_nothing", ["likely_worse", "likely_same", "likely_better"]]
    assert shares.sum() == pytest.approx(1)
    assert shares["likely_better"] > 0.99


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
        assert "5 seeds" in row["why"]
    for row in table[table["claim"] == "overall"].to_dict("records"):
        mine = table[(table["conjecture"] == row["conjecture"]) & (table["verdict"] == row["verdict"])]
        deciding = mine[mine["needed"].eq(True)]
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
    assert row["cells"] == 2 * 7 * 4 * 5
    null = judged(setting, 0.0).set_index("claim").loc["worse_where_unbalanced"]
    assert null["verdict"] != "supported"
    assert null["low"] < 0 < null["high"]


def test_the_natural_task_is_called_by_its_name() -> None:
    truth = planted(DEMO, 0.0, np.random.default_rng(1), simulated_claims())
    measures = simulate(DEMO, truth, np.random.default_rng(2))
    measures.cells["init"] = measures.cells["init"].replace("natural", "photos")
    renamed = Measures(measures.cells, measures.covariance, measures.patients, measures.positives)
    table = verdict_table(judge(renamed, "photos", Margins()), "photos")
    text = " ".join(table["question"]) + " ".join(table["why"])
    assert "photos" in text
    assert "ImageNet" not in text
    assert "{natural}" not in text


def test_one_seed_decides_nothing_and_says_so() -> None:
    """What a seed's runs share cannot be seen by it: ten margins are not enough."""
    large = dataclasses.replace(DEMO, margins=Margins(0.01, 0.02, 2.0), auroc=0.75)
    table = judged(large, 6.0)
    tested = table[table["estimate"].notna() & (table["claim"] != "overall")]
    assert len(tested) == len(simulated_claims())
    assert set(table["verdict"]) == {"undecided"}
    assert set(tested["effect"]) == {"unknown"}
    assert tested["why"].str.contains("One seed only").all()
    assert tested["low"].isna().all()


def test_margins_do_not_follow_the_size_of_the_test_split() -> None:
    assert (Margins().auroc, Margins().loss, Margins().spikes) == (0.01, 0.02, 2.0)
    changed = Margins().with_changes({"auroc": 0.02})
    assert (changed.auroc, changed.loss) == (0.02, 0.02)
    assert (changed.of("test_auprc"), changed.of("train_loss"), changed.of("spikes")) == (0.02, 0.02, 2.0)
    with pytest.raises(ValueError, match="no smallest effect"):
        changed.of("spike_height")


def test_size_weights_by_hand() -> None:
    sizes = (5_000, 50_000, 100_000, 200_000)
    assert size_weights(sizes, "last_doubling").tolist() == [0, 0, -1, 1]  # type: ignore[union-attr]
    assert size_weights(sizes, "range").tolist() == [0, -1, 0, 1]  # type: ignore[union-attr]
    np.testing.assert_allclose(size_weights((100, 400), "last_doubling"), [-0.5, 0.5])  # type: ignore[arg-type]
    np.testing.assert_allclose(size_weights((1, 2, 4), "trend"), [-0.5, 0, 0.5])  # type: ignore[arg-type]
    assert size_weights((100,), "last_doubling") is None


def test_a_grid_without_natural_images_leaves_those_claims_untested() -> None:
    truth = planted(DEMO, 0.0, np.random.default_rng(1), simulated_claims())
    measures = Measures(truth)
    claims = [c for c in CLAIMS if any(i == "natural" for _, i, _ in c.parts)]
    assert claims
    assert all(contrast_of(c, grid_of(measures, None)) is None for c in claims)
    told = {j.untested for j in judge(measures, None, Margins(), claims)}
    assert told == {"no network of the grid starts from natural-image weights"}


def test_a_grid_of_one_size_says_which_claims_need_more() -> None:
    cells = planted(DEMO, 0.0, np.random.default_rng(1), simulated_claims())
    one = Measures(cells[cells["train_images"] == cells["train_images"].max()].reset_index(drop=True))
    untested = {j.claim.sizes: j.untested for j in judge(one, "photos", Margins()) if j.untested}
    said = "it compares two sizes of the training data or more, and the grid has one size"
    assert untested["last_doubling"] == untested["smallest"] == said


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
    whole = study_result_table(measures, "natural", Margins()).set_index("finding")
    numbers = whole[whole["published"].notna()]
    assert list(numbers["published"]) == ["+3.3 %", "+2 % (ImageNet)"]
    assert set(numbers["source"]) == {"the study's figure 4"}
    assert whole["source"].isna().sum() == len(STUDY) - 2, "a source stands beside a number alone"
    table = whole["verdict"]
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


def found(estimate: float, error: float, patients: int = 6_450) -> Estimate:
    """An estimate with 50 degrees of freedom, all of its variance from patients."""
    reach = 2.00856 * error
    return Estimate(
        estimate, estimate - reach, estimate + reach, error, 50, "measured", 0.0, 3, patients, 900, 84, 0,
        patient_variance=error**2,
    )  # fmt: skip


def judged_alone(claim: Claim, one: Estimate, tests: int = 1) -> Judged:
    pair = p_values(one, claim.expects, 0.01)
    level = 0.05 / tests
    return Judged(
        claim, one, 0.01, *pair, tests, decide(*pair, level), effect_of([one], 0.01, level, 1),
        likely(one, 0.01, 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expects", "estimate", "error", "tests", "verdict", "effect", "words"),
    [
        ("zero", 0.000, 0.002, 1, "supported", "none", "Any effect is smaller than 0.010"),
        (
            "zero",
            0.005,
            0.002,
            1,
            "supported",
            "small gain",
            "above zero beyond chance, but by less than 0.010",
        ),
        ("zero", 0.030, 0.005, 1, "refuted", "gain", "above zero by 0.010 or more"),
        ("not_positive", -0.30, 0.02, 1, "supported", "loss", "A rise of 0.010 or more"),
        ("not_positive", -0.005, 0.002, 1, "supported", "small loss", "below zero beyond chance"),
        ("not_positive", 0.030, 0.005, 1, "refuted", "gain", "above zero by 0.010 or more"),
        ("positive", 0.005, 0.002, 1, "refuted", "small gain", "beyond chance, but by less"),
        ("positive", 0.030, 0.005, 1, "supported", "gain", "above zero by 0.010 or more"),
        ("negative", -0.030, 0.005, 1, "supported", "loss", "below zero by 0.010 or more"),
        ("zero", 0.005, 0.012, 1, "undecided", "unknown", "is possible, and so is none"),
        ("positive", 0.030, 0.0095, 1, "supported", "gain", "0.010"),
        (
            "positive",
            0.030,
            0.0095,
            13,
            "undecided",
            "unknown",
            "not once corrected for the number of claims",
        ),
        ("zero", 0.016, 0.006, 1, "undecided", "unknown", "By itself above zero; whether by 0.010"),
    ],
)
def test_verdict_effect_and_sentence(
    expects: str, estimate: float, error: float, tests: int, verdict: str, effect: str, words: str
) -> None:
    j = judged_alone(dataclasses.replace(CLAIM, expects=expects), found(estimate, error), tests)  # type: ignore[arg-type]
    assert (j.verdict, j.effect) == (verdict, effect)
    text = why_claim(j)
    assert words in text
    assert "6,450 patients, 3 seeds" in text
    assert j.verdict in (right_verdict(j.claim, estimate, 0.01), "undecided")
    assert j.effect in right_effects(j.claim, estimate, 0.01)


@pytest.mark.parametrize(
    ("readings", "effect"),
    [
        ([], "unknown"),
        ([(0.03, 0.002), (0.03, 0.0)], "unknown"),
        ([(0.03, 0.002), (0.02, 0.002)], "gain"),
        ([(-0.03, 0.002), (-0.02, 0.002)], "loss"),
        ([(0.03, 0.002), (-0.03, 0.002)], "unknown"),
        ([(0.03, 0.002), (0.005, 0.0005)], "unknown"),
        ([(0.005, 0.0005), (0.004, 0.0005)], "small gain"),
        ([(-0.005, 0.0005), (-0.004, 0.0005)], "small loss"),
        ([(0.005, 0.0005), (-0.005, 0.0005)], "none"),
        ([(0.005, 0.0005), (0.0, 0.001)], "none"),
    ],
)
def test_what_is_found_is_found_by_both_readings(readings: list[tuple[float, float]], effect: str) -> None:
    """At a margin of 0.01 and 5 %; where a lower value is better a gain is a loss."""
    both = [found(estimate, error) for estimate, error in readings]
    swapped = {"gain": "loss", "loss": "gain", "small gain": "small loss", "small loss": "small gain"}
    assert effect_of(both, 0.01, 0.05, 1) == effect_of(both[::-1], 0.01, 0.05, 1) == effect
    assert effect_of(both, 0.01, 0.05, -1) == swapped.get(effect, effect)


def test_more_precision_never_turns_one_decision_into_the_other() -> None:
    """At every true effect, verdicts seen as the error shrinks are undecided and one of the two."""
    for estimate in np.linspace(-0.03, 0.03, 61):
        for expects in ("positive", "negative", "zero", "not_positive"):
            claim = dataclasses.replace(CLAIM, expects=expects)  # type: ignore[arg-type]
            estimates = [found(estimate, error) for error in (0.02, 0.008, 0.003, 1e-4)]
            seen = {judged_alone(claim, one).verdict for one in estimates}
            assert not {"supported", "refuted"} <= seen, (estimate, expects)


def test_how_many_patients_could_tell_by_hand() -> None:
    """All variance is patients': an error of 0.02 at 100 patients. Needed: 0.01 / (1.6449 + 0.8416) =
    0.004022, so 100 (0.02 / 0.004022)^2 = 2,473 patients."""
    j = judged_alone(CLAIM, found(0.0, 0.02, patients=100))
    assert j.verdict == "undecided"
    assert j.patients_needed == pytest.approx(2_473, abs=2)
    text = why_claim(j)
    assert "About 2,500 test patients could tell; there are 100." in text
    assert "No number of seeds will do" in text
    by_seeds = judged_alone(CLAIM, dataclasses.replace(found(0.0, 0.02), patient_variance=1e-8))
    assert by_seeds.patients_needed is None
    assert "No number of test patients could tell" in why_claim(by_seeds)


def test_the_smallest_effect_is_that_of_the_verdict_s_own_test() -> None:
    """Simulated: an effect of that size is found in four of five, after the correction for 13 tests."""
    rng = np.random.default_rng(0)
    one = found(0.0, 0.004)
    smallest = judged_alone(dataclasses.replace(CLAIM, expects="positive"), one, tests=13).smallest_effect
    estimates = smallest + 0.004 * rng.standard_normal(20_000)
    errors = 0.004 * np.sqrt(rng.chisquare(50, 20_000) / 50)
    hits = [
        p_values(dataclasses.replace(one, estimate=e, standard_error=s), "positive", 0.01)[0] <= 0.05 / 13
        for e, s in zip(estimates, errors, strict=True)
    ]
    assert np.mean(hits) == pytest.approx(0.80, abs=0.015)
    assert np.isnan(judged_alone(CLAIM, found(0.0, 0.4)).smallest_effect)  # no AUROC differs by more than 1


def conjecture_of(pairs: list[tuple[float, float]], tests: int = 13) -> list[Judged]:
    return [
        Judged(CLAIM, found(0.0, 0.01), 0.01, s, r, tests, decide(s, r, 0.05 / tests), "unknown")
        for s, r in pairs
    ]


def test_a_conjecture_needs_no_correction_inside_to_be_supported() -> None:
    """Five claims at p = 0.012 pass at 0.05 / 4 together, though none at 0.05 / 13; one of five is refuted at
    0.05 / 20."""
    assert overall(conjecture_of([(0.012, 0.9)] * 5)) == "supported"
    assert {j.verdict for j in conjecture_of([(0.012, 0.9)] * 5)} == {"undecided"}
    assert overall(conjecture_of([(0.012, 0.9)] * 4 + [(0.013, 0.9)])) == "undecided"
    assert overall(conjecture_of([(0.9, 0.0024)] + [(0.9, 0.9)] * 4)) == "refuted"
    assert overall(conjecture_of([(0.9, 0.0026)] + [(0.9, 0.9)] * 4)) == "undecided"
    assert overall(conjecture_of([(float("nan"), float("nan"))] * 2)) == "undecided"


def test_a_conjecture_that_is_decided_where_its_claim_is_not_says_why() -> None:
    """One claim at p = 0.006: below 0.05 / 4, the conjecture's level, and above 0.05 / 13, its own."""
    alone = conjecture_of([(0.9, 0.006)])
    assert (overall(alone), alone[0].verdict) == ("refuted", "undecided")
    text = why_overall("refuted", alone)
    assert "At the level of the four conjectures it is refuted" in text
    assert "corrected for all claims, the claim that it rests on is not" in text


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
