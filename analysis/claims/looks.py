"""Seeds in looks: the data are judged several times, and what is decided once stays decided.

Before the first look it is fixed after how many seeds one looks, and which share (`weights`) of the level is
spent at each. At look k everything is tested at `weight` of the level that a single look would have. Then

    P(any wrong verdict at any look) <= sum over looks of P(any wrong at that look) <= sum of weights x 5 %,

under any dependence between looks, since each test is valid at its own, fixed number of seeds. Small weights
first and the bulk last, as O'Brien and Fleming's boundaries have it, save nothing here: few seeds lack
degrees of freedom, and each further one makes up for a level several times as strict. Looks that may be added
later are fixed with the others (`look_record`), so that no data choose when to look.

* A rejection is final. Claims stand as decided at their first rejection, conjectures likewise; that a claim
  meets the conjectures' own level may be shown at one look for one claim and at another for the next.
* Every claim is corrected for all tests of the fullest look so far, decided or not: each still has one null
  that is true.
* Between looks one may look at anything: it decides nothing.
* Seeds come in whole blocks, in numeric order, and a run that diverged counts.
* Cells that no open claim needs are not trained further: to close a claim can only make fewer errors.

Estimates after stopping lean outward; `repeated_interval` holds at all looks together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.claims.conjectures import CONJECTURES, Claim, Grid, contrast_of
from analysis.claims.judged import CONJECTURE_LEVEL, LEVEL, Judged, Verdict
from analysis.claims.margin_tests import decide as verdict_at
from analysis.claims.margin_tests import p_values
from analysis.statistics.chance import Chance
from analysis.tables.conditions import Condition

EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Looks:
    """After how many seeds one looks, and the share of the level that each look spends.

    Raises:
        ValueError: seeds do not ascend from at least two, or weights are not positive or sum to more than 1.
    """

    seeds: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.seeds) != len(self.weights) or not self.seeds:
            raise ValueError(
                f"found {len(self.seeds)} looks and {len(self.weights)} weights; expected one weight per look"
            )
        if self.seeds[0] < 2 or list(self.seeds) != sorted(set(self.seeds)):
            raise ValueError(
                f"looks after {' '.join(map(str, self.seeds))} seeds: expected ascending numbers from 2 on"
            )
        if min(self.weights) <= 0 or sum(self.weights) > 1 + EXACT:
            raise ValueError(
                f"weights {' '.join(f'{w:g}' for w in self.weights)}: expected positive numbers that sum to "
                "at most 1"
            )


def planned_looks(seeds: Sequence[int], reserve: float = 0.0) -> Looks:
    """Looks that share the level equally.

    Args:
        reserve: share of the level that is left for others.
    """
    count = len(seeds)
    return Looks(tuple(seeds), ((1 - reserve) / max(count, 1),) * count)


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict and the look (from 0) at which it was reached."""

    verdict: Verdict
    look: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What stands after the looks so far.

    Attributes:
        claims: verdicts on claims, by name; a claim that is not in it is undecided.
        conjectures: verdicts on conjectures, by number.
        open: claims that more seeds are wanted for, by name.
        cells: conditions that the open claims need further seeds of; empty where nothing is left to do.
        next_seeds: how many seeds those need to have at the next look; None after the last.
    """

    claims: dict[str, Decided] = field(default_factory=dict)
    conjectures: dict[int, Decided] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    cells: frozenset[Condition] = frozenset()
    next_seeds: int | None = None


def decide(
    looks: Looks,
    evidence: Sequence[Sequence[Judged]],
    grid: Grid,
    architectures: Sequence[str],
    all_claims: bool = False,
) -> Decision:
    """What is decided after the looks so far, and which cells the next one needs.

    Args:
        evidence: for each look so far, in their order, what `analysis.claims.verdicts.judge` says on the
            cells with the first `looks.seeds[k]` seeds. Of claims that were closed before a look nothing is
            taken from it, so cells may have been left out for them.
        architectures: networks of the grid.
        all_claims: go on until every claim is decided; else until every conjecture is.

    Raises:
        ValueError: more evidence than looks.
    """
    if len(evidence) > len(looks.seeds):
        raise ValueError(f"found evidence of {len(evidence)} looks; expected at most {len(looks.seeds)}")
    claims: dict[str, Decided] = {}
    conjectures: dict[int, Decided] = {}
    shown: dict[str, Verdict] = {}
    opened = {j.claim.name for j in evidence[0]} if evidence else set()
    tests = 1
    for look, (judged, weight) in enumerate(zip(evidence, looks.weights, strict=False)):
        tests = max([tests, *(j.tests for j in judged)])
        now = [j for j in judged if j.claim.name in opened]
        for j in now:
            verdict = verdict_at(j.p_supported, j.p_refuted, LEVEL * weight / tests)
            if verdict != "undecided":
                claims.setdefault(j.claim.name, Decided(verdict, look))
        for j in now:
            if j.claim.needed and j.claim.name not in shown:
                verdict = _at_conjectures_level(j, judged, weight)
                if verdict != "undecided":
                    shown[j.claim.name] = verdict
        for number in CONJECTURES:
            needed = [j.claim.name for j in judged if j.claim.conjecture == number and j.claim.needed]
            verdict = _overall([shown.get(name, "undecided") for name in needed])
            if verdict != "undecided":
                conjectures.setdefault(number, Decided(verdict, look))
        opened = {
            j.claim.name for j in judged if _is_open(j.claim, claims, conjectures, shown, all_claims)
        } & opened
    last = evidence[-1] if evidence else ()
    still_open = [j.claim for j in last if j.claim.name in opened]
    left = len(evidence) < len(looks.seeds) and (bool(still_open) or not evidence)
    return Decision(
        claims,
        conjectures,
        tuple(claim.name for claim in still_open),
        cells_of(still_open, grid, architectures) if left else frozenset(),
        looks.seeds[len(evidence)] if left else None,
    )


def _at_conjectures_level(j: Judged, judged: Sequence[Judged], weight: float) -> Verdict:
    """What a needed claim says of its conjecture at one look, at the conjectures' level."""
    level = CONJECTURE_LEVEL * weight
    if j.p_supported <= level:
        return "supported"
    mine = [i for i in judged if i.claim.needed and i.claim.conjecture == j.claim.conjecture]
    tests = sum(not i.same_as for i in mine)
    return "refuted" if j.p_refuted <= level / max(tests, 1) else "undecided"


