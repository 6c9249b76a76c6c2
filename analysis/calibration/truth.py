"""What is planted in a simulated grid: every claim's effect, in margins."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.calibration.settings import BALANCED, DEMO, Setting
from analysis.calibration.worlds import PLAIN, World
from analysis.claims.conjectures import CLAIMS, Claim, contrast_of, grid_of
from analysis.statistics.measures import Measures
from analysis.statistics.paired import coefficients
from analysis.statistics.run_scatter import learning_curves
from analysis.statistics.terms import Contrast
from analysis.tables.conditions import DEFAULTS

IMPLIED = "in_domain_gains"
"""The claim whose effect is the sum of two others': pretraining on natural images, and in-domain beyond
it."""

LOWEST_AUROC, HIGHEST_AUROC = 0.4, 0.9995


def simulated_claims(setting: Setting = DEMO) -> list[Claim]:
    """The claims that the simulated grid can test: all of whose cells it plans."""
    measures = Measures(plan(setting, seeds=1).assign(test_auroc=0.5, train_loss=0.5, spikes=1.0))
    grid = grid_of(measures, "natural")
    found = []
    for claim in CLAIMS:
        contrast = contrast_of(claim, grid)
        if contrast is not None and absence(measures, contrast) is None:
            found.append(claim)
    return found


def absence(measures: Measures, contrast: Contrast) -> str | None:
    """Why a contrast has no estimate on these cells; None where it has one."""
    try:
        coefficients(measures, contrast)
    except ValueError as problem:
        return str(problem)
    return None


def plan(setting: Setting, seeds: int | None = None, world: World = PLAIN) -> pd.DataFrame:
    """The cells of the grid of `setting` (the arms that claims ask for), without measures."""
    more_seeds = world.fate.second_seed_for
    rows = [
        DEFAULTS
        | {
            "architecture": name,
            "train_images": size,
            "init": init,
            "freeze": freeze,
            "seed": seed,
            "balance": balance,
            "depth": depth,
            "parameters": parameters,
        }
        for (name, (depth, parameters)), size, (init, freeze, balance), seed in itertools.product(
            setting.networks.items(),
            setting.sizes,
            [*((*arm, "natural") for arm in setting.arms), *([BALANCED] if setting.balanced else [])],
            range(setting.seeds if seeds is None else seeds),
        )
        if seed == 0 or not more_seeds or name in more_seeds
    ]
    return pd.DataFrame(rows)


def planted(
    setting: Setting,
    effect: float,
    rng: np.random.Generator,
    claims: Sequence[Claim] = CLAIMS,
    world: World = PLAIN,
) -> pd.DataFrame:
    """True `test_auroc`, `train_loss` and `spikes` of every condition, every claim's effect `effect` margins.

    The networks' own differences and the gain with data are drawn or set first; then the smallest smooth
    change of the learning curves is added that gives every claim's contrast its planted value, in the
    direction that the claim asks about (down for `negative`, up for all others).

    Raises:
        ValueError: the effects do not fit between an AUROC of 0.4 and 1.
    """
    cells = plan(setting, seeds=1)
    smooth = _smooth(cells)
    doublings = np.log2(cells["train_images"].to_numpy(float) / np.sqrt(setting.sizes[0] * setting.sizes[-1]))
    own = rng.normal(0, setting.network_sd, len(setting.networks))[pd.factorize(cells["architecture"])[0]]
    dents = rng.normal(0, world.bend, len(cells)) if world.bend else 0.0
    cells["test_auroc"] = setting.auroc + setting.auroc_per_doubling * doublings + own + dents
    cells["train_loss"] = 0.45 + 0.02 * doublings + 10 * own
    cells["spikes"] = setting.spikes
    for metric in ("test_auroc", "train_loss", "spikes"):
        measures = Measures(cells)
        grid = grid_of(measures, "natural")
        rows, targets = [], []
        for claim in claims:
            contrast = contrast_of(claim, grid) if claim.metric == metric else None
            if contrast is not None and claim.name != IMPLIED:
                sign = -1 if claim.expects == "negative" else 1
                rows.append(coefficients(measures, contrast))
                targets.append(sign * effect * setting.margins.of(metric))
        if not rows:
            continue
        matrix = np.array(rows)
        values = cells[metric].to_numpy(float)
        change = np.linalg.pinv(matrix @ smooth) @ (np.array(targets) - matrix @ values)
        cells[metric] = values + smooth @ change
    aurocs = cells["test_auroc"]
    if aurocs.min() < LOWEST_AUROC or aurocs.max() > HIGHEST_AUROC:
        raise ValueError(
            f"{setting.name}, {world.name}: effects of {effect:g} margins would need AUROC from "
            f"{aurocs.min():.3f} to {aurocs.max():.3f}; expected {LOWEST_AUROC} to {HIGHEST_AUROC}: plant "
            "less, or change `auroc`"
        )
    return cells


def _smooth(cells: pd.DataFrame) -> NDArray[np.float64]:
    """Directions in which truths may differ: per arm, a level and slope per network and a level per size."""
    arm = pd.get_dummies(cells["init"] + " " + cells["freeze"] + " " + cells["balance"]).to_numpy(float)
    return np.hstack([column[:, None] * learning_curves(cells) for column in arm.T])


def true_effects(truth: pd.DataFrame, claims: Sequence[Claim]) -> list[float]:
    """The planted value of every claim's contrast."""
    measures = Measures(truth)
    grid = grid_of(measures, "natural")
    effects = []
    for claim in claims:
        contrast = contrast_of(claim, grid)
        if contrast is None:
            raise ValueError(f"{claim.name}: the simulated grid cannot test it")
        effects.append(float(coefficients(measures, contrast) @ measures.values(claim.metric)))
    return effects
