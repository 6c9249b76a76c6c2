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

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.catalogue import MEASURES
from analysis.statistics.chance import Chance
from analysis.statistics.estimate import Estimate, together
from analysis.statistics.measures import Measures
from analysis.statistics.paired import (
    Blocks,
    Reals,
    blocks_of,
    coefficients,
    per_cell,
    planned_rows,
    weights_across,
)
from analysis.statistics.seeds import SeedsPart, between_counts, between_runs, between_seeds
from analysis.statistics.terms import Contrast

LEVEL = 0.95
POWER = 0.80


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


def _estimate(measures: Measures, contrast: Contrast) -> Estimate | None:
    """`estimate` on one reading of the cells."""
    blocks = blocks_of(measures, contrast)
    weights = weights_across(measures, contrast, blocks.names)
    if weights is None:
        return None
    each = blocks.each(weights)
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
        networks_alone=blocks.alone,
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
    by_network = np.bincount(network, weights=each)
    cells = np.multiply.outer(by_network, contrast.weights)
    up, down = float(cells[cells > 0].sum()), float(cells[cells < 0].sum())
    bottom = float("-inf") if measure.low is None else measure.low
    top = float("inf") if measure.high is None else measure.high
    low = up * bottom + (down * top if down else 0.0)
    high = (up * top if up else 0.0) + down * bottom
    return (max(low, -1.0), min(high, 1.0)) if measure.area else (low, high)


def _seeds_part(
    measures: Measures, contrast: Contrast, blocks: Blocks, each: Reals, shared: Reals | None
) -> SeedsPart:
    several = np.bincount(blocks.network).max() > 1
    part = between_seeds(blocks.values, each, blocks.network, blocks.seed, shared) if several else None
    if contrast.replicate == "seed" and part is not None:
        return part
    cells = per_cell(measures, contrast, blocks, each)
    if contrast.replicate == "seed":
        return between_runs(measures, contrast.metric, cells)
    counts = between_counts(measures, contrast.metric, cells)
    return part if part is not None and part.variance > counts.variance else counts


def _patient_covariance(measures: Measures, contrast: Contrast, blocks: Blocks) -> Reals | None:
    """Covariance of the blocks' sums over patients [B, B]; None where some cell has no predictions."""
    covariance = measures.covariance.get(contrast.metric)
    if covariance is None:
        return None
    weights = contrast.weights
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