def _overall(needed: Sequence[Verdict]) -> Verdict:
    if "refuted" in needed:
        return "refuted"
    return "supported" if needed and all(v == "supported" for v in needed) else "undecided"


def _is_open(
    claim: Claim,
    claims: dict[str, Decided],
    conjectures: dict[int, Decided],
    shown: dict[str, Verdict],
    all_claims: bool,
) -> bool:
    wanted = claim.needed and claim.conjecture not in conjectures and claim.name not in shown
    return wanted or (all_claims and claim.name not in claims)


SEEDS_REACH = 2.0
"""Standard errors between seeds by which the estimate may still move."""


def beyond_seeds(judged: Judged, share: float) -> bool:
    """Whether no number of seeds will decide a claim, since its test patients are too few.

    True where even with nothing left of the chance between seeds no test would reject, at the most that a
    look to come can spend, wherever within two standard errors the seeds take the estimate. To close such a
    claim can only make fewer errors.

    Args:
        share: of the level, at most, of a look to come.
    """
    found, claim = judged.found, judged.claim
    tested = not (math.isnan(judged.p_supported) and math.isnan(judged.p_refuted))
    if found is None or found.chance is None or not found.patients or not tested:
        return False
    patients = Chance(found.chance.patients, found.chance.patients_freedom)
    if not patients.variance > 0:
        return False
    reach = SEEDS_REACH * math.sqrt(max(found.standard_error**2 - patients.variance, 0.0))
    level = share * max(LEVEL / judged.tests, CONJECTURE_LEVEL if claim.needed else 0.0)
    for shift in np.linspace(-reach, reach, 9):
        there = dataclasses.replace(
            found,
            estimate=found.estimate + float(shift),
            standard_error=math.sqrt(patients.variance),
            chance=patients,
        )
        if min(p_values(there, claim.expects, judged.margin)) <= level:
            return False
    return True


def cells_of(claims: Sequence[Claim], grid: Grid, architectures: Sequence[str]) -> frozenset[Condition]:
    """The conditions that these claims are estimated from."""
    return frozenset(
        one
        for claim in claims
        for name in claim.architectures or architectures
        for one in conditions_of(claim, grid, name)
    )


def conditions_of(claim: Claim, grid: Grid, architecture: str) -> frozenset[Condition]:
    """The conditions of one network that a claim is estimated from; none where the grid cannot test it."""
    contrast = contrast_of(claim, grid)
    return (
        frozenset(term.of(architecture) for term in contrast.terms) if contrast is not None else frozenset()
    )


def repeated_interval(judged: Judged) -> tuple[float, float]:
    """An interval at one look that holds for all claims and looks together; NaN without an estimate.

    Beside the naive 95 % interval, `judged.found.low` and `.high`, which says nothing of looks. Half its
    width is that of the naive one, stretched from 95 % to 1 - the claim's level at this look.
    """
    found = judged.found
    if found is None or not found.standard_error > 0:
        return float("nan"), float("nan")
    stretch = found.quantile(judged.level / 2) / found.quantile(0.025)
    return (
        found.estimate - stretch * (found.estimate - found.low),
        found.estimate + stretch * (found.high - found.estimate),
    )
