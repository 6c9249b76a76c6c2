"""Looks: what is decided when, and which cells are needed next."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from analysis.claims.conjectures import CLAIMS, Grid
from analysis.claims.judged import CONJECTURE_LEVEL, LEVEL, Judged
from analysis.claims.looks import Looks, beyond_seeds, cells_of, decide, planned_looks, repeated_interval
from analysis.statistics.chance import Chance
from analysis.statistics.estimate import Estimate

GRID = Grid((100, 200, 400), "photos")
NETWORKS = ("resnet50", "cbr_tiny")
LOOKS = Looks((2, 3, 5), (0.02, 0.08, 0.9))
BY_NAME = {claim.name: claim for claim in CLAIMS}
TESTS = len(CLAIMS)


def judged(**p: tuple[float, float]) -> list[Judged]:
    """Every claim with p of both of its tests; 0.5 where none is given."""
    return [
        Judged(claim, None, 0.01, *p.get(claim.name, (0.5, 0.5)), TESTS, "undecided", "unknown")
        for claim in CLAIMS
    ]


def test_before_the_first_look_everything_is_wanted() -> None:
    decision = decide(LOOKS, [], GRID, NETWORKS)
    assert decision.next_seeds == 2
    assert not decision.claims
    assert not decision.conjectures


def test_a_look_spends_its_own_share_of_the_level() -> None:
    name = "last_doubling_gains_nothing"
    for weight_of_look, evidence in ((0.02, []), (0.08, [judged()]), (0.9, [judged(), judged()])):
        level = LEVEL * weight_of_look / TESTS
        for p, expected in ((0.99 * level, True), (1.01 * level, False)):
            decision = decide(LOOKS, [*evidence, judged(**{name: (p, 1.0)})], GRID, NETWORKS)
            assert (name in decision.claims) == expected
            if expected:
                assert decision.claims[name].look == len(evidence)


def test_a_rejection_is_final() -> None:
    name = "last_doubling_gains_nothing"
    first, second = judged(**{name: (1e-9, 1.0)}), judged(**{name: (1.0, 1e-9)})
    decision = decide(LOOKS, [first, second], GRID, NETWORKS)
    assert decision.claims[name].verdict == "supported"
    assert decision.conjectures[3].verdict == "supported"
    assert decision.conjectures[3].look == 0


def test_a_conjecture_may_be_shown_piece_by_piece() -> None:
    """Conjecture 4 needs two claims; each is shown at a look of its own, at the conjectures' level."""
    p = 0.5 * CONJECTURE_LEVEL * LOOKS.weights[0]
    first = judged(natural_weights_gain_nothing=(p, 1.0))
    second = judged(in_domain_beats_natural=(p, 1.0))
    before = decide(LOOKS, [first], GRID, NETWORKS)
    assert 4 not in before.conjectures
    assert "natural_weights_gain_nothing" not in before.open
    assert "in_domain_beats_natural" in before.open
    after = decide(LOOKS, [first, second], GRID, NETWORKS)
    assert (after.conjectures[4].verdict, after.conjectures[4].look) == ("supported", 1)


def test_one_refuted_claim_closes_its_conjecture() -> None:
    tests = 2  # claims that conjecture 4 needs
    p = 0.99 * CONJECTURE_LEVEL * LOOKS.weights[0] / tests
    decision = decide(LOOKS, [judged(in_domain_beats_natural=(1.0, p))], GRID, NETWORKS)
    assert decision.conjectures[4].verdict == "refuted"
    assert not {"natural_weights_gain_nothing", "in_domain_beats_natural"} & set(decision.open)
    missed = decide(LOOKS, [judged(in_domain_beats_natural=(1.0, 1.02 * p))], GRID, NETWORKS)
    assert 4 not in missed.conjectures


def test_only_cells_that_open_claims_need_are_trained_further() -> None:
    closed = {claim.name: (1e-12, 1.0) for claim in CLAIMS if claim.conjecture != 3}
    decision = decide(LOOKS, [judged(**closed)], GRID, NETWORKS)
    assert decision.open == ("last_doubling_gains_nothing",)
    assert decision.next_seeds == 3
    needed = {(c[0], c[1], c[2], c[3]) for c in decision.cells}
    assert needed == {(name, size, "random", "none") for name in NETWORKS for size in (200, 400)}
    everything = decide(LOOKS, [judged(**{c.name: (1e-12, 1.0) for c in CLAIMS})], GRID, NETWORKS)
    assert everything.next_seeds is None
    assert not everything.cells
    assert len(everything.conjectures) == 4


def test_all_claims_may_be_wanted() -> None:
    needed = {claim.name: (1e-12, 1.0) for claim in CLAIMS if claim.needed}
    decision = decide(LOOKS, [judged(**needed)], GRID, NETWORKS, all_claims=True)
    assert set(decision.open) == {claim.name for claim in CLAIMS if not claim.needed}
    assert any(c[3] == "backbone" for c in decision.cells)


def test_after_the_last_look_nothing_is_trained() -> None:
    decision = decide(LOOKS, [judged()] * 3, GRID, NETWORKS)
    assert decision.next_seeds is None
    assert not decision.cells
    assert len(decision.open) == sum(claim.needed for claim in CLAIMS)
    with pytest.raises(ValueError, match="evidence of 4 looks; expected at most 3"):
        decide(LOOKS, [judged()] * 4, GRID, NETWORKS)


