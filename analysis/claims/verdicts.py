"""From estimates to verdicts: supported, refuted or undecided, with the sentence that says why.

Every claim has two tests at the margin (`analysis.claims.margin_tests`).

**Levels.** Of a claim's two nulls exactly one is true, so that the chance of any wrong claim is at most 5 %
if each is tested at 5 % divided by the number of different tests (Bonferroni; under any dependence). The four
conjectures are a family of their own, each at 5 % / 4: `supported` if every claim that it needs is supported
at that level (an intersection-union test, which needs no further correction), `refuted` if one of them is
refuted at that level divided by their number.

**When a test is not made.** With one seed, of the grid or of one of its networks; with seeds that are copies;
without every planned network; of spikes where a run failed, as it was cut short; where the estimate without
failed and collapsed cells and the one with them at their worst do not agree. In all but the last case no
interval is given either: of a network's scatter others tell nothing, and networks that are left have another
slope and another mean than all.
That a larger network or more data is not needed is not supported by networks whose loss still falls or one of
whose cells has collapsed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.claims.conjectures import CLAIMS, Claim, Grid, contrast_of, grid_of, lacking
from analysis.claims.hours import Hours
from analysis.claims.judged import CONJECTURE_LEVEL, LEVEL, Judged, Verdict, orientation
from analysis.claims.margin_tests import NAN, decide, effect_of, likely, p_values
from analysis.claims.needed import Needed, needed
from analysis.claims.sentences import COPIES, ONE_SEED
from analysis.statistics.catalogue import MEASURES, Margins
from analysis.statistics.contrasts import estimates
from analysis.statistics.estimate import Estimate, together
from analysis.statistics.flags import LATE_SHARE
from analysis.statistics.measures import Measures
from analysis.statistics.paired import absent, coefficients, has_copies, network_weights, planned_rows
from analysis.statistics.terms import Contrast
from analysis.tables.columns import is_true


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """What a claim is tested at: `share` of the level of all claims, over the number of `tests`."""

    share: float
    tests: int

    @property
    def of_claim(self) -> float:
        """Of each of a claim's two tests."""
        return LEVEL * self.share / self.tests


@dataclasses.dataclass(frozen=True, slots=True)
class _Tested:
    """One claim on its way to be judged: its readings, their p-values, and which test it is.

    It is `counted` among the tests even if it is `barred` since a network has a single seed, a run failed, or
    seeds are copies: that follows from the runs' fates, and must not raise the level of the others.
    """

    claim: Claim
    contrast: Contrast | None
    found: tuple[Estimate, ...]
    margin: float
    pair: tuple[float, float]
    hindered: str
    test: Hashable
    counted: bool = False
    barred: bool = False


def judge(
    measures: Measures,
    natural: str | None,
    margins: Margins,
    claims: Sequence[Claim] = CLAIMS,
    *,
    share: float = 1.0,
    tests: int = 1,
) -> list[Judged]:
    """Estimate and judge every claim, corrected for the number of different tests that could be made.

    Args:
        share: of the level that is spent now, at one of several looks.
        tests: to be corrected for at least: those of an earlier look.
    """
    grid = grid_of(measures, natural)
    tested = [_tested(measures, claim, contrast_of(claim, grid), margins) for claim in claims]
    known = [one for one in tested if one.counted]
    level = Level(share, max(len({one.test for one in known}), tests))
    first: dict[Hashable, Claim] = {}
    judged = []
    for one in tested:
        earlier = first.setdefault(one.test, one.claim) if one.found else one.claim
        same_as = "" if earlier is one.claim else earlier.question
        judged.append(_judged(measures, grid, one, level, same_as))
    return judged


def _tested(measures: Measures, claim: Claim, contrast: Contrast | None, margins: Margins) -> _Tested:
    margin = margins.of(claim.metric)
    found = estimates(measures, contrast) if contrast is not None else ()
    if contrast is None or not found:
        return _Tested(claim, contrast, (), margin, (NAN, NAN), "", claim.name)
    pairs = [p_values(one, claim.expects, margin) for one in found]
    pair = max(p for p, _ in pairs), max(p for _, p in pairs)
    hindered = _hindered(measures, contrast, found) or _cut_short(measures, claim, contrast)
    counted = (_measured(found) or hindered == COPIES) and not np.isnan(pair).all()
    barred = bool(hindered)
    if barred:
        pair = NAN, NAN
    elif claim.guarded and pair[0] <= LEVEL:
        hindered = _not_trained(measures, claim, contrast)
        pair = (NAN if hindered else pair[0]), pair[1]
    test = _test(measures, claim, contrast)
    return _Tested(claim, contrast, found, margin, pair, hindered, test, counted, barred)


def _hindered(measures: Measures, contrast: Contrast, found: tuple[Estimate, ...]) -> str:
    """Why neither test may be made; empty if both may."""
    missing = list(dict.fromkeys(name for one in found for name in one.networks_missing))
    if missing:
        return (
            f"Without {_networks(measures, missing)} it is not decided: no seed has all of the cells that it "
            "asks for there."
        )
    if any(one.seeds < 2 for one in found):
        return ONE_SEED
    alone = list(dict.fromkeys(name for one in found for name in one.networks_alone))
    if alone:
        return (
            f"One seed only of {_networks(measures, alone)} has all of the cells that it asks for: how far "
            f"those runs scatter cannot be told from other networks' seeds."
        )
    return COPIES if has_copies(measures, contrast) or not _measured(found) else ""


