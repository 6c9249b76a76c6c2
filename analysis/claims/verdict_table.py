"""The table `verdicts`: the claims of each conjecture, then its row `overall`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.claims.conjectures import CONJECTURES, worded
from analysis.claims.judged import Judged, Verdict
from analysis.claims.needed import Needed
from analysis.claims.sentences import because, unit_of, why_claim, why_overall
from analysis.claims.verdicts import overall
from analysis.names import IN_DOMAIN, init_name
from analysis.tables.schema import VERDICTS


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
