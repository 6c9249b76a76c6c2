"""What further seeds and patients may change, where it can be worked out: against arithmetic and draws."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.chance import Chance
from analysis.statistics.later import Later, later

KNOWN = 1e7
"""Degrees of freedom of a variance that is as good as known."""


def drawn(chance: Chance, seeds: int, more: float, patients: float = 1.0, larger: float = 0.0) -> Later:
    found = later(chance, seeds, more, patients, larger=larger)
    assert found is not None
    return found


@pytest.mark.parametrize(("more", "share"), [(2, 1 / 3), (12, 3 / 4), (math.inf, 1.0)])
def test_a_mean_of_four_moves_by_its_variance_times_the_share_of_the_new_seeds(
    more: float, share: float
) -> None:
    """More seeds than four: variance 9 x share; the error that is left then 9 x (1 - share)."""
    chance = Chance(0.25, 50.0, 9.0, 2.0, KNOWN)
    found = drawn(chance, 4, more)
    assert np.mean(found.moves) == pytest.approx(0, abs=0.03)
    assert np.mean(found.moves**2) == pytest.approx(9 * share, rel=0.03)
    assert found.seeds == pytest.approx(np.full(len(found.moves), 9 * (1 - share)), rel=1e-2)
    assert (found.patients, found.patients_freedom) == (0.25, 50)
    assert found.floor == pytest.approx(2 * (1 - share))


def test_more_patients_move_it_by_their_part_and_leave_as_much_less_error() -> None:
    """Four times the patients: 3/4 of 0.25 + 2 is drawn anew; of the seeds' 9 the patients' 2 fall to 0.5."""
    found = drawn(Chance(0.25, 50.0, 9.0, 2.0, KNOWN), 4, 4, patients=4)
    assert np.mean(found.moves**2) == pytest.approx(0.75 * 2.25 + (9 - 0.75 * 2) / 2, rel=0.08)
    assert (found.patients, found.patients_freedom) == (0.0625, 200)
    assert found.floor == pytest.approx(0.5 / 2)


@pytest.mark.parametrize("larger", [0.0, 4.0])
def test_a_variance_that_is_not_known_is_averaged_over(larger: float) -> None:
    """s^2 freedom / chi^2 has the mean s^2 freedom / (freedom + larger - 2)."""
    found = drawn(Chance(0.0, 50.0, 9.0, 0.0, 10.0), 11, math.inf, larger=larger)
    assert np.mean(found.moves**2) == pytest.approx(9 * 10 / (10 + larger - 2), rel=0.05)


@pytest.mark.parametrize("more", [1, 2])
def test_the_variance_that_one_or_two_more_seeds_show_is_what_draws_show(more: int) -> None:
    """Three seeds -1, 0 and 1 of variance 1, and then more of them, drawn from what the three say."""
    found = drawn(Chance(0.0, 50.0, 1 / 3, 0.0, 2.0), 3, more)
    rng, draws = np.random.default_rng(0), 100_000
    deviation = np.sqrt(2 / rng.chisquare(2, draws))[:, None]
    mean = deviation * rng.standard_normal((draws, 1)) / np.sqrt(3)
    new = mean + deviation * rng.standard_normal((draws, more))
    every = np.hstack([np.tile([-1.0, 0.0, 1.0], (draws, 1)), new])
    seen = every.var(axis=1, ddof=1) / (3 + more)
    assert found.seeds_freedom == 2 + more
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.mean(found.seeds <= np.quantile(seen, share)) == pytest.approx(share, abs=0.04)
        moved = np.quantile(every.mean(axis=1), share)
        assert np.mean(found.moves <= moved) == pytest.approx(share, abs=0.02)


def test_the_tail_of_later_draws_is_that_of_t_or_of_the_normal() -> None:
    """Of seeds alone t with their degrees of freedom; of patients alone t with theirs; the floor holds."""
    some = Later(np.zeros(2), 0.0, 50.0, np.array([4.0, 1.0]), 0.0, 7.0)
    expected = stats.t.sf([1.5, 3.0], 7)
    assert some.upper_tail(np.array([3.0, 3.0])) == pytest.approx(expected, rel=1e-3)
    patients = Later(np.zeros(1), 4.0, 30.0, np.zeros(1), 0.0, math.inf)
    assert patients.upper_tail(np.array([3.0])) == pytest.approx(stats.t.sf(1.5, 30), rel=2e-2)
    floor = dataclasses.replace(some, seeds=np.zeros(2), floor=4.0)
    assert floor.upper_tail(np.array([3.0, 4.0])) == pytest.approx(stats.norm.sf([1.5, 2.0]))


@pytest.mark.parametrize(
    ("chance", "seeds"),
    [
        (Chance(0.25, 50.0, 9.0, 0.0, 2.0), 1),
        (Chance(0.25, 50.0), 3),
        (Chance(math.inf, 50.0, 9.0, 0.0, 2.0), 3),
    ],
    ids=["one seed", "no variance between seeds", "no variance over patients"],
)
def test_where_nothing_is_known_of_seeds_nothing_is_said(chance: Chance, seeds: int) -> None:
    assert later(chance, seeds, 2) is None
