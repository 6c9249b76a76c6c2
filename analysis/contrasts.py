"""A contrast between cells of the grid, estimated with both sources of uncertainty: seeds and patients.

**What is compared.** Within every network and seed, a weighted sum over cells (`terms`): paired, since those
cells share the seed and the test patients. Over the networks, a weighted sum of those (`across`): their mean,
their slope on log depth or log parameters, or one group of networks minus the others.

**Patients.** Influences (`analysis.areas`) are summed with the same weights; patients are the same for all
cells, so what they share cancels.

**Seeds.** A seed number gives other weights and another order in another network, so networks are independent
replicates. Their variance is that of the paired differences between seeds, less the part of it that patients
already explain. Its degrees of freedom are Satterthwaite's.

**One seed.** The between-seed part is then unknown. Where several networks are averaged or compared, their
spread around the fitted mean, slope or group means stands in for it (`networks`): that spread holds the seeds'
part and the true differences between networks, so that the interval is too wide rather than too narrow. Where a
single network is concerned nothing can stand in (`unknown`): the interval is that of the patients alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.areas import patient_variance
from analysis.measures import Condition, Measures

Across = Literal["mean", "log2_depth", "log10_parameters", "difference"]
SeedPart = Literal["measured", "networks", "unknown"]
Reals: TypeAlias = NDArray[np.float64]

LEVEL = 0.95
POWER = 0.80


@dataclass(frozen=True, slots=True)
class Term:
    """One cell's weight in the sum within every network and seed."""

    weight: float
    train_images: int
    init: str = "random"
    freeze: str = "none"
    balance: str = "natural"


@dataclass(frozen=True, slots=True)
class Contrast:
    """What is to be estimated.

    Attributes:
        name: unique; the row in the table `estimates`.
        metric: a measure of `analysis.measures`.
        terms: the sum within every network and seed.
        unit: of the estimate.
        across: how networks are put together.
        architectures: the networks; empty for all of the grid.
        group: for `difference`, the networks whose mean is compared with that of the others.
    """

    name: str
    metric: str
    terms: tuple[Term, ...]
    unit: str
    across: Across = "mean"
    architectures: tuple[str, ...] = ()
    group: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its interval; NaN where undefined. Fields as in `analysis.schema.ESTIMATES`."""

    estimate: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    seed_part: SeedPart
    smallest_effect: float
    seeds: int
    patients: int | None
    positives: int | None
    cells: int
    cells_missing: int


@dataclass(frozen=True, slots=True)
class _Network:
    """One network's paired sums: one value per seed [S], and their influences [S, P] where patients count."""

    name: str
    values: Reals
    influence: Reals | None


@dataclass(frozen=True, slots=True)
class _SeedsPart:
    """Variance between seeds beyond the patients'; `doubt` is its own variance's half, by chi-square."""

    source: SeedPart
    variance: float
    doubt: float


def estimate(measures: Measures, contrast: Contrast) -> Estimate | None:
    """Estimate `contrast`; None if too few networks have all the cells that it needs."""
    networks, seeds, cells, missing = _networks(measures, contrast)
    names = [network.name for network in networks]
    design = _design(measures, contrast, names)
    if design is None:
        return None
    fit, row = design
    weights = np.linalg.pinv(fit)[row]
    means = np.array([network.values.mean() for network in networks])
    value = float(weights @ means)

    patient_part = 0.0
    patients = measures.patients.get(contrast.metric)
    if patients is not None:
        influences = [n.influence.mean(axis=0) if n.influence is not None else None for n in networks]
        if all(i is not None for i in influences):
            total = weights @ np.array(influences)
            patient_part = patient_variance(total)
        else:
            patients, patient_part = None, float("nan")

    seeds_part = _seeds_part(networks, weights, fit, means)
    if seeds_part.source == "unknown" and patients is None:
        patient_part = float("nan")
    variance = patient_part + seeds_part.variance
    doubt = seeds_part.doubt + (patient_part**2 / (patients - 1) if patients and patients > 1 else 0.0)
    freedom = variance**2 / doubt if doubt > 0 else float("inf")
    error = float(np.sqrt(variance))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Estimate(
        estimate=value,
        low=value - reach,
        high=value + reach,
        standard_error=error,
        degrees_of_freedom=freedom,
        seed_part=seeds_part.source,
        smallest_effect=reach + float(stats.t.ppf(POWER, freedom)) * error,
        seeds=seeds,
        patients=patients,
        positives=measures.positives.get(contrast.metric) if patients is not None else None,
        cells=cells,
        cells_missing=missing,
    )


