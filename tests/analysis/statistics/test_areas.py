"""Areas and their variance over patients, against scikit-learn, DeLong's formula and the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from analysis.statistics import areas


def sample(rng: np.random.Generator, n: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = (rng.random(n) < 0.3).astype(float)
    logits = rng.normal(size=n) + labels
    return labels, np.round(logits, 1) if ties else logits


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_areas_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    labels, logits = sample(np.random.default_rng(seed), 300, ties=ties)
    ranked = areas.rank(labels, logits)
    assert ranked is not None
    assert areas.auroc(ranked)[0] == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)
    assert areas.average_precision(ranked)[0] == pytest.approx(
        average_precision_score(labels, logits), abs=1e-12
    )


def test_one_class_has_no_area() -> None:
    assert areas.rank(np.ones(5), np.arange(5.0)) is None
    assert areas.rank(np.zeros(5), np.arange(5.0)) is None


def delong_covariance(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """DeLong, DeLong and Clarke-Pearson 1988, by its definition over all pairs."""
    parts = []
    for logits in (first, second):
        pairs = logits[labels == 1][:, None] - logits[labels == 0][None, :]
        psi = (pairs > 0) + 0.5 * (pairs == 0)
        parts.append((psi.mean(axis=1), psi.mean(axis=0)))
    positives, negatives = (np.stack([p[side] for p in parts]) for side in (0, 1))
    return np.cov(positives) / positives.shape[1] + np.cov(negatives) / negatives.shape[1]


@pytest.mark.parametrize("ties", [False, True])
def test_with_one_image_per_patient_the_covariance_is_delongs(ties: bool) -> None:
    rng = np.random.default_rng(3)
    labels, first = sample(rng, 4_000, ties=ties)
    second = first + rng.normal(size=len(first))
    influence = []
    factors, freedom = areas.class_factors(labels, np.arange(len(labels)), len(labels))
    for logits in (first, second):
        ranked = areas.rank(labels, logits)
        assert ranked is not None
        influence.append(factors * areas.auroc(ranked)[1])
    assert freedom == min(labels.sum(), (1 - labels).sum()) - 1
    ours = areas.patient_covariance(np.array(influence))
    np.testing.assert_allclose(ours, delong_covariance(labels, first, second), rtol=1e-10)


def obuchowski(labels: np.ndarray, logits: np.ndarray, patients: np.ndarray) -> float:
    """Obuchowski 1997, equations 1 to 5, by its definition over all pairs and clusters."""
    pairs = logits[labels == 1][:, None] - logits[labels == 0][None, :]
    psi = (pairs > 0) + 0.5 * (pairs == 0)
    area, (m, n) = psi.mean(), psi.shape
    codes = np.unique(patients)
    positive = np.array([(psi.mean(axis=1) - area)[patients[labels == 1] == c].sum() for c in codes])
    negative = np.array([(psi.mean(axis=0) - area)[patients[labels == 0] == c].sum() for c in codes])
    i10, i01 = (sum((labels[patients == c] == y).any() for c in codes) for y in (1, 0))
    i = len(codes)
    s10, s01 = i10 / (i10 - 1) * (positive**2).sum() / m, i01 / (i01 - 1) * (negative**2).sum() / n
    s11 = i / (i - 1) * (positive * negative).sum()
    return float(s10 / m + s01 / n + 2 * s11 / (m * n))


def clustered(rng: np.random.Generator, sick: int, count: int = 147) -> tuple[np.ndarray, ...]:
    """Labels, logits and patients of `count` patients with two or three images, `sick` of whom have one
    positive image."""
    patients = np.repeat(np.arange(count), rng.integers(2, 4, count))
    labels = np.zeros(len(patients))
    first = np.flatnonzero(np.diff(patients, prepend=-1))
    labels[first[rng.choice(count, sick, replace=False)]] = 1
    logits = labels + rng.normal(size=len(labels)) + 0.7 * rng.normal(size=count)[patients]
    return labels, logits, patients


def test_clustered_variance_is_obuchowskis() -> None:
    """Her three factors; ours has the geometric mean of two of them where hers has the third."""
    for seed, sick in ((0, 12), (1, 40)):
        labels, logits, patients = clustered(np.random.default_rng(seed), sick)
        ranked = areas.rank(labels, logits)
        assert ranked is not None
        factors, freedom = areas.class_factors(labels, patients, 147)
        influence = areas.by_patient(factors * areas.auroc(ranked)[1], patients, 147)
        assert freedom == sick - 1
        ours = areas.patient_covariance(influence[None])[0, 0]
        assert ours == pytest.approx(obuchowski(labels, logits, patients), rel=0.01)


def test_few_positive_patients_are_covered() -> None:
    """12 positive images among 147 patients: 95 % intervals cover; with one factor of all patients they did
    88 %.

    The true area is that of two normal distributions one apart with variance 1.49 each: Phi(1 / sqrt 2.98).
    """
    truth, covered, before = float(stats.norm.cdf(1 / np.sqrt(2.98))), 0, 0
    for seed in range(600):
        labels, logits, patients = clustered(np.random.default_rng([7, seed]), 12)
        ranked = areas.rank(labels, logits)
        assert ranked is not None
        area, moved = areas.auroc(ranked)
        factors, freedom = areas.class_factors(labels, patients, 147)
        influence = areas.by_patient(factors * moved, patients, 147)
        error = np.sqrt(areas.patient_covariance(influence[None])[0, 0])
        covered += abs(area - truth) <= stats.t.ppf(0.975, freedom) * error
        plain = np.sqrt((areas.by_patient(moved, patients, 147) ** 2).sum() * 147 / 146)
        before += abs(area - truth) <= stats.t.ppf(0.975, 146) * plain
    assert covered / 600 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 600)
    assert before / 600 < 0.92


@pytest.mark.parametrize("area", [areas.auroc, areas.average_precision])
def test_clustered_variance_is_that_of_the_patient_bootstrap(area) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(4)
    count, per = 400, 3
    patients = np.repeat(np.arange(count), per)
    sick = (rng.random(count) < 0.35).astype(float)
    labels = sick[patients]
    logits = labels + 0.8 * rng.normal(size=count)[patients] + 0.6 * rng.normal(size=count * per)
    ranked = areas.rank(labels, logits)
    assert ranked is not None
    _, influence = area(ranked)
    ours = areas.patient_covariance(areas.by_patient(influence, patients, count)[None])[0, 0]
    images = patients.reshape(count, per) * per + np.arange(per)
    draws = []
    for _ in range(1_500):
        chosen = images[rng.integers(0, count, count)].ravel()
        again = areas.rank(labels[chosen], logits[chosen])
        assert again is not None
        draws.append(area(again)[0])
    assert np.sqrt(ours) == pytest.approx(np.std(draws), rel=0.08)
    naive = areas.patient_covariance(influence[None])[0, 0]
    assert ours > 1.5 * naive  # images of a patient go together: independence would be far too sure


def test_influences_sum_to_zero_and_predict_the_loss_of_a_patient() -> None:
    rng = np.random.default_rng(5)
    labels, logits = sample(rng, 2_000, ties=False)
    for area in (areas.auroc, areas.average_precision):
        ranked = areas.rank(labels, logits)
        assert ranked is not None
        value, influence = area(ranked)
        assert influence.sum() == pytest.approx(0, abs=1e-9)
        for image in (0, 7, 100):
            rest = np.arange(len(labels)) != image
            without = areas.rank(labels[rest], logits[rest])
            assert without is not None
            assert area(without)[0] - value == pytest.approx(-influence[image], abs=2e-6)


def test_study_maximum_takes_the_largest_view() -> None:
    studies = np.array([4, 9, 4, 9, 2])
    views, labels, logits = areas.study_maximum(
        studies, np.array([0.0, 1, 1, 1, 0]), np.array([0.1, 0.2, 0.3, -1.0, 5.0])
    )
    assert labels.tolist() == [0, 1, 1]
    assert logits.tolist() == [5.0, 0.3, 0.2]
    assert studies[views].tolist() == [2, 4, 9]


def test_sixteen_bit_logits_give_the_same_area() -> None:
    labels, logits = sample(np.random.default_rng(6), 500, ties=False)
    whole = np.round(logits * 1_000).astype(np.int16)
    first, second = areas.rank(labels, whole), areas.rank(labels, whole.astype(np.float64))
    assert first is not None
    assert second is not None
    assert areas.auroc(first)[0] == areas.auroc(second)[0]
