"""A claim with what was found of it, its tests, and what follows for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri

from analysis.claims.conjectures import CONJECTURES, Claim
from analysis.statistics.catalogue import MEASURES
from analysis.statistics.contrasts import POWER
from analysis.statistics.estimate import Estimate

Verdict = Literal["supported", "refuted", "undecided"]
Effect = Literal["gain", "small gain", "none", "small loss", "loss", "unknown"]
LEVEL = 0.05
"""For all claims together, and for all conjectures together."""
CONJECTURE_LEVEL = LEVEL / len(CONJECTURES)


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim, judged.

    Attributes:
        found: the estimate; None where there is none.
        margin: the smallest effect that matters.
        p_supported, p_refuted: of the test whose rejection supports the claim, and of the one whose rejection
            refutes it, uncorrected; NaN where the test must not be made.
        tests: the number of different tests that it is corrected for; its level is `LEVEL * share / tests`.
        effect: what was found, at that level: a gain is a change for the better, of at least the margin or
            small; `none` is one too small to matter, of either sign.
        likely: how likely the effect is worse by the margin, about the same, better by the margin, as read
            off the estimate alone; descriptive.
        missing, untested: without an estimate the number of cells that are not there, and why.
        hindered: why a test must not be made though there is an estimate, as sentences; else empty.
        same_as: the question of an earlier claim that is the very same test on this grid; else empty.
        share: of the level that is spent on it: 1 where it is tested once, less at one of several looks.
        readings: the estimates that both tests have to agree on: one, or with doubtful runs two.
    """

    claim: Claim
    found: Estimate | None
    margin: float
    p_supported: float
    p_refuted: float
    tests: int
    verdict: Verdict
    effect: Effect
    likely: tuple[float, float, float] | None = None
    missing: int | None = None
    untested: str = ""
    hindered: str = ""
    same_as: str = ""
    share: float = 1.0
    readings: tuple[Estimate, ...] = ()

    @property
    def level(self) -> float:
        """Of each of its two tests."""
        return LEVEL * self.share / self.tests

    @property
    def orientation(self) -> int:
        """1 where a higher value is better, -1 where a lower one is."""
        return orientation(self.claim)

    @property
    def error_needed(self) -> float:
        """The standard error that four of five such grids would need to tell no effect from the margin."""
        return self.margin / float(ndtri(1 - self.level) + ndtri(POWER))

    @property
    def patients_needed(self) -> int | None:
        """Test patients with which four of five such grids could tell no effect from one that matters.

        None where no number would do, since chance between runs is too large by itself, or where no patients
        are involved.
        """
        found = self.found
        if found is None or not found.patients or not found.patient_variance > 0:
            return None
        left = self.error_needed**2 - (found.standard_error**2 - found.patient_variance)
        return int(-(-found.patients * found.patient_variance // left)) if left > 0 else None

    @property
    def smallest_effect(self) -> float:
        """The effect that four of five such grids would find to matter by the test of the verdict; NaN if
        none.

        The margin, and beyond it what the test at this claim's own level needs.
        """
        if self.found is None or not self.found.standard_error >= 0:
            return float("nan")
        reach = self.found.quantile(self.level) + self.found.quantile(1 - POWER)
        most = 1.0 if MEASURES[self.claim.metric].area else float("inf")
        return self.margin + reach if self.margin + reach <= most else float("nan")


def orientation(claim: Claim) -> int:
    """1 where a higher value of the claim's measure is better, -1 where a lower one is."""
    return -1 if MEASURES[claim.metric].better == "lower" else 1


def right_verdict(claim: Claim, true: float, margin: float) -> Verdict:
    """The verdict that a true effect asks for: it matters if it reaches the margin, else it does not."""
    sign = -1 if claim.expects == "negative" else 1
    there = (abs(true) if claim.expects == "zero" else sign * true) > margin * (1 - 1e-9)
    return "supported" if there == (claim.expects in ("positive", "negative")) else "refuted"


def right_effects(claim: Claim, true: float, margin: float) -> frozenset[Effect]:
    """The words of the column `effect` that are true of a true effect; `unknown` is never wrong."""
    better = true * orientation(claim)
    if abs(better) > margin * (1 - 1e-9):
        return frozenset(("gain" if better > 0 else "loss", "unknown"))
    signed: dict[bool, Effect] = {True: "small gain", False: "small loss"}
    small = {signed[better > 0]} if abs(better) > 1e-9 * margin else set()
    return frozenset(("none", "unknown", *small))
