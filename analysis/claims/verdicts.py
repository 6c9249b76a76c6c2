"""From estimates to verdicts: supported, refuted or undecided, with the sentence that says why.

Every claim has two tests, and both stand at the margin, so that no effect reads otherwise as precision grows.

| the claim expects | supported by rejecting | refuted by rejecting |
|---|---|---|
| `positive` (`negative`: mirrored) | effect < margin | effect >= margin |
| `zero` | abs(effect) >= margin (two one-sided tests) | abs(effect) < margin |
| `not_positive` | effect >= margin | effect < margin |

**Levels.** Of a claim's two nulls exactly one is true, so that the chance of any wrong claim is at most 5 %
if each is tested at 5 % divided by the number of different tests (Bonferroni; under any dependence). The four
conjectures are a family of their own, each at 5 % / 4: `supported` if every claim that it needs is supported
at that level (an intersection-union test, which needs no further correction), `refuted` if one of them is
refuted at that level divided by their number.

**When a test is not made.** With one seed; without every planned network; where the estimate without failed
and collapsed cells and the one with them at their worst do not agree. With one seed, and without a planned
network, no interval is given either: networks that are left have another slope and another mean than all.
That a larger network or more data is not needed is not supported by networks whose loss still falls or one of
whose cells has collapsed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.claims.conjectures import (
    CLAIMS,
    CONJECTURES,
    Claim,
    Expects,
    Grid,
    contrast_of,
    grid_of,
    lacking,
    worded,
)
from analysis.claims.hours import Hours
from analysis.claims.judged import CONJECTURE_LEVEL, LEVEL, Effect, Judged, Verdict, orientation
from analysis.claims.needed import Needed, needed
from analysis.claims.sentences import ONE_SEED, because, unit_of, why_claim, why_overall
from analysis.names import IN_DOMAIN, init_name
from analysis.statistics.catalogue import Margins
from analysis.statistics.contrasts import (
    Contrast,
    Estimate,
    absent,
    coefficients,
    estimates,
    network_weights,
    together,
)
from analysis.statistics.flags import LATE_SHARE
from analysis.statistics.measures import Measures
from analysis.tables.schema import VERDICTS

NAN = float("nan")


def above(found: Estimate, bound: float) -> float:
    """p of the one-sided test that rejects an effect of at most `bound`."""
    return found.upper_tail(found.estimate - bound)


def below(found: Estimate, bound: float) -> float:
    """p of the one-sided test that rejects an effect of at least `bound`."""
    return found.upper_tail(bound - found.estimate)


def beyond(found: Estimate, bound: float) -> float:
    """p of the test that rejects an effect of at most `bound` in size, whatever its sign."""
    size = abs(found.estimate)
    return found.upper_tail(size - bound) + found.upper_tail(size + bound)


def within(found: Estimate, bound: float) -> float:
    """p of the two one-sided tests that reject an effect of at least `bound` in size."""
    return max(above(found, -bound), below(found, bound))


def p_values(found: Estimate, expects: Expects, margin: float) -> tuple[float, float]:
    """p of the test whose rejection supports, and of the one whose rejection refutes; NaN if undefined."""
    if not found.standard_error > 0:
        return NAN, NAN
    if expects == "zero":
        return within(found, margin), beyond(found, margin)
    if expects == "negative":
        return below(found, -margin), above(found, -margin)
    pair = above(found, margin), below(found, margin)
    return pair if expects == "positive" else pair[::-1]


def decide(p_supported: float, p_refuted: float, level: float) -> Verdict:
    """The verdict from both p-values; they cannot both be small."""
    if p_supported <= level:
        return "supported"
    return "refuted" if p_refuted <= level else "undecided"


def effect_of(found: Sequence[Estimate], margin: float, level: float, better: int) -> Effect:
    """What is found at `level` by every one of `found`, with the sign's own test two-sided.

    Args:
        better: 1 where a higher value is better, else -1.
    """
    if not found or not all(one.standard_error > 0 for one in found):
        return "unknown"
    signs = {np.sign(one.estimate) * better for one in found}
    gain = signs == {1}
    if len(signs) == 1 and max(beyond(one, margin) for one in found) <= level:
        return "gain" if gain else "loss"
    if max(within(one, margin) for one in found) > level:
        return "unknown"
    if len(signs) > 1 or max(beyond(one, 0.0) for one in found) > level:
        return "none"
    return "small gain" if gain else "small loss"


def likely(found: Estimate, margin: float, better: int) -> tuple[float, float, float] | None:
    """How likely worse by the margin, about the same, better by it: the estimate's t distribution, as it is.

    The region of practical equivalence of Benavoli et al. 2017 (J. Mach. Learn. Res. 18: 1-36) with a flat
    prior. No test, and not corrected for anything.
    """
    if not found.standard_error > 0:
        return None
    lower, upper = above(found, -margin), below(found, margin)
    worse, gained = (lower, upper) if better > 0 else (upper, lower)
    return worse, 1 - worse - gained, gained


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
    """One claim on its way to be judged: its readings, their p-values, and which test it is."""

    claim: Claim
    contrast: Contrast | None
    found: tuple[Estimate, ...]
    margin: float
    pair: tuple[float, float]
    hindered: str
    test: Hashable


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
    known = [one for one in tested if not np.isnan(one.pair).all()]
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
    hindered = _hindered(measures, found)
    if hindered:
        pair = NAN, NAN
    elif claim.guarded and pair[0] <= LEVEL:
        hindered = _not_trained(measures, claim, contrast)
        pair = (NAN if hindered else pair[0]), pair[1]
    return _Tested(claim, contrast, found, margin, pair, hindered, _test(measures, claim, contrast))


def _hindered(measures: Measures, found: tuple[Estimate, ...]) -> str:
    """Why neither test may be made; empty if both may."""
    missing = list(dict.fromkeys(name for one in found for name in one.networks_missing))
    if missing:
        return (
            f"Without {_networks(measures, missing)} it is not decided: no seed has all of the cells that it "
            "asks for there."
        )
    if any(one.seed_part != "measured" for one in found):
        return ONE_SEED
    return ""


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
    falling = cells["still_falling"].fillna(False).to_numpy(bool)
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
    free = found is not None and not _hindered(measures, one.found)
    missing: int | None = None
    untested = ""
    if found is None and one.contrast is not None:
        missing, untested = absent(measures, one.contrast)
    elif found is None:
        untested = lacking(one.claim, grid)
    elif found.seed_part != "measured" or found.networks_missing:
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
        obstacle = _not_trained(measures, j.claim, contrast) if j.claim.guarded else ""
        one = needed(j, hours.get(j.claim.name), obstacle)
        if one is not None:
            found[j.claim.name] = one
    return found


def verdict_table(
    judged: Sequence[Judged],
    natural: str | None,
    decided: Mapping[int, Verdict] | None = None,
    needs: Mapping[str, Needed] | None = None,
    *,
    in_domain: str = IN_DOMAIN,
) -> pd.DataFrame:
    """The table `verdicts`: the claims of each conjecture, then its row `overall`.

    Args:
        decided: verdicts on conjectures where they were reached at looks; else they follow from the claims.
        needs: what undecided claims need, by name.
    """
    needs = needs or {}
    name = init_name(natural) if natural else "natural images"
    rows: list[dict[str, object]] = []
    for conjecture, title in CONJECTURES.items():
        mine = [
            dataclasses.replace(j, claim=worded(j.claim, name, init_name(in_domain)))
            for j in judged
            if j.claim.conjecture == conjecture
        ]
        rows += [_row(j, needs.get(j.claim.name)) for j in mine]
        verdict = overall(mine) if decided is None else decided.get(conjecture, "undecided")
        rows.append(
            {
                "conjecture": conjecture,
                "claim": "overall",
                "question": title,
                "verdict": verdict,
                "why": why_overall(verdict, [j for j in mine if j.claim.needed]),
            }
        )
    return pd.DataFrame(rows, columns=[c.name for c in VERDICTS])


def _row(j: Judged, need: Needed | None) -> dict[str, object]:
    claim, hours = j.claim, need.hours if need is not None else None
    fields = ("estimate", "low", "high", "seeds", "patients", "cells", "seed_part")
    worse, same, better = j.likely or (None, None, None)
    return {
        "conjecture": claim.conjecture,
        "claim": claim.name,
        "question": claim.question,
        "needed": claim.needed,
        "expects": claim.expects,
        "metric": claim.metric,
        "unit": unit_of(claim),
        **{field: getattr(j.found, field, None) for field in fields},
        "cells_missing": getattr(j.found, "cells_missing", j.missing),
        "cells_doubtful": getattr(j.found, "doubtful", None),
        "smallest_effect": j.smallest_effect,
        "patients_needed": j.patients_needed,
        "seeds_needed": getattr(need, "seeds", None),
        "hours_needed": getattr(hours, "count", None),
        "hours_of": getattr(hours, "unit", None),
        "decided_at_best": getattr(need, "at_best", None),
        "patients_for_seeds": getattr(need, "patients", None),
        "margin": j.margin,
        "p_supported": float(np.minimum(1.0, j.p_supported * j.tests)),
        "p_refuted": float(np.minimum(1.0, j.p_refuted * j.tests)),
        "verdict": j.verdict,
        "effect": j.effect,
        "likely_worse": worse,
        "likely_same": same,
        "likely_better": better,
        "because": because(j, need),
        "why": why_claim(j, need),
    }
