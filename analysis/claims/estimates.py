"""The table `estimates`: the level of every condition and every contrast, on every measure.

Names are traceable: a figure's or a sentence's number is the row of that name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from analysis.claims.conjectures import (
    IN_DOMAIN_FROZEN,
    IN_DOMAIN_GAIN,
    IN_DOMAIN_MINUS_NATURAL,
    NATURAL_FROZEN,
    NATURAL_GAIN,
    SCRATCH,
    Grid,
    Part,
    size_weights,
)
from analysis.statistics.contrasts import Contrast, Estimate, Replicate, Term, estimate, joint
from analysis.statistics.measures import AREAS, CURVES, Measures
from analysis.statistics.power_law import PowerLaw, fit
from analysis.statistics.units import unit
from analysis.tables.schema import ESTIMATES

COMPARISONS: dict[str, tuple[Part, ...]] = {
    "natural minus scratch": NATURAL_GAIN,
    "consolidation minus scratch": IN_DOMAIN_GAIN,
    "consolidation minus natural": IN_DOMAIN_MINUS_NATURAL,
    "natural frozen minus fine-tuned": NATURAL_FROZEN,
    "consolidation frozen minus fine-tuned": IN_DOMAIN_FROZEN,
}
COMPARED = (*AREAS, "train_loss", "convergence_epochs")
COUNTS = ("spikes",)


def levels(measures: Measures) -> Iterator[tuple[Contrast, dict[str, object]]]:
    """Every condition's level of every measure, with the axes that name it."""
    axes = ["architecture", "train_images", "init", "freeze", "balance"]
    for architecture, images, init, freeze, balance in (
        measures.cells[axes].drop_duplicates().itertuples(index=False)
    ):
        term = Term(1.0, images, init, freeze, balance)
        where = {"architecture": architecture, "train_images": images, "init": init, "freeze": freeze}
        suffix = "" if balance == "natural" else f" {balance}"
        for metric in (*AREAS, *CURVES):
            name = f"{metric} of {architecture} {images} {init} {freeze}{suffix}"
            replicate: Replicate = "count" if metric in COUNTS else "seed"
            yield (
                Contrast(
                    name, metric, (term,), unit(metric), architectures=(architecture,), replicate=replicate
                ),
                where,
            )


def comparisons(measures: Measures, grid: Grid) -> Iterator[tuple[Contrast, dict[str, object]]]:
    """Initialisations against each other at every size, on their mean and trend, by network and over
    networks."""
    compared = dict(COMPARISONS)
    for arm in measures.other_weights:
        compared[f"{arm} minus scratch"] = ((1.0, arm, "none"), (-1.0, "random", "none"))
        compared[f"{arm} frozen minus fine-tuned"] = ((1.0, arm, "backbone"), (-1.0, arm, "none"))
    for label, parts in compared.items():
        if grid.natural is None and any(init == "natural" for _, init, _ in parts):
            continue
        if label in COMPARISONS:
            label = label.replace("natural", str(grid.natural))
        for metric in COMPARED:
            for where, weights in _by_size(grid):
                yield from _by_network(measures, grid, f"{metric}, {label}", metric, parts, where, weights)


def doublings(measures: Measures, grid: Grid) -> Iterator[tuple[Contrast, dict[str, object]]]:
    """The gain per doubling of data between neighbouring sizes and over all, from scratch."""
    steps = list(zip(grid.sizes, grid.sizes[1:], strict=False))
    for metric in (*AREAS, "train_loss"):
        for low, high in steps:
            gain = 1 / np.log2(high / low)
            weights = np.array([gain * ((size == high) - float(size == low)) for size in grid.sizes])
            label = f"{metric} gained per doubling from {low} to {high}, scratch"
            yield from _by_network(measures, grid, label, metric, SCRATCH, "", weights, per_doubling=True)
        trend = size_weights(grid.sizes, "trend")
        if trend is not None:
            label = f"{metric} gained per doubling, scratch"
            yield from _by_network(measures, grid, label, metric, SCRATCH, "", trend, per_doubling=True)


