"""Simulated test patients: areas, covariances and AUROCs as defined, whichever way they are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from analysis.calibration.patients import (
    draw_logits,
    draw_split,
    expected_covariance,
    from_logits,
    from_moments,
    roc,
    separation,
)
from analysis.calibration.settings import CHEXPERT, DEMO
from analysis.calibration.worlds import Reading
from analysis.statistics import areas

SMALL = dataclasses.replace(CHEXPERT, name="small", patients=700, images=2_000)
AUROCS = np.array([0.7, 0.7, 0.82, 0.9])
ARMS = np.array([0, 1, 0, 1])


def test_areas_and_influences_are_those_of_the_analysis() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.2
    logits = rng.standard_normal((5, 300), dtype=np.float32) + labels
    found, influence = roc(labels, logits)
    for row in range(5):
        assert found[row] == pytest.approx(roc_auc_score(labels, logits[row]), abs=1e-12)
        ranked = areas.rank(labels.astype(np.float32), logits[row])
        assert ranked is not None
        np.testing.assert_allclose(influence[row], areas.auroc(ranked)[1], atol=1e-12)


@pytest.mark.parametrize(
    "reading",
    [
        Reading(),
        Reading(by_patient=0.1, by_image=0.2, by_arm=0.4),
        Reading(noisy_patients=0.25, flipped=0.15),
    ],
)
def test_logits_have_the_auroc_that_was_asked_for(reading: Reading) -> None:
    setting = dataclasses.replace(SMALL, patients=30_000, images=60_000)
    rng = np.random.default_rng(1)
    split = draw_split(setting, reading, rng)
    found, _ = roc(split.labels, draw_logits(AUROCS, ARMS, split, (setting, reading), rng))
    np.testing.assert_allclose(found, AUROCS, atol=0.01)  # four standard errors


def test_classes_without_noise_are_as_far_apart_as_the_auroc_says() -> None:
    moved = separation(np.array([0.5, 0.7602499389]), SMALL, Reading())  # Phi(1 / sqrt 2) = 0.7602...
    np.testing.assert_allclose(moved, [0.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("reading", [Reading(), Reading(by_patient=0.15, by_image=0.15, by_arm=0.5)])
def test_the_covariance_in_closed_form_is_that_of_logits(reading: Reading) -> None:
    """Mean of the analysis's own estimate over 200 splits; its relative standard error is below 1 %."""
    rng = np.random.default_rng(2)
    drawn = np.mean([from_logits(AUROCS, ARMS, SMALL, reading, rng).covariance for _ in range(200)], axis=0)
    splits = [draw_split(SMALL, reading, rng) for _ in range(50)]
    expected = np.mean([expected_covariance(AUROCS, ARMS, split, reading)[0] for split in splits], axis=0)
    np.testing.assert_allclose(expected, drawn, rtol=0.04)


def test_both_ways_scatter_alike() -> None:
    """Estimates and standard errors of a difference of two networks, by logits and by moments."""
    rng = np.random.default_rng(3)
    weights = np.array([1.0, 0.0, -1.0, 0.0])
    both = {}
    for way in (from_logits, from_moments):
        drawn = [way(AUROCS, ARMS, SMALL, Reading(), rng) for _ in range(400)]
        errors = np.array([weights @ (one.values - AUROCS) for one in drawn])
        variances = np.array([weights @ one.covariance @ weights for one in drawn])
        both[way] = errors.mean() / errors.std() * 20, errors.var(), variances.mean(), variances.std()
        assert abs(both[way][0]) < 3.5
    exact, quick = both[from_logits], both[from_moments]
    assert quick[1] == pytest.approx(exact[1], rel=0.3)  # relative standard error 10 %
    assert quick[2] == pytest.approx(exact[2], rel=0.03)
    assert 0.6 < quick[3] / exact[3] < 1.6


def test_a_rare_finding_leaves_fewer_degrees_of_freedom_than_patients() -> None:
    rng = np.random.default_rng(4)
    common, rare = (
        expected_covariance(AUROCS, ARMS, draw_split(setting, Reading(), rng), Reading())[1]
        for setting in (SMALL, dataclasses.replace(SMALL, prevalence=0.02))
    )
    assert rare < common / 4 < common < SMALL.patients


def test_what_moments_cannot_hold_is_refused() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(ValueError, match="noisy labels"):
        from_moments(AUROCS, ARMS, SMALL, Reading(noisy_patients=0.5, flipped=0.2), rng)
    with pytest.raises(ValueError, match="cannot tell the covariance of 500 cells"):
        from_moments(np.full(500, 0.7), np.zeros(500, dtype=int), DEMO, Reading(), rng)
    one_class = dataclasses.replace(DEMO, prevalence=0.0)
    with pytest.raises(ValueError, match="one class only"):
        draw_split(one_class, Reading(), rng)


def test_a_split_of_one_class_is_drawn_again() -> None:
    hardly_any = dataclasses.replace(DEMO, prevalence=0.003)
    for seed in range(30):
        assert draw_split(hardly_any, Reading(), np.random.default_rng(seed)).labels.any()
