"""Areas under curves by counting pairs, and undefined ones."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from transfusion.training import metrics
from transfusion.training.metrics import auprc, auroc, study_maximum


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn_and_against_counting_pairs(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random(200) < 0.3).astype(np.float32)
    logits = np.round(rng.normal(size=200) + labels, 1).astype(np.float32)  # with ties
    above = logits[labels == 1][:, None] - logits[labels == 0][None]
    assert auroc(labels, logits) == pytest.approx((above > 0).mean() + 0.5 * (above == 0).mean(), abs=1e-12)
    assert auroc(labels, logits) == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)
    wide = labels.astype(float), logits.astype(float)
    assert auprc(labels, logits) == average_precision_score(*wide)


@pytest.mark.parametrize("kept", [False, True], ids=["SciPy at hand", "ranks of the type given"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_ranks_and_their_sum_are_exact_for_every_type_of_logits(dtype, kept, monkeypatch):
    """SciPy before 1.18 gives float64 for all of them; later ones keep the type, which is imitated here."""
    if kept:
        monkeypatch.setattr(metrics, "rankdata", lambda x: rankdata(x).astype(x.dtype))
    rng = np.random.default_rng(3)
    count, positives = 9_001, 4_001
    labels = (np.arange(count) < positives).astype(dtype)
    logits = rng.permutation(np.arange(count) % 2_000).astype(
        dtype
    )  # whole numbers, exact in each type; ties
    below = np.searchsorted(np.sort(logits[labels == 0]), logits[labels == 1], "left")
    upto = np.searchsorted(np.sort(logits[labels == 0]), logits[labels == 1], "right")
    exact = Fraction(int(below.sum() + upto.sum()), 2 * positives * (count - positives))
    assert auroc(labels, logits) == float(exact)
    assert auprc(labels, logits) == auprc(labels.astype(float), logits.astype(float))


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


def test_a_view_whose_label_is_not_known_leaves_its_study_the_labels_that_are():
    labels, logits = study_maximum(
        np.array(["a", "a", "b", "b"]), np.array([np.nan, 1, 0, np.nan]), np.arange(4.0)
    )
    assert labels.tolist() == [1, 0]
    assert logits.tolist() == [1, 3]
