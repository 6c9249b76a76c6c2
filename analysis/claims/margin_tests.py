"""p-values of a claim's two tests, and the words that they give: verdict, effect, and how likely each is.

Both tests stand at the margin, so that no effect reads otherwise as precision grows.

| the claim expects | supported by rejecting | refuted by rejecting |
|---|---|---|
| `positive` (`negative`: mirrored) | effect < margin | effect >= margin |
| `zero` | abs(effect) >= margin (two one-sided tests) | abs(effect) < margin |
| `not_positive` | effect >= margin | effect < margin |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.claims.conjectures import Expects
from analysis.claims.judged import Effect, Verdict
from analysis.statistics.estimate import Estimate

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
