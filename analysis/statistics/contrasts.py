"""A contrast between cells of the grid, estimated with both sources of uncertainty: seeds and patients.

**What is compared.** Within every network and seed, a weighted sum over cells (`terms`): paired, since those
cells share the seed and the test patients. Over the networks, a weighted sum of those (`across`): their mean,
their slope on log depth or log parameters, or one group of networks minus the others.

**Patients.** The covariance of all cells over the same test patients (`analysis.statistics.areas`), summed
with the same weights: what cells share cancels.

**Seeds.** `analysis.statistics.seeds`: measured between seeds, each with all of its networks as one block; or
with a single seed described by the scatter of single runs around smooth learning curves; or unknown. How
both add up: `analysis.statistics.chance`; for a single seed, that no verdict rests on, by Satterthwaite's
degrees of freedom (1946) with Welch's correction (1947).

**Doubtful cells.** Where a cell failed or collapsed to chance the contrast is estimated twice, without such
cells and with them at their worst (`Measures.readings`), and the interval spans both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.catalogue import MEASURES
from analysis.statistics.chance import Chance
from analysis.statistics.measures import Measures
from analysis.statistics.seeds import SeedPart, SeedsPart, between_counts, between_runs, between_seeds
from analysis.tables.conditions import DEFAULTS, Condition, condition

Across = Literal["mean", "log2_depth", "log10_parameters", "difference"]
Replicate = Literal["seed", "count"]
Reals: TypeAlias = NDArray[np.float64]

LEVEL = 0.95
POWER = 0.80


@dataclass(frozen=True, slots=True)
class Term:
    """One cell's weight in the sum within every network and seed.

    Attributes:
        further: (axis, value) of every axis of `schema.AXES` that is neither named here nor at
            its default.
    """

    weight: float
    train_images: int
    init: str = "random"
    freeze: str = "none"
    balance: str = "natural"
    further: tuple[tuple[str, Hashable], ...] = ()

    @classmethod
    def in_condition(cls, axes: Mapping[str, Any], weight: float = 1.0) -> Term:
        """The term of the condition with these values, whatever its network."""
        named = ("architecture", "train_images", "init", "freeze", "balance")
        further = tuple(
            (axis, value) for axis, value in axes.items() if axis not in named and value != DEFAULTS.get(axis)
        )
        return cls(weight, axes["train_images"], axes["init"], axes["freeze"], axes["balance"], further)

    def of(self, architecture: str) -> Condition:
        """The condition of this term in one network."""
        return condition(
            architecture=architecture,
            train_images=self.train_images,
            init=self.init,
            freeze=self.freeze,
            balance=self.balance,
            **dict(self.further),
        )


@dataclass(frozen=True, slots=True)
class Contrast:
    """What is to be estimated.

    Attributes:
        name: unique; the row in the table `estimates`.
        metric: a measure of `analysis.statistics.measures`.
        terms: the sum within every network and seed.
        unit: of the estimate.
        across: how networks are put together; `log2_depth` and `log10_parameters` give the fitted difference
            from the smallest to the largest of the networks that take part.
        architectures: the networks; empty for all of the grid.
        group: for `difference`, the networks whose mean is compared with that of the others.
        replicate: how the between-seed part is found: from a network's paired sums, seed by seed, or for
            counts of rare events from every run's scatter, which grows with the mean.
    """

    name: str
    metric: str
    terms: tuple[Term, ...]
    unit: str
    across: Across = "mean"
    architectures: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    replicate: Replicate = "seed"


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its interval; NaN where undefined. Fields as in `analysis.tables.schema.ESTIMATES`.

    Attributes:
        patient_variance: the part of the squared standard error that more patients would lower.
        doubtful: cells that failed or collapsed among those that the contrast asks for.
        degrees_of_freedom: of the t distribution behind the 95 % interval; tests go by `chance`.
        chance: the parts of the squared standard error.
        networks_missing: networks that were planned with all of its cells and have not all of them once.
    """

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
    patient_variance: float = 0.0
    doubtful: int = 0
    networks_missing: tuple[str, ...] = ()
    chance: Chance | None = None

    def upper_tail(self, distance: float) -> float:
        """How likely chance alone moves the estimate up by `distance`; NaN if that is undefined."""
        return self._chance.upper_tail(distance) if self.standard_error > 0 else float("nan")

    def quantile(self, tail: float) -> float:
        """The distance that chance alone exceeds with the probability `tail`; NaN if that is undefined."""
        return self._chance.quantile(tail) if self.standard_error > 0 else float("nan")

    @property
    def _chance(self) -> Chance:
        return self.chance or Chance(self.standard_error**2, self.degrees_of_freedom)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The paired sums of all networks, one per network and seed that has every term.

    Attributes:
        network: position of each block's network in `names` [B].
        seed: position of each block's seed [B].
        rows: the cells of each block, in the order of the terms [B, K].
        values: the sum of each block [B].
        seeds, cells, missing: distinct seeds, cells used, cells that are not there.
    """

    names: list[str]
    network: NDArray[np.intp]
    seed: NDArray[np.intp]
    rows: NDArray[np.intp]
    values: Reals
    seeds: int
    missing: int
    networks_missing: tuple[str, ...]


def estimate(measures: Measures, contrast: Contrast) -> Estimate | None:
    """Estimate `contrast`; None if too few networks have all the cells that it needs."""
    return together(estimates(measures, contrast))


def estimates(measures: Measures, contrast: Contrast) -> tuple[Estimate, ...]:
    """One estimate, or where doubtful cells take part two: without them, and with them at their worst.

    None at all if too few networks have all the cells that `contrast` needs.
    """
    rows = planned_rows(measures, contrast)
    doubtful = int(measures.doubtful[rows[rows >= 0]].sum())
    readings = measures.readings(contrast.metric) if doubtful else (measures,)
    found = [_estimate(reading, contrast) for reading in readings]
    if any(one is None for one in found):
        return ()
    return tuple(dataclasses.replace(one, doubtful=doubtful) for one in found if one is not None)


def estimate_as_it_is(measures: Measures, contrast: Contrast) -> Estimate | None:
    """`contrast` with collapsed cells as they ended; None where a cell has no result."""
    rows = planned_rows(measures, contrast)
    doubtful = int(measures.doubtful[rows[rows >= 0]].sum())
    found = _estimate(measures, contrast)
    return None if found is None else dataclasses.replace(found, doubtful=doubtful)


def together(found: tuple[Estimate, ...]) -> Estimate | None:
    """One estimate with an interval that spans all; None without any.

    The point estimate is that of the runs that ended as training should; it never stands by itself.
    """
    if len(found) < 2:
        return found[0] if found else None
    first = found[0]
    unknown = next((one.seed_part for one in found if one.seed_part == "unknown"), first.seed_part)
    return dataclasses.replace(
        first,
        low=min(one.low for one in found) if all(np.isfinite(one.low) for one in found) else float("nan"),
        high=max(one.high for one in found) if all(np.isfinite(one.high) for one in found) else float("nan"),
        standard_error=max(one.standard_error for one in found),
        degrees_of_freedom=min(one.degrees_of_freedom for one in found),
        chance=max(found, key=lambda one: one.standard_error).chance,
        seed_part=unknown,
        smallest_effect=max(one.smallest_effect for one in found),
        networks_missing=tuple(dict.fromkeys(name for one in found for name in one.networks_missing)),
    )


def _estimate(measures: Measures, contrast: Contrast) -> Estimate | None:
    """`estimate` on one reading of the cells."""
    blocks = _blocks(measures, contrast)
    weights = _network_weights(measures, contrast, blocks.names)
    if weights is None:
        return None
    each = weights[blocks.network] / np.bincount(blocks.network)[blocks.network]
    value = float(each @ blocks.values)

    shared = _patient_covariance(measures, contrast, blocks)
    patients = measures.patients.get(contrast.metric) if shared is not None else None
    patient_part = float(each @ shared @ each) if shared is not None else 0.0
    seeds_part = _seeds_part(measures, contrast, blocks, each, shared)
    if contrast.metric in measures.patients and shared is None:
        patient_part = float("nan")
    if seeds_part.source == "unknown" and patients is None:
        patient_part = float("nan")
    chance = _chance(patient_part, measures.freedom.get(contrast.metric, (patients or 1) - 1), seeds_part)
    error = float(np.sqrt(chance.variance))
    undefined = not error > 0
    freedom = float("inf") if undefined else chance.freedom((1 - LEVEL) / 2)
    reach = error if undefined else chance.quantile((1 - LEVEL) / 2)
    low, high = limits(contrast, each, blocks.network)
    smallest = reach if undefined else reach + chance.quantile(1 - POWER)
    ends = max(value - reach, low), min(value + reach, high)
    if ends == (low, high):
        ends = float("nan"), float("nan")
    return Estimate(
        estimate=value,
        low=ends[0],
        high=ends[1],
        standard_error=error,
        degrees_of_freedom=freedom,
        seed_part=seeds_part.source,
        smallest_effect=smallest if smallest <= max(-low, high) else float("nan"),
        seeds=blocks.seeds,
        patients=patients,
        positives=measures.positives.get(contrast.metric) if patients is not None else None,
        cells=blocks.rows.size,
        cells_missing=blocks.missing,
        patient_variance=patient_part,
        chance=chance,
        networks_missing=blocks.networks_missing,
    )


def _chance(patient_part: float, patients_freedom: float, seeds: SeedsPart) -> Chance:
    """Parts of an estimate's variance: what patients alone explain of all seeds, and what differs between
    seeds."""
    if seeds.source == "measured":
        common = patient_part - seeds.explained
        common = max(common, 0.0) if np.isfinite(common) else common
        return Chance(common, patients_freedom, seeds.raw, min(seeds.explained, patient_part), seeds.freedom)
    variance = patient_part + seeds.variance
    denominator = seeds.denominator + patient_part**2 / (patients_freedom + 2)
    return Chance(variance, max(variance**2 / denominator - 2, 1.0) if denominator > 0 else float("inf"))


def limits(contrast: Contrast, each: Reals, network: NDArray[np.intp]) -> tuple[float, float]:
    """Between what ends a contrast can be: an AUROC in [0, 1], a difference of two in [-1, 1], a loss >= 0.

    Args:
        each: weight of every block [B].
        network: the network of every block [B].
    """
    measure = MEASURES[contrast.metric]
    terms = np.array([term.weight for term in contrast.terms])
    by_network = np.bincount(network, weights=each)
    cells = np.multiply.outer(by_network, terms)
    up, down = float(cells[cells > 0].sum()), float(cells[cells < 0].sum())
    bottom = float("-inf") if measure.low is None else measure.low
    top = float("inf") if measure.high is None else measure.high
    low = up * bottom + (down * top if down else 0.0)
    high = (up * top if up else 0.0) + down * bottom
    return (max(low, -1.0), min(high, 1.0)) if measure.area else (low, high)


def coefficients(measures: Measures, contrast: Contrast) -> Reals:
    """The weight of every cell [cells] in the estimate: `coefficients @ values` is the point estimate.

    Raises:
        ValueError: too few networks have all the cells that the contrast needs.
    """
    blocks = _blocks(measures, contrast)
    weights = _network_weights(measures, contrast, blocks.names)
    if weights is None:
        raise ValueError(f"{contrast.name}: too few networks have all of its cells")
    return _per_cell(measures, contrast, blocks, weights)


def _per_cell(measures: Measures, contrast: Contrast, blocks: _Blocks, weights: Reals) -> Reals:
    each = weights[blocks.network] / np.bincount(blocks.network)[blocks.network]
    total = np.zeros(len(measures.cells))
    np.add.at(total, blocks.rows, each[:, None] * np.array([term.weight for term in contrast.terms]))
    return total


def network_weights(measures: Measures, contrast: Contrast) -> dict[str, float]:
    """The weight of every network that takes part; empty if there are too few."""
    names = _blocks(measures, contrast).names
    weights = _network_weights(measures, contrast, names)
    return {} if weights is None else dict(zip(names, weights.tolist(), strict=True))


def _seeds_part(
    measures: Measures, contrast: Contrast, blocks: _Blocks, each: Reals, shared: Reals | None
) -> SeedsPart:
    several = np.bincount(blocks.network).max() > 1
    part = between_seeds(blocks.values, each, blocks.network, blocks.seed, shared) if several else None
    if contrast.replicate == "seed" and part is not None:
        return part
    cells = np.zeros(len(measures.cells))
    np.add.at(cells, blocks.rows, each[:, None] * np.array([term.weight for term in contrast.terms]))
    if contrast.replicate == "seed":
        return between_runs(measures, contrast.metric, cells)
    counts = between_counts(measures, contrast.metric, cells)
    return part if part is not None and part.variance > counts.variance else counts


def _blocks(measures: Measures, contrast: Contrast) -> _Blocks:
    if contrast not in measures.blocks:
        measures.blocks[contrast] = _find_blocks(measures, contrast)
    found: _Blocks = measures.blocks[contrast]
    return found


def _find_blocks(measures: Measures, contrast: Contrast) -> _Blocks:
    wanted = planned_rows(measures, contrast)
    values = measures.values(contrast.metric)
    there: NDArray[np.bool_] = (wanted >= 0) & np.isfinite(values[wanted])
    complete: NDArray[np.bool_] = np.all(there, axis=2)
    has_block: NDArray[np.bool_] = np.any(complete, axis=1)
    lacking: NDArray[np.bool_] = np.any(np.all(wanted >= 0, axis=2), axis=1) & ~has_block
    names = contrast.architectures or measures.architectures
    network, seed = np.nonzero(complete)
    rows = wanted[network, seed]
    return _Blocks(
        names=[name for name, has in zip(names, has_block, strict=True) if has],
        network=(np.cumsum(has_block) - 1)[network],
        seed=seed,
        rows=rows,
        values=values[rows] @ np.array([term.weight for term in contrast.terms]),
        seeds=len(np.unique(seed)),
        missing=int((~there).sum()),
        networks_missing=tuple(name for name, lacks in zip(names, lacking, strict=True) if lacks),
    )


def planned_rows(measures: Measures, contrast: Contrast) -> NDArray[np.intp]:
    """The row of every cell that `contrast` asks for, -1 where none is planned [networks, seeds, terms]."""
    if contrast not in measures.planned_rows:
        names = contrast.architectures or measures.architectures
        conditions = [[term.of(name) for term in contrast.terms] for name in names]
        measures.planned_rows[contrast] = np.array(
            [
                [[measures.rows.get((one, seed), -1) for one in network] for seed in measures.seeds]
                for network in conditions
            ],
            dtype=np.intp,
        ).reshape(len(names), len(measures.seeds), len(contrast.terms))
    return measures.planned_rows[contrast]


def absent(measures: Measures, contrast: Contrast) -> tuple[int, str]:
    """Of a contrast without an estimate: how many of its cells are not there, and why, in words."""
    blocks = _blocks(measures, contrast)
    names = contrast.architectures or measures.architectures
    unplanned = {
        term: [name for name in names if not _planned(measures, name, term)] for term in contrast.terms
    }
    if any(len(lacking) == len(names) for lacking in unplanned.values()):
        return blocks.missing, "the grid plans no cells of one kind that it compares"
    if contrast.across == "difference" and len({name in contrast.group for name in names}) == 1:
        return blocks.missing, "the grid has no network of one of the two groups that it compares"
    if blocks.names and contrast.across in ("log2_depth", "log10_parameters"):
        return (
            blocks.missing,
            "fewer than two networks of different, known size have all of the cells that it asks for",
        )
    planned = planned_rows(measures, contrast)
    cells = measures.cells.iloc[np.unique(planned[planned >= 0])]
    done = cells["status"] == "done"
    if undefined := int((done & cells[contrast.metric].isna()).sum()):
        why = "of its cells have finished without this measure (too few steps or images for it)"
        return blocks.missing, f"{undefined:,} {why}"
    if done.all():
        return blocks.missing, "the grid plans some of the cells that it compares only"
    return blocks.missing, f"{int((~done).sum()):,} of the cells that it asks for have not finished"


def _planned(measures: Measures, architecture: str, term: Term) -> bool:
    return any((term.of(architecture), seed) in measures.rows for seed in measures.seeds)


def _network_weights(measures: Measures, contrast: Contrast, names: list[str]) -> Reals | None:
    """The least-squares weight of every network [A]; None if there are too few of them."""
    key = contrast.across, contrast.group, tuple(names)
    if key not in measures.network_weights:
        measures.network_weights[key] = _least_squares(measures, contrast, names)
    return measures.network_weights[key]


def _least_squares(measures: Measures, contrast: Contrast, names: list[str]) -> Reals | None:
    if not names:
        return None
    if contrast.across == "mean":
        return np.full(len(names), 1 / len(names))
    scale = 1.0
    if contrast.across == "difference":
        column = np.array([float(name in contrast.group) for name in names])
    else:
        measure, log = ("depth", np.log2) if contrast.across == "log2_depth" else ("parameters", np.log10)
        network = measures.networks[measure]
        column = log(network.reindex(names).to_numpy(float))
        scale = float(column.max() - column.min())
    centred = column - column.mean()
    spread = float(centred @ centred)
    return scale * centred / spread if np.isfinite(spread) and spread > 0 else None


def _patient_covariance(measures: Measures, contrast: Contrast, blocks: _Blocks) -> Reals | None:
    """Covariance of the blocks' sums over patients [B, B]; None where some cell has no predictions."""
    covariance = measures.covariance.get(contrast.metric)
    if covariance is None:
        return None
    weights = np.array([term.weight for term in contrast.terms])
    flat, count, terms = blocks.rows.ravel(), len(blocks.rows), len(weights)
    by_block = covariance[flat[:, None], flat].reshape(-1, terms) @ weights
    shared = weights @ by_block.reshape(count, terms, count)
    return shared if np.isfinite(shared).all() else None


def joint(measures: Measures, contrasts: list[Contrast]) -> tuple[Reals, Reals] | None:
    """Estimates [K] of several contrasts with their joint covariance [K, K]; None if one cannot be estimated.

    The covariance over patients is exact; the between-seed parts are taken as independent of each other.
    """
    found = [estimate(measures, contrast) for contrast in contrasts]
    if not found or any(f is None or not np.isfinite(f.standard_error) for f in found):
        return None
    metric = contrasts[0].metric
    weights = np.array([coefficients(measures, contrast) for contrast in contrasts])
    own = np.array([f.standard_error**2 for f in found if f is not None])
    if metric not in measures.covariance:
        return np.array([f.estimate for f in found if f is not None]), np.diag(own)
    used = np.flatnonzero(weights.any(axis=0))
    patients = weights[:, used] @ measures.covariance[metric][np.ix_(used, used)] @ weights[:, used].T
    covariance = patients + np.diag(own - np.diag(patients))
    return np.array([f.estimate for f in found if f is not None]), covariance
