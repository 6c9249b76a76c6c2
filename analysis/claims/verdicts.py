"""From estimates to verdicts: supported, refuted or undecided, with the sentence that says why.

Every claim has two tests at 5 %. One, if it rejects, supports the claim; the other refutes it.

| the claim expects | supported by rejecting | refuted by rejecting |
|---|---|---|
| `positive` (`negative`: mirrored) | effect <= 0, two-sided p | effect >= margin, one-sided |
| `zero` | two one-sided tests: abs(effect) >= margin | effect = 0, two-sided |
| `not_positive` | effect >= margin, one-sided | effect <= 0, two-sided p |

Where both reject, the effect is real but smaller than the margin: too small to matter. Holm's correction
(1979) runs over the claims, once for the supporting and once for the refuting tests. With a between-seed part
that is unknown nothing is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from analysis.claims.conjectures import (
    CLAIMS,
    CONJECTURES,
    Claim,
    Expects,
    Margins,
    contrast_of,
    grid_of,
    worded,
)
from analysis.claims.sentences import unit_of, why_claim, why_overall
from analysis.names import init_name
from analysis.statistics.contrasts import Estimate, absent, estimate
from analysis.statistics.measures import Measures
from analysis.tables.schema import VERDICTS

Verdict = Literal["supported", "refuted", "undecided"]
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with its estimate, Holm-adjusted p of both tests, and verdict.

    Without an estimate `missing` counts the cells that are not there and `untested` says why; else None, "".
    """

    claim: Claim
    found: Estimate | None
    margin: float
    p_supported: float
    p_refuted: float
    verdict: Verdict
    missing: int | None = None
    untested: str = ""


def p_values(found: Estimate, expects: Expects, margin: float) -> tuple[float, float]:
    """p of the test whose rejection supports, and of the one whose rejection refutes; NaN if undefined."""
    if not found.standard_error > 0:
        return float("nan"), float("nan")
    sign = -1.0 if expects == "negative" else 1.0

    def above(bound: float) -> float:
        return float(stdtr(found.degrees_of_freedom, (bound - sign * found.estimate) / found.standard_error))

    greater = min(1.0, 2 * above(0.0))
    below_margin = 1 - above(margin)
    if expects in ("positive", "negative"):
        return greater, below_margin
    if expects == "not_positive":
        return below_margin, greater
    return max(below_margin, above(-margin)), min(1.0, 2 * min(above(0.0), 1 - above(0.0)))


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Holm-adjusted p-values; NaN stays NaN and counts for nothing."""
    values = np.array(p, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def decide(expects: Expects, p_supported: float, p_refuted: float) -> Verdict:
    """The verdict from both adjusted p-values."""
    supported, refuted = p_supported <= LEVEL, p_refuted <= LEVEL
    if supported and refuted:
        return "supported" if expects in ("zero", "not_positive") else "refuted"
    if supported:
        return "supported"
    return "refuted" if refuted else "undecided"


def judge(
    measures: Measures, natural: str | None, margins: Margins, claims: Sequence[Claim] = CLAIMS
) -> list[Judged]:
    """Estimate and judge every claim, Holm-corrected over those that could be estimated."""
    grid = grid_of(measures, natural)
    contrasts = [contrast_of(claim, grid) for claim in claims]
    found = [estimate(measures, contrast) if contrast is not None else None for contrast in contrasts]
    lacking: list[tuple[int | None, str]] = [
        (None, "")
        if f is not None
        else absent(measures, contrast)
        if contrast is not None
        else (None, "the grid lacks a size or an initialisation that it asks for")
        for f, contrast in zip(found, contrasts, strict=True)
    ]
    limits = [margins.of(claim.metric) for claim in claims]
    raw = [
        p_values(f, claim.expects, limit)
        if f is not None and f.seed_part != "unknown"
        else (float("nan"), float("nan"))
        for f, claim, limit in zip(found, claims, limits, strict=True)
    ]
    supported, refuted = (holm([pair[side] for pair in raw]) for side in (0, 1))
    return [
        Judged(claim, f, limit, float(s), float(r), decide(claim.expects, s, r), *why)
        for claim, f, limit, s, r, why in zip(claims, found, limits, supported, refuted, lacking, strict=True)
    ]


def overall(judged: Sequence[Judged]) -> Verdict:
    """A conjecture's verdict from its claims: supported by all that it needs, refuted by any of them."""
    needed = [j.verdict for j in judged if j.claim.needed]
    if "refuted" in needed:
        return "refuted"
    return "supported" if needed and all(v == "supported" for v in needed) else "undecided"


def verdict_table(judged: Sequence[Judged], natural: str | None) -> pd.DataFrame:
    """The table `verdicts`: the claims of each conjecture, then its row `overall`."""
    name = init_name(natural) if natural else "natural images"
    rows: list[dict[str, object]] = []
    for conjecture, title in CONJECTURES.items():
        mine = [j for j in judged if j.claim.conjecture == conjecture]
        for j in mine:
            claim = worded(j.claim, name)
            fields = ("estimate", "low", "high", "seeds", "patients", "cells", "seed_part")
            numbers = {field: getattr(j.found, field, None) for field in fields}
            numbers["cells_missing"] = getattr(j.found, "cells_missing", j.missing)
            rows.append(
                {
                    "conjecture": conjecture,
                    "claim": claim.name,
                    "question": claim.question,
                    "needed": claim.needed,
                    "expects": claim.expects,
                    "metric": claim.metric,
                    "unit": unit_of(claim),
                    **numbers,
                    "smallest_effect": getattr(j.found, "smallest_effect", None),
                    "margin": j.margin,
                    "p_supported": j.p_supported,
                    "p_refuted": j.p_refuted,
                    "verdict": j.verdict,
                    "why": why_claim(claim, j.found, j.margin, j.verdict, j.untested),
                }
            )
        verdict = overall(mine)
        needed = [(worded(j.claim, name), j.verdict, j.found) for j in mine if j.claim.needed]
        rows.append(
            {
                "conjecture": conjecture,
                "claim": "overall",
                "question": title,
                "verdict": verdict,
                "why": why_overall(verdict, needed),
            }
        )
    return pd.DataFrame(rows, columns=[c.name for c in VERDICTS])
