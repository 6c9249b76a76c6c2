"""Negatives among images of one kind are found by what they show; turned and mirrored ones are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfusion.data.negatives import negatives, small
from transfusion.data.survey import survey
from transfusion.images.inspection import look_at
from transfusion.images.reading import Reading


def chest(number: int) -> np.ndarray:
    """Two dark fields in a bright frame, shifted, brighter or darker, with noise: [48, 48]."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[0:48, 0:48] / 47 + random.normal(0, 0.03, (2, 1, 1))
    lungs = np.exp(-(((rows - 0.4) / 0.25) ** 2)) * (
        np.exp(-(((columns - 0.28) / 0.13) ** 2)) + np.exp(-(((columns - 0.72) / 0.13) ** 2))
    )
    picture = random.uniform(150, 200) - 110 * lungs + 30 * rows + random.normal(0, 12, (48, 48))
    return np.clip(picture, 0, 255).astype(np.uint8)


def breast(number: int) -> np.ndarray:
    """Bright on the left, or mirrored: about the negative of the other side's."""
    columns = np.arange(48) / 47
    picture = np.clip(chest(number) * 0.2 + 200 * (columns < 0.5), 0, 255).astype(np.uint8)
    return picture[:, ::-1] if number % 2 else picture


def found(pictures: list[np.ndarray]) -> tuple[list[int], bool] | None:
    images = [small(Image.fromarray(np.ascontiguousarray(picture))) for picture in pictures]
    return negatives([image for image in images if image is not None])


@pytest.mark.parametrize("some", [[3], [0, 7, 8, 30], list(range(0, 40, 3))])
def test_negatives_are_found(some: list[int]) -> None:
    pictures = [255 - chest(k) if k in some else chest(k) for k in range(40)]
    assert found(pictures) == (some, 3 * len(some) > 40)


def test_of_halves_either_may_be_meant() -> None:
    places, either = found([255 - chest(k) if k % 2 else chest(k) for k in range(40)]) or ([], False)
    assert (len(places), either) == (20, True)


@pytest.mark.parametrize(
    "pictures",
    [
        [chest(k) for k in range(40)],
        [255 - chest(k) for k in range(40)],
        [np.rot90(chest(k), k % 4) for k in range(40)],
        [chest(k)[::-1] if k % 5 == 0 else chest(k) for k in range(40)],
        [breast(k) for k in range(40)],
        [np.random.default_rng(k).integers(0, 256, (48, 48)).astype(np.uint8) for k in range(40)],
        [255 - chest(k) if k == 3 else chest(k) for k in range(19)],
    ],
    ids=["alike", "all", "turned", "upside down", "sides", "noise", "few"],
)
def test_others_are_not_told(pictures: list[np.ndarray]) -> None:
    assert found(pictures) is None


def test_the_plan_names_the_first(tmp_path: Path) -> None:
    names = [f"{k:02d}.png" for k in range(30)]
    for k, name in enumerate(names):
        Image.fromarray(255 - chest(k) if k in (4, 9) else chest(k)).save(tmp_path / name)
    notes = survey(tmp_path, names, look_at(tmp_path, names), Reading()).notes
    assert notes == (
        f"2 of 30 images look like negatives of the others, {tmp_path}/04.png first: "
        "was white stored as zero (MONOCHROME1)?",
    )