def _networks(measures: Measures, contrast: Contrast) -> tuple[list[_Network], int, int, int]:
    """The networks with at least one seed that has every term; distinct seeds, cells used, cells missing."""
    rows = measures.rows
    values = measures.cells[contrast.metric].to_numpy(float)
    influence = measures.influence.get(contrast.metric)
    planned = measures.cells["seed"].unique()
    weights = np.array([term.weight for term in contrast.terms])
    networks, used, cells, missing = [], set(), 0, 0
    for name in contrast.architectures or tuple(dict.fromkeys(measures.cells["architecture"])):
        blocks = []
        for seed in planned:
            wanted = [rows.get((_condition(name, term), seed)) for term in contrast.terms]
            there = [row for row in wanted if row is not None and np.isfinite(values[row])]
            missing += len(wanted) - len(there)
            if len(there) == len(wanted):
                blocks.append(there)
                used.add(seed)
        if blocks:
            table = np.array(blocks)
            cells += table.size
            moved = None
            if influence is not None:
                moved = np.array([weights @ influence[block] for block in table])
                moved = moved if np.isfinite(moved).all() else None
            networks.append(_Network(name, values[table] @ weights, moved))
    return networks, len(used), cells, missing


def _condition(architecture: str, term: Term) -> Condition:
    return (architecture, term.train_images, term.init, term.freeze, term.balance)


def _design(measures: Measures, contrast: Contrast, names: list[str]) -> tuple[Reals, int] | None:
    """The least-squares design over networks [A, p] and which of its coefficients is asked for."""
    ones = np.ones(len(names))
    if contrast.across == "mean":
        return (ones[:, None], 0) if names else None
    if contrast.across == "difference":
        column = np.array([float(name in contrast.group) for name in names])
    else:
        network = (
            measures.cells.dropna(subset=["architecture"])
            .drop_duplicates("architecture")
            .set_index("architecture")
        )
        measure, log = ("depth", np.log2) if contrast.across == "log2_depth" else ("parameters", np.log10)
        column = log(network.loc[names, measure].to_numpy(float))
    if len(names) < 2 or not np.isfinite(column).all() or np.ptp(column) == 0:
        return None
    return np.column_stack([ones, column]), 1


def _seeds_part(networks: list[_Network], weights: Reals, fit: Reals, means: Reals) -> _SeedsPart:
    if any(len(network.values) > 1 for network in networks):
        return _between_seeds(networks, weights)
    left = len(networks) - fit.shape[1]
    if left < 2:
        return _SeedsPart("unknown", 0.0, 0.0)
    keep = np.eye(len(networks)) - fit @ np.linalg.pinv(fit)
    residual = keep @ means
    explained = _explained(keep @ _stack([n.influence for n in networks]))
    scale = float(weights @ weights) / left
    raw = scale * float(residual @ residual)
    return _SeedsPart("networks", max(raw - scale * explained, 0.0), raw**2 / left)


def _between_seeds(networks: list[_Network], weights: Reals) -> _SeedsPart:
    """From the paired differences between seeds; a network with one seed takes the mean variance of the others."""
    count = np.array([len(n.values) for n in networks])
    several = count > 1
    spread, explained = np.empty(len(networks)), np.empty(len(networks))
    for k, network in enumerate(networks):
        if several[k]:
            spread[k] = network.values.var(ddof=1)
            moved = _stack([network.influence])
            explained[k] = _explained(moved - moved.mean(axis=0)) / (count[k] - 1)
    spread[~several], explained[~several] = spread[several].mean(), explained[several].mean()
    share = weights**2 / count
    doubt = ((share * spread)[several] ** 2 / (count[several] - 1)).sum()
    return _SeedsPart("measured", float(max((share * (spread - explained)).sum(), 0.0)), float(doubt))


def _stack(influences: list[Reals | None]) -> Reals:
    """Influences below each other [rows, P]; a single column of zeros where there are no patients."""
    known = [i for i in influences if i is not None]
    return np.vstack(known) if len(known) == len(influences) else np.zeros((len(influences), 1))


def _explained(influences: Reals) -> float:
    """The part of a sum of squares that patients explain, from influences centred as the values are [rows, P]."""
    return sum(patient_variance(row) for row in influences) if influences.shape[1] > 1 else 0.0
