"""An estimate's tails by t, and what two estimates say together."""

from __future__ import annotations

import dataclasses
import math

import pytest
from scipy import stats

from analysis.statistics.chance import Chance
from analysis.statistics.estimate import Estimate, together

NAN = float("nan")
ONE = Estimate(0.02, -0.01, 0.05, 0.01, 4.0, "measured", 0.03, 3, 900, 200, 84, 0)


def test_tails_are_those_of_t_at_the_size_of_the_error_or_of_the_parts_of_chance() -> None:
    assert ONE.upper_tail(0.02) == pytest.approx(stats.t.sf(2, 4))
    assert ONE.quantile(0.025) == pytest.approx(0.01 * stats.t.isf(0.025, 4))
    by_parts = dataclasses.replace(ONE, chance=Chance(0.0, 50.0, 0.02**2, 0.0, 9.0))
    assert by_parts.upper_tail(0.02) == pytest.approx(stats.t.sf(1, 9))
    assert by_parts.quantile(0.025) == pytest.approx(0.02 * stats.t.isf(0.025, 9))
    for error in (0.0, NAN):
        unknown = dataclasses.replace(ONE, standard_error=error)
        assert math.isnan(unknown.upper_tail(0.02))
        assert math.isnan(unknown.quantile(0.025))


def test_one_estimate_stands_by_itself_and_none_is_none() -> None:
    assert together((ONE,)) is ONE
    assert together(()) is None


def test_two_estimates_span_both_and_rest_on_the_less_certain() -> None:
    chance = Chance(0.0, 50.0, 0.04**2, 0.0, 2.0)
    other = dataclasses.replace(
        ONE, estimate=0.01, low=-0.1, high=0.04, standard_error=0.04, degrees_of_freedom=2.0, chance=chance,
        smallest_effect=0.2, networks_missing=("b", "c"),
    )  # fmt: skip
    first = dataclasses.replace(ONE, networks_missing=("a", "b"))
    expected = dataclasses.replace(
        first, low=-0.1, standard_error=0.04, degrees_of_freedom=2.0, chance=chance, smallest_effect=0.2
    )
    assert together((first, other)) == dataclasses.replace(expected, networks_missing=("a", "b", "c"))
    swapped = together((other, first))
    assert swapped is not None
    assert (swapped.estimate, swapped.low, swapped.high) == (0.01, -0.1, 0.05)
    assert swapped.chance == chance


def test_a_bound_that_one_of_two_does_not_have_neither_has_together() -> None:
    unknown = dataclasses.replace(ONE, low=NAN, high=NAN, seed_part="unknown")
    for pair in ((ONE, unknown), (unknown, ONE)):
        found = together(pair)
        assert found is not None
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert found.seed_part == "unknown"
    assert getattr(together((ONE, ONE)), "seed_part", "") == "measured"
