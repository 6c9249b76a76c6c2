"""Gray levels of images of 8 bits: counted by hand, and what is said of masks and of bits cut down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transfusion.data.gray_levels import Levels, used
from transfusion.data.survey import survey
from transfusion.images.inspection import look_at
from transfusion.images.reading import Reading


def test_gray_levels_without_outliers_by_hand() -> None:
    """Of 100,000 pixels 4 are black, 4 white: they do not count, nor a thousandth of the rest at the ends."""
    middle = np.concatenate([np.full(90, 10), np.full(40, 11), np.full(99_742, 12), np.full(120, 20)])
    pixels = np.concatenate([np.zeros(4), middle, np.full(4, 255)]).astype(np.uint8).reshape(1000, 100)
    assert used(Image.fromarray(pixels)) == Levels(11, 20, 6)
    assert used(Image.fromarray(np.array([[0, 255, 255]], np.uint8))) == Levels(0, 255, 2)
    assert used(Image.fromarray(np.full((5, 5), 7, np.uint8))) == Levels(7, 7, 1)
    assert used(Image.fromarray(np.full((5, 5), 7, np.uint8)).convert("RGB")) == Levels(7, 7, 1)


def test_images_of_few_gray_levels_are_told(tmp_path: Path) -> None:
    """12 bits that lost their upper or lower half, fractions cut to 0 and 1, and masks."""
    noise = np.random.default_rng(0).integers(0, 4096, (40, 40))
    kinds = {"whole": noise // 16, "dim": noise // 256, "mask": 255 * (noise > 2000), "ones": noise // 2048}
    names = [f"{kind}.png" for kind in kinds]
    for name, pixels in zip(names, kinds.values(), strict=True):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
    notes = survey(tmp_path, names, look_at(tmp_path, names), Reading()).notes
    assert notes == (
        f"2 of 4 images have two gray levels only, {tmp_path}/mask.png first: masks?",
        "1 of 4 images have nearly all pixels within an eighth of the gray levels, "
        f"{tmp_path}/dim.png first (from 1 to 14 of 255): were more than 8 bits cut down?",
    )
