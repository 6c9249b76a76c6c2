"""Power before price: how likely a planned grid reaches the right verdicts, and the cheapest that does.

Nothing is approximated: grids of the planned design are simulated with effects of 0, 1 and 2 margins and
judged by the code that will judge the real one. What is assumed are the variances, and `Variances.source`
says where they come from: finished cells, a pilot, or stated priors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from analysis.calibration.cases import add_up, plant_in
from analysis.calibration.costs import gpu_hours, upstream_hours
from analysis.calibration.rates import clopper_pearson
from analysis.calibration.settings import CHEXPERT, Setting
from analysis.calibration.truth import plan, simulated_claims
from analysis.calibration.worlds import UPSTREAM_SHARE, Luck, Shares, World
from analysis.names import IN_DOMAIN
from analysis.statistics.measures import Measures

Source = Literal["priors", "finished cells", "pilot"]
EFFECTS = (0.0, 1.0, 2.0)
SCRATCH = "random none"
HOPELESS = 12
FEWEST = 4
"""Differences between seeds below which an arm says nothing of its own scatter."""


@dataclass(frozen=True, slots=True)
class Variances:
    """How runs scatter, and where that is known from.

    Attributes:
        auroc: standard deviation between seeds by arm (`init freeze`), beyond what patients explain.
        loss: the same of the training loss from scratch, nats.
        over_sizes: share of the variance that all sizes of a network, arm and seed have in common, by arm.
        over_networks: share of that, and of the rest, that all networks of a seed have in common.
        spikes: per run.
        prior: arms whose scatter is the prior's, since the cells say too little of it.
    """

    source: Source
    auroc: Shares
    loss: float
    over_sizes: Shares
    over_networks: tuple[float, float] = (0.0, 0.0)
    spikes: float = 2.0
    prior: tuple[str, ...] = ()


PRIORS = Variances(
    "priors",
    {"random none": 0.004, "natural none": 0.004, "natural backbone": 0.004, f"{IN_DOMAIN} none": 0.004},
    0.01,
    UPSTREAM_SHARE,
)
"""For sets of CheXpert's size: published deviations over fine-tuning seeds are 0.0004 to 0.0024 AUROC at full
size and 0.009 to 0.022 at ten images per class (Cherti and Jitsev 2021); shares are those of real seeds of
three networks of the CBR family on the phantom."""

DEMO_PRIORS = Variances(
    "priors",
    {"random none": 0.04, "natural none": 0.06, "natural backbone": 0.11, f"{IN_DOMAIN} none": 0.05},
    0.08,
    UPSTREAM_SHARE,
)
"""For the embedded data: the middle of what real seeds of the CBR family showed."""


def variances_of(measures: Measures, source: Source, prior: Variances = PRIORS) -> Variances:
    """The scatter of cells that have finished, arm by arm; the prior's where there are too few seeds.

    Runs that failed or ended at chance, and those on balanced classes, are left out.
    """
    cells = measures.cells
    plain = cells["balance"].fillna("natural").eq("natural") if "balance" in cells else True
    cells = cells[~measures.doubtful & plain]
    arm = cells["init"] + " " + cells["freeze"]
    covariance = measures.covariance.get("test_auroc")
    auroc, over_sizes = dict(prior.auroc), dict(prior.over_sizes)
    lacking: list[str] = []
    for name in arm.unique():
        mine = cells[(arm == name).to_numpy()]
        found = _between_seeds(mine, "test_auroc", covariance)
        if found is None:
            lacking.append(str(name))
        else:
            auroc[name] = float(np.sqrt(max(found[0], 0.0)))
            over_sizes[name] = found[2]
    loss = _between_seeds(cells[(arm == SCRATCH).to_numpy()], "train_loss", None)
    loss_sd = prior.loss if loss is None else float(np.sqrt(max(loss[0], 0.0)))
    known = cells["spikes"].mean() if "spikes" in cells else np.nan
    spikes = float(known) if np.isfinite(known) else prior.spikes
    return Variances(source, auroc, loss_sd, over_sizes, prior.over_networks, spikes, tuple(lacking))


def _between_seeds(
    cells: pd.DataFrame, metric: str, covariance: np.ndarray | None
) -> tuple[float, int, float] | None:
    """Variance of a run of these conditions beyond patients, its degrees of freedom, the share over sizes."""
    known = cells[np.isfinite(cells[metric].to_numpy(float))]
    groups = known.groupby(["architecture", "train_images"])
    size = groups["seed"].transform("size")
    known = known[(size > 1).to_numpy()]
    freedom = len(known) - known.groupby(["architecture", "train_images"]).ngroups
    if freedom < FEWEST:
        return None
    deviation = known[metric] - known.groupby(["architecture", "train_images"])[metric].transform("mean")
    total = float((deviation**2).sum())
    explained = 0.0
    if covariance is not None:
        for _, rows in known.groupby(["architecture", "train_images"]):
            own = covariance[np.ix_(rows.index, rows.index)]
            explained += float(np.trace(own) - own.sum() / len(own))
    variance = (total - explained) / freedom
    wide = known.assign(deviation=deviation).pivot_table(
        index=["architecture", "seed"], columns="train_images", values="deviation"
    )
    products = [
        (wide[a] * wide[b]).dropna() for k, a in enumerate(wide.columns) for b in wide.columns[k + 1 :]
    ]
    pairs = pd.concat(products) if products else pd.Series(dtype=float)
    seeds = known.groupby(["architecture", "train_images"]).size().mean()
    common = float(pairs.mean() * seeds / (seeds - 1)) if len(pairs) else 0.0
    share = min(max(common / variance, 0.0), 1.0) if variance > 0 else 0.0
    return variance, freedom, share


def forecast(
    setting: Setting,
    variances: Variances = PRIORS,
    effects: Sequence[float] = EFFECTS,
    grids: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """How likely each claim's and conjecture's verdict is right, with the planned seeds and patients.

    Args:
        setting: networks, arms, sizes, seeds, test patients, images, prevalence and margins of the plan.
        effects: in margins.
        grids: simulated for each effect; about 20 ms of a core each at 336 cells.

    Returns:
        A row per effect and claim or conjecture: `effect`, `claim`, `kind`, `right` with its exact 95 %
        interval `right_low`, `right_high`, `wrong`, `grids`, and `source` of the variances.
    """
    planned, world = _as_simulated(setting, variances)
    parts = []
    with threadpool_limits(1):  # matrices are small: threads would wait for each other
        for effect in effects:
            it = plant_in(planned, world, effect, np.random.default_rng([seed, 1]))
            sums = add_up(it, seed, range(grids))
            parts.append(sums[sums["kind"] != "any"].assign(effect=effect))
    table = pd.concat(parts, ignore_index=True)
    right, count = table["right"].to_numpy(float), table["grids"].to_numpy(float)
    low, high = clopper_pearson(right, count, 0.95)
    return pd.DataFrame(
        {
            "effect": table["effect"],
            "claim": table["claim"],
            "kind": table["kind"],
            "right": right / count,
            "right_low": low,
            "right_high": high,
            "wrong": table["wrong"] / count,
            "grids": table["grids"].astype(int),
            "source": variances.source,
        }
    )


def _as_simulated(setting: Setting, variances: Variances) -> tuple[Setting, World]:
    """The setting and the world that have these variances."""
    scale = variances.auroc.get(SCRATCH, CHEXPERT.auroc_sd) or CHEXPERT.auroc_sd
    multiples = {arm: sd / scale for arm, sd in variances.auroc.items()}
    luck = Luck(variances.over_sizes, variances.over_networks, by_arm=multiples)
    planned = replace(setting, auroc_sd=scale, loss_sd=variances.loss, spikes=variances.spikes)
    return planned, World("as planned", f"variances from {variances.source}", (), luck)


def hours_of(setting: Setting) -> float:
    """GPU-hours of a plan, upstream networks included."""
    cells = plan(setting)
    return float(gpu_hours(cells).sum()) + upstream_hours(cells)


@dataclass(frozen=True, slots=True)
class Option:
    """A design, what it costs, and the lowest power over the chosen conjectures and effects."""

    setting: Setting
    hours: float
    power: float


def cheapest(
    designs: Iterable[Setting],
    conjectures: Sequence[int],
    variances: Variances = PRIORS,
    *,
    target: float = 0.8,
    grids: int = 60,
    hopeless: int = HOPELESS,
    hours: Callable[[Setting], float] = hours_of,
) -> tuple[Option | None, list[Option]]:
    """The cheapest design that decides the chosen conjectures rightly with the target, at 0 and at 2 margins.

    Args:
        designs: to choose from, for example `designs_of`.
        hopeless: a design that is right in half of so many grids or fewer is not simulated further.

    Returns:
        The design, or None if none will do, and all that were simulated, in order of their cost.
    """
    tried = []
    for setting in sorted(designs, key=hours):
        lowest = _lowest(setting, conjectures, variances, min(hopeless, grids))
        if lowest > 0.5 and grids > hopeless:
            lowest = _lowest(setting, conjectures, variances, grids)
        tried.append(Option(setting, hours(setting), lowest))
        if tried[-1].power >= target:
            return tried[-1], tried
    return None, tried


def _lowest(setting: Setting, conjectures: Sequence[int], variances: Variances, grids: int) -> float:
    """The lowest power over these conjectures at 0 and 2 margins; 0 where the design lacks one's cells."""
    if not {claim.conjecture for claim in simulated_claims(setting) if claim.needed} >= set(conjectures):
        return 0.0
    table = forecast(setting, variances, (0.0, 2.0), grids)
    return float(table[table["claim"].isin([f"conjecture {k}" for k in conjectures])]["right"].min())


def designs_of(
    setting: Setting,
    seeds: Sequence[int] = (2, 3, 4, 5, 6, 8),
    networks: Sequence[Sequence[str]] = (),
    sizes: Sequence[Sequence[int]] = (),
) -> list[Setting]:
    """Variations of a plan: numbers of seeds, subsets of its networks, subsets of its sizes."""
    return [
        replace(
            setting,
            seeds=count,
            sizes=tuple(some),
            networks={name: setting.networks[name] for name in names},
        )
        for count in seeds
        for names in (networks or (tuple(setting.networks),))
        for some in (sizes or (setting.sizes,))
    ]
