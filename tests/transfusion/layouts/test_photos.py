"""The embedded natural-image task: real photographs, balanced classes, independent seeds."""

from __future__ import annotations

import numpy as np
import pytest

from transfusion.layouts import photos


def test_photographs_ship_with_installed_packages() -> None:
    found = photos.photographs()
    assert len(found) == len(photos.FILES) >= 12
    for name, pixels in found.items():
        assert pixels.dtype == np.uint8, name
        assert pixels.ndim == 3, name
        assert pixels.shape[2] == 3, name
        assert min(pixels.shape[:2]) >= 256, name
        assert pixels.std() > 10, name


@pytest.mark.parametrize("images", [1, 40, 151])
def test_crops_are_balanced_and_the_same_for_the_same_seed(images: int) -> None:
    pixels, classes = photos.crops(images, 24, seed=3)
    assert pixels.shape == (images, 3, 24, 24)
    assert pixels.dtype == np.uint8
    assert classes.shape == (images,)
    assert classes.dtype == np.int64
    counts = np.bincount(classes, minlength=len(photos.FILES))
    assert counts.max() - counts.min() <= 1
    again, same = photos.crops(images, 24, seed=3)
    np.testing.assert_array_equal(pixels, again)
    np.testing.assert_array_equal(classes, same)


def test_seeds_share_no_crop() -> None:
    first, _ = photos.crops(200, 16, seed=0)
    second, _ = photos.crops(200, 16, seed=1)
    assert not {crop.tobytes() for crop in first} & {crop.tobytes() for crop in second}


def test_crops_carry_their_label() -> None:
    """The mean colour alone names the photograph better than chance: a label belongs to its crop."""
    train, train_classes = photos.crops(600, 16, seed=0)
    test, test_classes = photos.crops(300, 16, seed=1)
    colours = train.mean(axis=(2, 3))
    centres = np.stack([colours[train_classes == label].mean(axis=0) for label in range(len(photos.FILES))])
    distance = ((test.mean(axis=(2, 3))[:, None] - centres) ** 2).sum(axis=2)
    assert (distance.argmin(axis=1) == test_classes).mean() > 3 / len(photos.FILES)
