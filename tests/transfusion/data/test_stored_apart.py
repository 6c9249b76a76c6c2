"""Files whose kind tells the label: the area is scikit-learn's, and what is said names the kinds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from transfusion.data.stored_apart import TELLS, _area, notes, thumbnails
from transfusion.images.inspection import Look


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_that_of_the_shares_as_scores(seed: int) -> None:
    random = np.random.default_rng(seed)
    kinds, labels = random.integers(0, 5, 300), random.integers(0, 2, 300)
    shares = np.array([labels[kinds == kind].mean() for kind in range(5)])
    order = np.argsort(shares)
    positive = np.array([(labels[kinds == kind] == 1).sum() for kind in order])
    negative = np.array([(labels[kinds == kind] == 0).sum() for kind in order])
    assert _area(positive, negative) == pytest.approx(roc_auc_score(labels, shares[kinds]))


def test_two_sources_are_told_by_extension_and_by_size() -> None:
    labels = np.array([1.0] * 30 + [0.0] * 60 + [np.nan] * 5)
    images = ["a/x.jpg"] * 29 + ["a/x.PNG"] + ["b/x.png"] * 60 + ["c/x.png"] * 5
    looks = [Look(pixels=100)] * 30 + [Look(pixels=400)] * 30 + [Look(dicom=True, pixels=7)] * 35
    by_extension, by_size = notes("Edema", labels, images, looks)
    assert by_extension.startswith(
        "the extension of its file alone tells whether an image is positive for Edema"
    )
    assert "(AUROC 0.983; positive are .jpg: 29 of 29, .png: 1 of 61)" in by_extension
    assert "(AUROC 1.000; positive are 100 pixels: 30 of 30, DICOM: 0 of 30, 400 pixels: 0 of 30)" in by_size


@pytest.mark.parametrize("sizes", [[100], [100, 400], list(range(100, 190))])
def test_files_of_one_source_are_not_told(sizes: list[int]) -> None:
    """Also where nearly every image has a size of its own: rare ones are no kinds."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 90).astype(float)
    looks = [Look(pixels=sizes[k % len(sizes)]) for k in range(90)]
    assert notes("Edema", labels, ["a.png", "b.jpg"] * 45, looks) == []
    assert notes("Edema", np.ones(90), ["a.png", "b.jpg"] * 45, looks) == []
    assert 0.5 < TELLS < 1


def test_images_of_fewer_pixels_than_are_trained_on() -> None:
    looks = [Look(pixels=64), Look(pixels=63), Look(pixels=10, dicom=True), Look(pixels=65)]
    said = thumbnails(["a", "b", "c", "d"], looks, 8)
    assert said == ["1 of 4 images have fewer pixels than the 8 x 8 to train on, b first: thumbnails?"]
    assert thumbnails(["a", "b", "c", "d"], looks, 7) == []
