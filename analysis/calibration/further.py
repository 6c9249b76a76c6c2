"""Further seeds on simulated grids: how likely they are said to decide a claim, and how often they do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis.calibration.cases import plant_in
from analysis.calibration.looked import first_seeds, prefixes
from analysis.calibration.settings import Setting
from analysis.calibration.simulate import draw
from analysis.calibration.worlds import World
from analysis.claims.needed import decided, needed
from analysis.claims.verdicts import judge


def forecasts(
    setting: Setting, world: World, first: int, more: Sequence[int], effects: Iterable[float], seed: int = 0
) -> pd.DataFrame:
    """Grids judged on their first seeds, and again with more: a row per grid, undecided claim and number.

    Args:
        first: seeds that there are, of as many as `setting` and `more` ask for.
        more: numbers of further seeds.
        effects: planted in one grid each, in margins.

    Returns:
        Columns `effect`, `claim`, `more`, `forecast`, `decided`, and `wanted`: the number of seeds that it is
        said to need is this one.
    """
    most = first + max(more)
    setting = dataclasses.replace(setting, seeds=most)
    rows = []
    for number, effect in enumerate(effects):
        it = plant_in(setting, world, effect, np.random.default_rng([seed, number, 1]))
        whole = draw(it.design, np.random.default_rng([seed, number, 2]))
        cut = prefixes(it.design.template, [first, *(first + m for m in more)])
        then = {
            m: judge(first_seeds(whole, first + m, cut), "natural", setting.margins, it.claims) for m in more
        }
        for k, j in enumerate(judge(first_seeds(whole, first, cut), "natural", setting.margins, it.claims)):
            if (need := needed(j)) is None:
                continue
            for m in more:
                rows.append(
                    {"effect": effect, "claim": j.claim.name, "more": m, "forecast": decided(j, m),
                     "decided": then[m][k].verdict != "undecided", "wanted": need.seeds == m}
                )  # fmt: skip
    return pd.DataFrame(rows)