def _cut_short(measures: Measures, claim: Claim, contrast: Contrast) -> str:
    """Why runs that failed keep a claim from being tested; empty where it is known what they are at worst."""
    if MEASURES[claim.metric].worst is not None:
        return ""
    rows = planned_rows(measures, contrast)
    failed = int(measures.failed[rows[rows >= 0]].sum())
    many = f"{failed} of its runs" if failed > 1 else "One of its runs"
    return f"{many} failed: what would have followed is not known." if failed else ""


def _measured(found: tuple[Estimate, ...]) -> bool:
    """Whether chance between seeds could be measured, though it may be of other networks than all."""
    return not any(one.networks_missing or one.seed_part != "measured" for one in found)


def _not_trained(measures: Measures, claim: Claim, contrast: Contrast) -> str:
    """Why those that are said not to be needed were not trained well enough to say so; empty if they were."""
    better = coefficients(measures, contrast) * orientation(claim) > 0
    if (better & measures.collapsed).any():
        return (
            "One of the runs that should be the better ones ended at chance, so nothing is said against them."
        )
    falling = _still_learning(measures, claim)
    if falling is None:
        return ""
    rows = measures.cells["architecture"].where(better & falling).dropna()
    if rows.empty:
        return ""
    names = _networks(measures, dict.fromkeys(rows))
    return (
        f"The training loss of {names} was still falling at its end, so nothing is said against it: "
        f"train longer."
    )


def _networks(measures: Measures, names: Iterable[str]) -> str:
    """`ResNet-50, ResNet-34 and CBR-Tiny`."""
    *others, last = [measures.looks[name].network for name in names]
    return f"{', '.join(others)} and {last}" if others else last


def _still_learning(measures: Measures, claim: Claim) -> NDArray[np.bool_] | None:
    """Cells that longer training might still improve [cells]; None where nothing is known of it.

    Their training loss still falls, and for other measures the best epoch is among the last third as well.
    """
    cells = measures.cells
    if "still_falling" not in cells:
        return None
    falling = is_true(cells["still_falling"]).to_numpy()
    if claim.metric == "train_loss" or not {"best_epoch", "epochs"} <= set(cells):
        return falling
    share = (cells["best_epoch"] / cells["epochs"]).astype(float).to_numpy()
    return falling & ~(share <= 1 - 1 / LATE_SHARE)


def _test(measures: Measures, claim: Claim, contrast: Contrast) -> Hashable:
    """What tells one test from another: with two networks a slope on depth is one on parameters."""
    weights = network_weights(measures, contrast)
    return (
        contrast.metric,
        claim.expects,
        contrast.terms,
        tuple((name, round(weight, 9)) for name, weight in sorted(weights.items())),
    )


def _judged(measures: Measures, grid: Grid, one: _Tested, at: Level, same_as: str) -> Judged:
    better = orientation(one.claim)
    found = together(one.found)
    level = at.of_claim
    free = found is not None and not one.barred
    missing: int | None = None
    untested = ""
    if found is None and one.contrast is not None:
        missing, untested = absent(measures, one.contrast)
    elif found is None:
        untested = lacking(one.claim, grid)
    elif one.barred or found.standard_error == 0:
        found = dataclasses.replace(found, low=NAN, high=NAN)
    return Judged(
        claim=one.claim,
        found=found,
        margin=one.margin,
        p_supported=one.pair[0],
        p_refuted=one.pair[1],
        tests=at.tests,
        verdict=decide(*one.pair, level),
        effect=effect_of(one.found, one.margin, level, better) if free else "unknown",
        likely=likely(found, one.margin, better) if found is not None and free else None,
        missing=missing,
        untested=untested,
        hindered=one.hindered,
        same_as=same_as,
        share=at.share,
        readings=one.found,
    )


def overall(judged: Sequence[Judged]) -> Verdict:
    """A conjecture's verdict from its claims, at the conjectures' own level."""
    needed = [j for j in judged if j.claim.needed]
    if needed and all(j.p_supported <= CONJECTURE_LEVEL for j in needed):
        return "supported"
    tests = sum(not j.same_as for j in needed)
    return "refuted" if any(j.p_refuted <= CONJECTURE_LEVEL / max(tests, 1) for j in needed) else "undecided"


def needs(
    measures: Measures, natural: str | None, judged: Sequence[Judged], hours: Mapping[str, Hours]
) -> dict[str, Needed]:
    """What every undecided claim needs, by its name, where that can be said.

    Args:
        hours: of one more seed, by claim.
    """
    grid, found = grid_of(measures, natural), {}
    for j in judged:
        contrast = contrast_of(j.claim, grid)
        if contrast is None or j.verdict != "undecided" or not j.readings:
            continue
        if _cut_short(measures, j.claim, contrast) or has_copies(measures, contrast):
            continue
        obstacle = _not_trained(measures, j.claim, contrast) if j.claim.guarded else ""
        one = needed(j, hours.get(j.claim.name), obstacle)
        if one is not None:
            found[j.claim.name] = one
    return found
