"""Test patients of a simulated grid: every cell's area with what patients say of its chance.

Logits are binormal. All cells share a part for every patient and one for every image; labels of a patient's
images go together. Two ways lead from a cell's true AUROC to its estimate and its covariance with the others:

* `from_logits` draws every logit and computes areas and influences as the analysis does: exact.
* `from_moments` draws the estimates from their normal distribution and the covariance from its Wishart
  distribution. The covariance over patients is known in closed form, since the influence of a binormal logit
  is a normal probability: E[Phi(x) Phi(x')] is a bivariate normal probability. Estimates of 5,160 patients
  are normal to well within what can be counted in 1,000 grids, and it costs a hundredth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from analysis.calibration.settings import Setting
from analysis.calibration.truth import HIGHEST_AUROC, LOWEST_AUROC
from analysis.calibration.worlds import Reading
from analysis.statistics import areas

Reals = NDArray[np.float64]
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Split:
    """A test split: each image's patient, in ascending order, its label as read, and as it is [images]."""

    patients: NDArray[np.intp]
    labels: NDArray[np.bool_]
    true_labels: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Areas:
    """AUROC of every cell [C], its covariance over patients [C, C], how many there are, and its degrees of
    freedom."""

    values: Reals
    covariance: Reals
    patients: int
    positives: int
    freedom: int


def draw_split(setting: Setting, reading: Reading, rng: np.random.Generator) -> Split:
    """Patients, their images and labels; a split with one class only is drawn again.

    Raises:
        ValueError: only one class was drawn, time and again.
    """
    for _ in range(1_000):
        split = _draw_split(setting, reading, rng)
        if 0 < split.labels.sum() < setting.images:
            return split
    raise ValueError(f"{setting.name}: a simulated test split of {setting.images} images has one class only")


def _draw_split(setting: Setting, reading: Reading, rng: np.random.Generator) -> Split:
    count, images = setting.patients, setting.images
    patients = np.sort(np.concatenate([np.arange(count), rng.integers(0, count, images - count)]))
    whole = rng.random(count) < setting.label_clustering
    common = rng.random(count) < setting.prevalence
    true = np.where(whole[patients], common[patients], rng.random(images) < setting.prevalence)
    if not reading.noisy_patients:
        return Split(patients, true, true)
    site = (rng.random(count) < reading.noisy_patients)[patients]
    return Split(patients, true ^ (site & (rng.random(images) < reading.flipped)), true)


def separation(aurocs: Reals, setting: Setting, reading: Reading) -> Reals:
    """Distance of the classes' means, in standard deviations, that gives these AUROCs of the labels as read.

    Where labels are wrong with the probability f, of those read as positive a share is truly so, and the
    AUROC of labels as read is 1/2 + (difference of those shares) (AUROC of true labels - 1/2).
    """
    wrong = reading.noisy_patients * reading.flipped
    share = setting.prevalence
    read_positive = share * (1 - wrong) + (1 - share) * wrong
    seen = share * (1 - wrong) / read_positive - share * wrong / (1 - read_positive)
    return np.sqrt(2) * ndtri(np.clip(0.5 + (aurocs - 0.5) / seen, LOWEST_AUROC, HIGHEST_AUROC))


def from_logits(
    aurocs: Reals, arms: NDArray[np.intp], setting: Setting, reading: Reading, rng: np.random.Generator
) -> Areas:
    """Areas from logits.

    Args:
        aurocs: true AUROC of every cell [C].
        arms: code of every cell's arm [C].
    """
    split = draw_split(setting, reading, rng)
    values, influence = roc(split.labels, draw_logits(aurocs, arms, split, (setting, reading), rng))
    starts = np.flatnonzero(np.diff(split.patients, prepend=-1))
    factors, freedom = areas.class_factors(split.labels, split.patients, setting.patients)
    by_patient = np.add.reduceat(influence * factors, starts, axis=1)
    covariance = areas.patient_covariance(by_patient)
    return Areas(values, covariance, setting.patients, int(split.labels.sum()), max(freedom, 1))


