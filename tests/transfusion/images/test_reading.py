"""Which values become black and white, by hand: what is asked for, what is found in use, what is cut."""

from __future__ import annotations

import numpy as np
import pytest

from transfusion.images.out_of_range import OutOfRange, summarised
from transfusion.images.reading import Reading, named, parse, range_in_use, to_levels
from transfusion.problems import Problem, SettingError


@pytest.mark.parametrize(
    ("low", "high", "integers", "expected"),
    [
        (0, 4095, True, (0, 4095)),
        (0, 2048, True, (0, 4095)),
        (0, 2047, True, (0, 2047)),
        (0, 100, True, (0, 255)),
        (64, 127, True, (64, 127)),
        (64, 128, True, (0, 255)),
        (4000, 4090, True, (4000, 4090)),
        (-10, 300, True, (-10, 300)),
        (0.0, 0.3, False, (0, 0.5)),
        (0.0, 0.25, False, (0, 0.25)),
        (0.5, 0.75, False, (0, 1)),
        (0.5, 0.74, False, (0.5, 0.74)),
        (0.0, 0.0, False, (0, 1)),
        (0.0, 7.5, False, (0, 7.5)),
    ],
)
def test_the_range_in_use(low: float, high: float, integers: bool, expected: tuple[float, float]) -> None:
    """Whole numbers by their bits, eight at least, fractions by halves; less than a quarter by itself."""
    assert range_in_use(low, high, integers) == expected


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 4095, "12bit"),
        (0, 255, "8bit"),
        (0, 127, "0:127"),
        (0, 4094, "0:4094"),
        (1, 4095, "1:4095"),
        (-1000, 400, "-1000:400"),
        (0, 0.5, "0:0.5"),
    ],
)
def test_a_range_is_named_as_it_is_asked_for(low: float, high: float, text: str) -> None:
    assert named(low, high) == text
    reading = parse(text)
    assert (reading.low, reading.high) == (low, high)
    assert reading.mode == ("bits" if "bit" in text else "window")


@pytest.mark.parametrize(
    ("text", "mode"), [(None, "auto"), ("auto", "auto"), (" Full ", "full"), ("each", "each")]
)
def test_a_mode_is_asked_for(text: str | None, mode: str) -> None:
    assert parse(text, 2) == Reading(mode, frame=2)


@pytest.mark.parametrize("text", ["0bit", "33bit", "12", "5:5", "9:1", "nan:4", "0:inf", ":", "a:b", "none"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=f"--intensity: found '{text}', expected auto, full, each, bits"):
        parse(text)


def test_frames_count_from_one() -> None:
    with pytest.raises(SettingError, match="--frame: found 0, expected 1 or more"):
        parse(None, 0)
    assert parse(None, 1).frame == 1


def test_levels_are_linear_and_cut_at_the_ends() -> None:
    values = np.array([-1001, -1000, -300, 400, 4000])
    assert to_levels(values, -1000, 400).tolist() == [0, 0, 128, 255, 255]  # 127.5 to the even one
    assert to_levels(np.arange(256), 0, 255).tolist() == list(range(256))
    assert to_levels(np.full(3, 7), 7, 7).tolist() == [0, 0, 0]


OTHER = Problem("x.png", "no such file", "an image", "fetch it")


def outside(*ranges: tuple[float, float]) -> list[Problem]:
    return [OutOfRange(f"{n}.png", "", "values in 0:4095", "", *ends, True) for n, ends in enumerate(ranges)]


def test_values_out_of_range_are_told_once_with_the_range_that_holds_all() -> None:
    found = summarised([*outside((0, 5_000), (0, 4_200)), OTHER])
    assert found[0] is OTHER
    assert len(found) == 2
    assert (found[1].where, found[1].expected) == ("0.png", "values in 0:4095")
    assert found[1].found == "values from 0 to 5,000 in 2 images (0.png, 1.png)"
    assert found[1].advice.startswith("give --intensity 13bit, if these values are meant")
    (wide,) = summarised(outside((0, 4_200), (-3, 4_095), (0, 4_096), (0, 4_096), (0, 4_096)))
    assert wide.found == "values from -3 to 4,200 in 5 images (0.png, 1.png, 2.png and 2 more)"
    assert wide.advice.startswith("give --intensity -3:4200,")
    (alone,) = summarised(outside((0, 5_000)))
    assert "in 1 image (0.png)" in alone.found
    assert summarised([OTHER]) == [OTHER]