def test_fewer_tests_at_a_later_look_buy_nothing() -> None:
    """Cells of closed claims may be lacking later, so that fewer tests are made: the level stays."""
    name = "last_doubling_gains_nothing"
    later = [dataclasses.replace(j, tests=1) for j in judged(**{name: (LEVEL * 0.08, 1.0)})]
    assert name not in decide(LOOKS, [judged(), later], GRID, NETWORKS).claims


def test_frozen_cells_are_needed_by_claims_on_frozen_features_alone() -> None:
    assert not any(c[3] == "backbone" for c in cells_of([BY_NAME["in_domain_gains"]], GRID, NETWORKS))
    frozen = cells_of([BY_NAME["frozen_natural_falls_short"]], GRID, NETWORKS)
    assert {c[2] for c in frozen} == {"photos"}
    assert len(frozen) == 2 * 2 * 3


@pytest.mark.parametrize(
    ("seeds", "weights", "message"),
    [
        ((2, 3), (1.0,), "one weight per look"),
        ((1, 3), (0.1, 0.9), "from 2 on"),
        ((3, 2), (0.1, 0.9), "ascending"),
        ((2, 3), (0.2, 0.9), "at most 1"),
        ((2, 3), (0.0, 0.9), "positive"),
        ((), (), "one weight per look"),
    ],
)
def test_looks_that_promise_nothing_are_refused(seeds, weights, message) -> None:
    with pytest.raises(ValueError, match=message):
        Looks(seeds, weights)


def test_planned_looks_spend_all_but_the_reserve() -> None:
    assert planned_looks((3, 5), reserve=0.2).weights == pytest.approx((0.4, 0.4))
    assert math.fsum(planned_looks((2, 3, 5)).weights) == pytest.approx(1)


def test_repeated_intervals_hold_over_claims_and_looks() -> None:
    error, freedom = 0.004, 7.0
    reach = stats.t.ppf(0.975, freedom) * error
    found = Estimate(0.02, 0.02 - reach, 0.02 + reach, error, freedom, "measured", 0.02, 3, 900, 200, 84, 0)
    one = Judged(BY_NAME["in_domain_gains"], found, 0.01, 0.1, 0.9, 12, "undecided", "unknown")
    low, high = repeated_interval(dataclasses.replace(one, share=0.08))
    expected = stats.t.ppf(1 - 0.05 * 0.08 / 12 / 2, freedom) * error
    assert (0.02 - low, high - 0.02) == pytest.approx((expected, expected))
    assert np.isnan(repeated_interval(dataclasses.replace(one, found=None))).all()


def test_peeking_at_every_look_is_wrong_no_more_often_than_promised() -> None:
    """Normal data at the margin, one claim: at most 5 % with weights, far more without."""
    rng = np.random.default_rng(0)
    seeds = np.array([3, 5, 8])
    looks = planned_looks(tuple(int(s) for s in seeds))
    sums = np.cumsum(rng.normal(size=(20_000, 8)), axis=1)[:, seeds - 1]
    p = stats.norm.sf(sums / np.sqrt(seeds))
    naive = (p <= LEVEL).any(axis=1).mean()
    spent = (p <= LEVEL * np.array(looks.weights)).any(axis=1).mean()
    assert naive > 0.08
    assert spent <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 20_000)


def with_patients(estimate: float, patients: float, seeds: float) -> Judged:
    """A claim of non-superiority at a margin of 0.01 with these two standard errors, its tests undecided."""
    error = math.hypot(patients, seeds)
    chance = Chance(patients**2, 400.0, seeds**2, 0.0, 2.0)
    found = Estimate(
        estimate, -1, 1, error, 10, "measured", 0.02, 3, 400, 100, 84, 0, patients**2, chance=chance
    )
    claim = BY_NAME["last_doubling_gains_nothing"]
    return Judged(claim, found, 0.01, 0.3, 0.7, TESTS, "undecided", "unknown")


@pytest.mark.parametrize(
    ("estimate", "patients", "seeds", "closed"),
    [
        (0.0, 0.0001, 0.02, False),  # many patients: seeds are all that is lacking
        (
            0.0,
            0.02,
            0.0001,
            True,
        ),  # half a standard error of patients away from the margin, whatever seeds do
        (0.0, 0.02, 0.05, False),  # seeds may still take the estimate far away
        (0.2, 0.02, 0.0001, False),  # beyond the margin by nine standard errors of patients
    ],
)
def test_a_claim_is_closed_where_patients_alone_leave_too_much_chance(
    estimate: float, patients: float, seeds: float, closed: bool
) -> None:
    assert beyond_seeds(with_patients(estimate, patients, seeds), 0.8) == closed


def test_patients_are_too_few_just_where_no_estimate_that_seeds_allow_would_be_decided() -> None:
    """By hand: with seeds' error gone the claim is supported from z standard errors below the margin on."""
    level = CONJECTURE_LEVEL * 0.8
    z = stats.t.isf(level, 400)
    for factor, closed in ((0.99, True), (1.01, False)):
        assert beyond_seeds(with_patients(0.01 - factor * z * 0.02, 0.02, 1e-9), 0.8) == closed


def test_what_has_no_patients_or_was_not_tested_is_not_closed_for_them() -> None:
    one = with_patients(0.0, 0.02, 0.0001)
    assert one.found is not None
    assert not beyond_seeds(dataclasses.replace(one, found=None), 0.8)
    assert not beyond_seeds(
        dataclasses.replace(one, found=dataclasses.replace(one.found, patients=None)), 0.8
    )
    assert not beyond_seeds(dataclasses.replace(one, p_supported=math.nan, p_refuted=math.nan), 0.8)
