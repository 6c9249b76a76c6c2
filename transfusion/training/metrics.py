"""Areas under curves, undefined (None) where a class is absent.

Labels and logits are float32; ranks, sums and shares of them are float64, whatever a library makes of
float32: from 1.18 on SciPy's `rankdata` keeps the type that it is given, in which sums of ranks are rounded.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score


def _defined(labels: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    known = np.isfinite(labels)
    labels, logits = np.asarray(labels, np.float64)[known], np.asarray(logits, np.float64)[known]
    return (labels, logits) if labels.size and labels.min() < labels.max() else None


def auroc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Area under the ROC curve of `logits` [N] for `labels` [N] (1, 0, NaN unknown), or None if undefined.

    From the positives' ranks (Hanley and McNeil 1982, Radiology 143): every epoch of every cell asks for it,
    and on 84 images scikit-learn takes 1.4 ms, this 0.06 ms.

    Raises:
        ValueError: a logit is not finite.
    """
    pair = _defined(labels, logits)
    if pair is None:
        return None
    if not np.isfinite(pair[1]).all():
        raise ValueError("AUROC: found logits that are not finite, expected numbers")
    positive = pair[0] > 0.5
    count, others = int(positive.sum()), int((~positive).sum())
    return float((rankdata(pair[1])[positive].sum() - count * (count + 1) / 2) / (count * others))


def auprc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Area under the precision-recall curve (average precision), arguments as in `auroc`."""
    pair = _defined(labels, logits)
    return float(average_precision_score(*pair)) if pair else None


def study_maximum(
    studies: np.ndarray, labels: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits per study, the largest over its views (Irvin et al. 2019, section 4)."""
    names, position = np.unique(studies, return_inverse=True)
    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, position, logits)
    label = np.full(len(names), -np.inf)
    np.maximum.at(label, position, np.where(np.isfinite(labels), labels, -np.inf))
    return np.where(np.isfinite(label), label, np.nan), highest
