"""What a sample of images tells of all: ranges, gaps between them, levels, and progress; by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfusion.data.survey import (
    Seen,
    _decide,
    _few_levels,
    _two_ranges,
    _without_outliers,
    constant_images,
    survey,
)
from transfusion.images.inspection import look_at
from transfusion.images.reading import Reading

FILE = Path("folder/image.png")


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        ([], None),
        ([4095.0], None),
        ([1.0, 7.9], None),
        ([8.0, 1.0], (1.0, 8.0, 1, 1)),
        ([0.0, 8.0, 0.0, 1.0], (1.0, 8.0, 1, 1)),
        ([100.0, 5.0, 3.0, 4.0, 90.0], (5.0, 100.0, 3, 2)),
        ([1.0] * 19 + [10.0], (1.0, 10.0, 19, 1)),
        ([1.0] * 20 + [10.0], None),
        ([1.0] + [10.0] * 19, (1.0, 10.0, 1, 19)),
        ([1.0] + [10.0] * 20, None),
    ],
)
def test_two_ranges_lie_a_factor_of_eight_apart_and_either_holds_a_twentieth(
    largest: list[float], expected: tuple[float, float, int, int] | None
) -> None:
    assert _two_ranges(largest) == expected


def seen(low: float, high: float, inner: tuple[float, float] | None = None) -> Seen:
    return Seen(FILE, span=(low, high, True), inner=inner)


def test_the_range_of_all_is_from_their_smallest_to_their_largest() -> None:
    reading, notes, problems = _decide(Reading(), [seen(0, 3000), seen(5, 4000), seen(2, 3500)])
    assert problems == []
    assert (reading.low, reading.high) == (0, 4095)
    assert "largest value 4,000, smallest 0, read as 12 bits" in notes[0]
    assert _decide(Reading("each"), [seen(0, 4000)]) == (Reading("each"), [], [])


@pytest.mark.parametrize(
    ("narrow", "wide", "told"), [(1, 3, False), (2, 2, True), (1, 2, False), (3, 1, True), (0, 4, False)]
)
def test_few_levels_are_told_where_half_of_the_images_or_more_have_them(
    narrow: int, wide: int, told: bool
) -> None:
    images = [seen(0, 4000, (0, 400))] * narrow + [seen(0, 4000, (0, 3000))] * wide
    problem = _few_levels([*images, seen(0, 4000)], (0.0, 4000.0))
    assert (problem is not None) == told
    if problem is not None:
        assert f"nearly all of {narrow} of {narrow + wide + 1} images lie within an eighth" in problem.found


def test_an_image_of_an_eighth_exactly_has_levels_enough() -> None:
    assert _few_levels([seen(0, 4000, (0, 500))], (0.0, 4000.0)) is None
    assert _few_levels([seen(0, 4000, (0, 499))], (0.0, 4000.0)) is not None


def test_ends_and_outliers_do_not_count() -> None:
    """From 0 to 2,000 in steps of 1: a thousandth is left out at either end."""
    values = np.arange(2001.0)
    assert _without_outliers(np.concatenate([[-500.0], values, [9000.0]]), -500.0, 9000.0) == (
        pytest.approx(2.0),
        pytest.approx(1998.0),
    )
    mostly_padding = np.concatenate([np.zeros(995), np.arange(1.0, 6.0), np.full(10, 9.0)])
    assert _without_outliers(mostly_padding, 0.0, 9.0) is None


@pytest.mark.parametrize(("images", "told"), [(3, [3]), (16, [16]), (17, [16, 17])])
def test_progress_is_told_now_and_then_and_at_the_end(tmp_path: Path, images: int, told: list[int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)
    names = [f"{number}.png" for number in range(images)]
    for name in names:
        Image.fromarray(noise).save(tmp_path / name)
    heard: list[tuple[int, int]] = []
    looks = look_at(tmp_path, names)
    found = survey(tmp_path, names, looks, Reading(), lambda done, of: heard.append((done, of)))
    assert heard == [(done, images) for done in told]
    assert (found.problems, found.empty, found.reading) == ((), (), Reading()), "8 bits, as they are"


@pytest.mark.parametrize(
    ("files", "images", "names"),
    [
        (4, 9, "0, 1, 2 and 1 more"),
        (3, 7, "0, 1, 2"),
        (1, 1000, "0"),
        (4, 8, None),
        (1, 2, None),
        (1, 1, None),
    ],
)
def test_images_of_one_value_are_told_and_half_of_all_refused(
    files: int, images: int, names: str | None
) -> None:
    problems, told = constant_images([str(number) for number in range(files)], images)
    if names is None:
        assert told == []
        assert f"in {files} of {images} images" in problems[0].found
    else:
        assert problems == []
        assert told == [f"{files} of {images:,} images have one value everywhere: {names}"]
    assert constant_images([], images) == ([], [])
