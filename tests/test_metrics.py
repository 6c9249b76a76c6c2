"""Areas under curves by counting pairs, and undefined ones."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from transfusion.metrics import auprc, auroc, study_maximum


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn_and_against_counting_pairs(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random(200) < 0.3).astype(np.float32)
    logits = np.round(rng.normal(size=200) + labels, 1).astype(np.float32)  # with ties
    above = logits[labels == 1][:, None] - logits[labels == 0][None]
    assert auroc(labels, logits) == pytest.approx((above > 0).mean() + 0.5 * (above == 0).mean(), abs=1e-12)
    assert auroc(labels, logits) == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)
    assert auprc(labels, logits) == average_precision_score(labels, logits)


@pytest.mark.parametrize("logit", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(logit):
    with pytest.raises(ValueError, match="not finite"):
        auroc(np.array([1.0, 0.0]), np.array([logit, 0.0]))


def test_masked_labels_do_not_count():
    labels, logits = np.array([1, 0, np.nan, 1]), np.array([0.9, 0.1, -5, 0.0])
    assert auroc(labels, logits) == 0.5
    assert auprc(labels, logits) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("labels", [[1, 1], [0, 0], [np.nan, np.nan], [1, np.nan], []])
def test_undefined_is_none_and_never_a_half(labels):
    labels = np.array(labels, dtype=float)
    assert auroc(labels, np.arange(len(labels), dtype=float)) is None
    assert auprc(labels, np.arange(len(labels), dtype=float)) is None


def test_maximum_over_the_views_of_a_study():
    studies = np.array(["b", "a", "b", "c"])
    labels, logits = study_maximum(studies, np.array([1, 0, 1, np.nan]), np.array([-2.0, 3.0, 5.0, 1.0]))
    np.testing.assert_array_equal(labels, [0, 1, np.nan])
    np.testing.assert_array_equal(logits, [3, 5, 1])