def draw_logits(
    aurocs: Reals,
    arms: NDArray[np.intp],
    split: Split,
    how: tuple[Setting, Reading],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Logits [C, images] of these AUROCs in the population."""
    setting, reading = how
    images, count = len(split.labels), len(aurocs)
    shared = np.sqrt(reading.by_patient) * rng.standard_normal(setting.patients)[split.patients]
    shared += np.sqrt(reading.by_image) * rng.standard_normal(images)
    logits = rng.standard_normal((count, images), dtype=np.float32)
    logits *= np.float32(np.sqrt(1 - reading.by_patient - reading.by_image - reading.by_arm))
    logits += shared.astype(np.float32)
    if reading.by_arm:
        own = rng.standard_normal((int(arms.max()) + 1, images), dtype=np.float32)
        logits += np.float32(np.sqrt(reading.by_arm)) * own[arms]
    moved = separation(aurocs, setting, reading).astype(np.float32)
    logits += moved[:, None] * split.true_labels.astype(np.float32)
    return logits


def roc(labels: NDArray[np.bool_], logits: NDArray[np.float32]) -> tuple[Reals, Reals]:
    """Areas under many ROC curves over the same images, without ties, as `areas.auroc` has them.

    Args:
        labels: [N].
        logits: [C, N].

    Returns:
        Areas [C] and influences [C, N].
    """
    order = np.argsort(logits, axis=1)
    positive = labels[order]
    positives = int(labels.sum())
    negatives = len(labels) - positives
    positives_below = np.cumsum(positive, axis=1)
    negatives_below = np.arange(1, len(labels) + 1) - positives_below
    found = (negatives_below * positive).sum(axis=1) / (positives * negatives)
    ranked = np.where(
        positive,
        (negatives_below / negatives - found[:, None]) / positives,
        (1 - positives_below / positives - found[:, None]) / negatives,
    )
    influence = np.empty_like(ranked)
    np.put_along_axis(influence, order, ranked, axis=1)
    return found, influence


def from_moments(
    aurocs: Reals, arms: NDArray[np.intp], setting: Setting, reading: Reading, rng: np.random.Generator
) -> Areas:
    """Areas from their joint normal distribution; arguments as of `from_logits`.

    Raises:
        ValueError: labels at a site are noisy, or there are too few patients for so many cells.
    """
    if reading.noisy_patients:
        raise ValueError("noisy labels are simulated from logits only; expected a preset of few patients")
    split = draw_split(setting, reading, rng)
    covariance, freedom = expected_covariance(aurocs, arms, split, reading)
    count = len(aurocs)
    if freedom <= count:
        raise ValueError(
            f"{setting.name}: {freedom:.0f} patients' worth of information cannot tell the covariance of "
            f"{count} cells; expected more: draw logits"
        )
    root = np.linalg.cholesky(covariance)
    values = aurocs + root @ rng.standard_normal(count)
    bartlett = np.tril(rng.standard_normal((count, count), dtype=np.float32).astype(np.float64), -1)
    bartlett[np.diag_indices(count)] = np.sqrt(rng.chisquare(freedom - np.arange(count)))
    root = root @ bartlett
    positives = int(split.labels.sum())
    return Areas(values, root @ root.T / freedom, setting.patients, positives, int(freedom))


def expected_covariance(
    aurocs: Reals, arms: NDArray[np.intp], split: Split, reading: Reading
) -> tuple[Reals, float]:
    """Covariance over patients of the cells' AUROC [C, C], given the labels, and its degrees of freedom.

    The degrees of freedom are those of a weighted sum of the patients' squares: their number, less where few
    of them hold most of the images of the rarer class.
    """
    count = int(split.patients[-1]) + 1
    positive = np.bincount(split.patients, split.labels, count)
    negative = np.bincount(split.patients, ~split.labels, count)
    positives, negatives = positive.sum(), negative.sum()
    halves = ndtri(np.clip(aurocs, LOWEST_AUROC, HIGHEST_AUROC))
    areas_true = ndtr(halves)
    outer = np.outer(areas_true, areas_true)

    def together(correlation: float, sign: float = 1.0) -> Reals:
        """Covariance of Phi(x) and Phi(x') for two cells' logits of this correlation [C, C]."""
        common = np.sqrt(correlation / 2) * NODES
        own = np.sqrt(1 - correlation / 2)
        left = ndtr((halves[:, None] + common) / own)
        right = left if sign > 0 else ndtr((halves[:, None] - common) / own)
        return (left * NODE_WEIGHTS) @ right.T - outer

    image = together(reading.by_patient + reading.by_image)
    if reading.by_arm:
        alike = arms[:, None] == arms
        image = np.where(alike, together(reading.by_patient + reading.by_image + reading.by_arm), image)
    own = np.diag_indices(len(aurocs))
    image[own] = ((ndtr((halves[:, None] + np.sqrt(0.5) * NODES) / np.sqrt(0.5)) ** 2) @ NODE_WEIGHTS) - (
        areas_true**2
    )
    covariance = image * (1 / positives + 1 / negatives)
    single = positive / positives**2 + negative / negatives**2
    pairs = positive * (positive - 1) / positives**2 + negative * (negative - 1) / negatives**2
    crossed = 2 * float(positive @ negative) / (positives * negatives)
    covariance += pairs.sum() * together(reading.by_patient) + crossed * together(reading.by_patient, -1.0)
    share = single + reading.by_patient * pairs
    return covariance, float(share.sum() ** 2 / (share @ share))