def _by_size(grid: Grid) -> Iterator[tuple[str, np.ndarray]]:
    for position, size in enumerate(grid.sizes):
        yield f" at {size}", np.eye(len(grid.sizes))[position]
    for how, label in (("mean", ", mean of sizes"), ("trend", ", trend per doubling")):
        weights = size_weights(grid.sizes, how)  # type: ignore[arg-type]
        if weights is not None and len(grid.sizes) > 1:
            yield label, weights


def _by_network(
    measures: Measures, grid: Grid, label: str, metric: str, parts: tuple[Part, ...], where: str,
    weights: np.ndarray, *, per_doubling: bool = False,
) -> Iterator[tuple[Contrast, dict[str, object]]]:  # fmt: skip
    terms = tuple(
        Term(part * weight, size, str(grid.natural) if init == "natural" else init, freeze)
        for part, init, freeze in parts
        for size, weight in zip(grid.sizes, weights, strict=True)
        if weight
    )
    text = unit(metric) + (" / doubling" if per_doubling or "trend" in where else "")
    sizes = {term.train_images for term in terms}
    axes: dict[str, object] = {"train_images": sizes.pop() if len(sizes) == 1 else None}
    yield Contrast(f"{label}{where}, mean of networks", metric, terms, text), axes
    for name in measures.architectures:
        yield (
            Contrast(f"{label}{where}, {name}", metric, terms, text, architectures=(name,)),
            {**axes, "architecture": name},
        )


def row(contrast: Contrast, found: Estimate, where: dict[str, object]) -> dict[str, object]:
    """One row of the table `estimates`."""
    head = {"name": contrast.name, "metric": contrast.metric, "unit": contrast.unit}
    return {**head, **where, **dataclasses.asdict(found)}


def within_bounds(found: Estimate) -> Estimate:
    """A level between 0 and 1 with its interval symmetric in log odds, so that it stays between 0 and 1.

    An area of exactly 0 or 1 has no interval by these means: null.
    """
    area = found.estimate
    if not 0 < area < 1:
        return dataclasses.replace(found, low=float("nan"), high=float("nan"))
    odds, reach = logit(area), (found.high - area) / (area * (1 - area))
    return dataclasses.replace(found, low=float(expit(odds - reach)), high=float(expit(odds + reach)))


def estimate_table(measures: Measures, grid: Grid, law: PowerLaw | None) -> pd.DataFrame:
    """All levels and contrasts that can be estimated; columns of `analysis.tables.schema.ESTIMATES`."""
    rows: list[dict[str, object]] = []
    for contrast, where in levels(measures):
        found = estimate(measures, contrast)
        if found is not None:
            rows.append(row(contrast, within_bounds(found) if contrast.metric in AREAS else found, where))
    for wanted in (comparisons(measures, grid), doublings(measures, grid)):
        for contrast, where in wanted:
            found = estimate(measures, contrast)
            if found is not None:
                rows.append(row(contrast, found, where))
    if law is not None:
        for name, text, (value, low, high) in (
            ("power law's exponent, scratch, mean of networks", "exponent", law.exponent),
            ("test_auroc promised at ten times the data, scratch, mean of networks", "AUROC", law.promised),
        ):
            rows.append(
                {
                    "name": name,
                    "metric": "test_auroc",
                    "unit": text,
                    "estimate": value,
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows, columns=[c.name for c in ESTIMATES])


def power_law(measures: Measures, grid: Grid, metric: str = "test_auroc") -> PowerLaw | None:
    """The power law of the networks' mean AUROC from scratch; its bootstrap is seeded, so that it repeats."""
    contrasts = [Contrast(f"mean at {n}", metric, (Term(1.0, n),), unit(metric)) for n in grid.sizes]
    found = joint(measures, contrasts)
    if found is None:
        return None
    values, covariance = found
    return fit(np.array(grid.sizes, dtype=np.float64), values, covariance, np.random.default_rng(0))
