"""Areas under the ROC and the precision-recall curve, each with every patient's influence on it.

The variance of an area, or of any weighted sum of areas over the same patients, is that of a sum of
influences, `weights @ patient_covariance(influence) @ weights`. For the ROC area this is the variance for
clustered data of Obuchowski (Biometrics 53, 1997: 567-578), and DeLong's where every patient has one image;
for average precision it is the infinitesimal jackknife. Pairing is exact: patients that two networks share
cancel.

Few patients have a positive image, and what positive images contribute rests on those alone. So influences of
positive images count with I10 / (I10 - 1), of negative ones with I01 / (I01 - 1), where I10 and I01 patients
have an image of that class (`class_factors`); what a patient of both contributes, with the two factors'
geometric mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Labels and logits in ascending order of logits, ties joined.

    Attributes:
        order: positions of the images, ascending in logit [N].
        positive: 1 for a positive image in that order, else 0 [N].
        first, last: the ends of the tied group that an image of that order belongs to [N].
    """

    order: NDArray[np.intp]
    positive: Reals
    first: NDArray[np.intp]
    last: NDArray[np.intp]


def rank(labels: NDArray[np.floating], logits: NDArray[np.floating] | NDArray[np.integer]) -> Ranked | None:
    """Sort once for both areas; None where a class is absent, so that no area is defined.

    Args:
        labels: 1 or 0 [N].
        logits: [N], finite; a 16-bit integer dtype is sorted fastest.
    """
    positives = int((labels == 1).sum())
    if positives in (0, len(labels)):
        return None
    order = np.argsort(
        logits, kind="stable" if logits.dtype.itemsize <= 2 else None
    )  # radix sort: ten times faster
    ordered = logits[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(np.append(starts, len(ordered)))
    first = np.repeat(starts, sizes)
    return Ranked(order, (labels[order] == 1).astype(np.float64), first, np.repeat(starts + sizes - 1, sizes))


def auroc(ranked: Ranked) -> tuple[float, Reals]:
    """Area under the ROC curve and the influence of every image on it [N], in the images' own order."""
    positive, negative = ranked.positive, 1 - ranked.positive
    positives, negatives = positive.sum(), negative.sum()

    def beaten(flags: Reals) -> Reals:
        upto = np.cumsum(flags)
        return (upto[ranked.last] + upto[ranked.first] - flags[ranked.first]) / 2

    beaten_negatives = beaten(negative) / negatives
    beaten_positives = beaten(positive) / positives
    area = float((positive * beaten_negatives).sum() / positives)
    influence = np.empty(len(positive))
    influence[ranked.order] = (
        positive * (beaten_negatives - area) / positives
        + negative * (1 - beaten_positives - area) / negatives
    )
    return area, influence


def average_precision(ranked: Ranked) -> tuple[float, Reals]:
    """Average precision (as in scikit-learn) and the influence of every image on it [N]."""
    positive = ranked.positive
    positives = positive.sum()
    above = len(positive) - ranked.first
    positives_above = positives - (np.cumsum(positive) - positive)[ranked.first]
    precision = positives_above / above
    area = float((positive * precision).sum() / positives)
    gain = np.cumsum(positive / above)[ranked.last]
    loss = np.cumsum(positive * precision / above)[ranked.last]
    influence = np.empty(len(positive))
    influence[ranked.order] = (positive * (precision - area) + positive * gain - loss) / positives
    return area, influence


def class_factors(
    labels: NDArray[np.floating] | NDArray[np.bool_], patients: NDArray[np.integer], count: int
) -> tuple[Reals, int]:
    """By what influences are multiplied before they are summed over patients, and their degrees of freedom.

    Args:
        labels: 1 or 0 [N].
        patients: codes below `count` [N].

    Returns:
        The root of I / (I - 1) for the class of every image [N], infinite where only one patient has an image
        of it, and the number of patients with an image of the rarer class less one.
    """
    positive = labels == 1
    having = [
        int(np.count_nonzero(np.bincount(patients[mine], minlength=count))) for mine in (positive, ~positive)
    ]
    roots = [np.sqrt(i / (i - 1)) if i > 1 else np.inf for i in having]
    return np.where(positive, roots[0], roots[1]), min(having) - 1


def by_patient(influence: Reals, patients: NDArray[np.integer], count: int) -> Reals:
    """Influence of images summed over each patient's [count]; `patients` holds codes below `count` [N]."""
    return np.bincount(patients, weights=influence, minlength=count).astype(np.float64)


def patient_covariance(influence: Reals) -> Reals:
    """Sampling covariance over patients [K, K] of K statistics with these influences [K, P].

    Influences are those of `by_patient`, multiplied by `class_factors`; one that is not finite is unknown,
    and so are its covariances.
    """
    known = np.isfinite(influence).all(axis=1)
    covariance = np.full((len(influence), len(influence)), np.nan)
    covariance[np.ix_(known, known)] = influence[known] @ influence[known].T
    return covariance


def study_maximum(
    studies: NDArray[np.integer], labels: NDArray[np.floating], logits: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """One row per study: the position of a view of it, the largest label and the largest logit.

    Irvin et al. 2019 (CheXpert), section 4: a study's score is the maximum over its views.
    """
    _, views, position = np.unique(studies, return_index=True, return_inverse=True)
    label = np.full(len(views), -np.inf)
    logit = np.full(len(views), -np.inf)
    np.maximum.at(label, position, labels)
    np.maximum.at(logit, position, logits)
    return views, label, logit
