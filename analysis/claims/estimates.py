"""The table `estimates`: the level of every condition and every contrast, on every measure.

Names are traceable: a figure's or a sentence's number is the row of that name. Whoever looks rows up does so
by the columns `kind`, `contrast`, `sizes` and the axes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
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
    further_axes,
    size_weights,
)
from analysis.numbers import one_seed
from analysis.statistics.catalogue import AREAS, MEASURES, unit
from analysis.statistics.contrasts import LEVEL, estimate, estimate_as_it_is, joint
from analysis.statistics.estimate import Estimate
from analysis.statistics.measures import Measures
from analysis.statistics.power_law import PowerLaw, fit
from analysis.statistics.terms import Contrast, Replicate, Term
from analysis.tables.conditions import CONDITION, DEFAULTS, filled
from analysis.tables.schema import ESTIMATES

COMPARISONS: dict[str, tuple[Part, ...]] = {
    "natural minus scratch": NATURAL_GAIN,
    "in_domain minus scratch": IN_DOMAIN_GAIN,
    "in_domain minus natural": IN_DOMAIN_MINUS_NATURAL,
    "natural frozen minus fine-tuned": NATURAL_FROZEN,
    "in_domain frozen minus fine-tuned": IN_DOMAIN_FROZEN,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row of the table: a contrast and what it is, as in the columns of these names."""

    estimated: Contrast
    kind: str
    contrast: str | None
    sizes: str

    def columns(self) -> dict[str, object]:
        """The columns that say what is estimated."""
        c = self.estimated
        said = {"name": c.name, "metric": c.metric, "unit": c.unit}
        return {**said, "kind": self.kind, "contrast": self.contrast, "sizes": self.sizes, **shared_axes(c)}


def shared_axes(contrast: Contrast) -> dict[str, object]:
    """The value of every axis that all cells of `contrast` share; None where they do not."""
    one = contrast.architectures[0] if len(contrast.architectures) == 1 else None
    values = zip(*(term.of(str(one)) for term in contrast.terms), strict=True)
    shared = {
        axis: found[0] if len(set(found)) == 1 else None
        for axis, found in zip(CONDITION, values, strict=True)
    }
    return {**shared, "architecture": one}


def levels(measures: Measures) -> Iterator[Wanted]:
    """Every condition's level of every measure."""
    for row in filled(measures.cells)[list(CONDITION)].drop_duplicates().to_dict("records"):
        axes = {str(axis): value for axis, value in row.items()}
        named = " ".join(str(value) for axis, value in axes.items() if value != DEFAULTS.get(axis))
        term, architecture = Term.in_condition(axes), str(axes["architecture"])
        for measure in MEASURES.values():
            name = f"{measure.name} of {named}"
            replicate: Replicate = "count" if measure.count else "seed"
            contrast = Contrast(
                name, measure.name, (term,), measure.unit, architectures=(architecture,), replicate=replicate
            )
            yield Wanted(contrast, "level", None, "one")


def comparisons(measures: Measures, grid: Grid) -> Iterator[Wanted]:
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
            label = label.replace("natural", str(grid.natural)).replace("in_domain", grid.in_domain)
        for measure in MEASURES.values():
            for sizes, where, weights in _by_size(grid) if measure.compared else ():
                contrast = Contrast(
                    f"{measure.name}, {label}{where}",
                    measure.name,
                    _terms(grid, parts, weights),
                    measure.unit + (" / doubling" if sizes == "trend" else ""),
                )
                yield from _by_network(measures, Wanted(contrast, "difference", label, sizes))


def gains(measures: Measures, grid: Grid) -> Iterator[Wanted]:
    """The gain per doubling of data between neighbouring sizes and over all, from scratch."""
    steps = list(zip(grid.sizes, grid.sizes[1:], strict=False))
    for measure in MEASURES.values():
        if not measure.gained:
            continue
        wanted = []
        for low, high in steps:
            gain = 1 / np.log2(high / low)
            weights = np.array([gain * ((size == high) - float(size == low)) for size in grid.sizes])
            wanted.append((f"from {low} to {high}", f" from {low} to {high}", "step", weights))
        trend = size_weights(grid.sizes, "trend")
        if trend is not None:
            wanted.append(("all sizes", "", "trend", trend))
        for label, where, sizes, weights in wanted:
            name = f"{measure.name} gained per doubling{where}, scratch"
            terms = _terms(grid, SCRATCH, weights)
            contrast = Contrast(name, measure.name, terms, f"{measure.unit} / doubling")
            yield from _by_network(measures, Wanted(contrast, "gain", label, sizes))


def _by_size(grid: Grid) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    for position, size in enumerate(grid.sizes):
        yield "one", f" at {size}", np.eye(len(grid.sizes))[position]
    for how, label in (("mean", ", mean of sizes"), ("trend", ", trend per doubling")):
        weights = size_weights(grid.sizes, how)  # type: ignore[arg-type]
        if weights is not None and len(grid.sizes) > 1:
            yield how, label, weights


def _terms(grid: Grid, parts: tuple[Part, ...], weights: NDArray[np.float64]) -> tuple[Term, ...]:
    """The parts at every size that has a weight."""
    return tuple(
        Term(part * weight / len(grid.subsets), size, grid.arm(init), freeze, further=further)
        for part, init, freeze in parts
        for size, weight in zip(grid.sizes, weights, strict=True)
        if weight
        for further in further_axes(grid)
    )


def _by_network(measures: Measures, wanted: Wanted) -> Iterator[Wanted]:
    """`wanted` over the mean of networks, then in each of them."""
    base = wanted.estimated
    for name, architectures in [
        ("mean of networks", ()),
        *((name, (name,)) for name in measures.architectures),
    ]:
        contrast = dataclasses.replace(base, name=f"{base.name}, {name}", architectures=architectures)
        yield dataclasses.replace(wanted, estimated=contrast)


def within_bounds(found: Estimate) -> Estimate:
    """A level between 0 and 1 with its interval symmetric in log odds, so that it stays between 0 and 1.

    An area of exactly 0 or 1 has no interval by these means: null.
    """
    area = found.estimate
    if found.doubtful:
        return found
    if not 0 < area < 1:
        return dataclasses.replace(found, low=float("nan"), high=float("nan"))
    reach = found.quantile((1 - LEVEL) / 2)
    odds, reach = logit(area), reach / (area * (1 - area))
    return dataclasses.replace(found, low=float(expit(odds - reach)), high=float(expit(odds + reach)))


def estimate_table(measures: Measures, grid: Grid, law: PowerLaw | None) -> pd.DataFrame:
    """All levels and contrasts that can be estimated; columns of `analysis.tables.schema.ESTIMATES`."""
    rows: list[dict[str, object]] = []
    for wanted in itertools.chain(levels(measures), comparisons(measures, grid), gains(measures, grid)):
        found = estimate(measures, wanted.estimated)
        if found is None and wanted.kind == "level":  # all of its runs have collapsed: their level is a fact
            found = estimate_as_it_is(measures, wanted.estimated)
        if found is None:
            continue
        if wanted.kind == "level" and wanted.estimated.metric in AREAS:
            found = within_bounds(found)
        rows.append({**wanted.columns(), **dataclasses.asdict(found)})
    if law is not None:
        for contrast, name, text, (value, low, high) in (
            ("exponent", "power law's exponent, scratch, mean of networks", "exponent", law.exponent),
            (
                "promised",
                "test_auroc promised at ten times the data, scratch, mean of networks",
                "AUROC",
                law.promised,
            ),
        ):
            what = {"name": name, "metric": "test_auroc", "unit": text}
            kind = {"kind": "power_law", "contrast": contrast, "init": "random", "freeze": "none"}
            rows.append({**what, **kind, "estimate": value, "low": low, "high": high})
    return pd.DataFrame(rows, columns=[c.name for c in ESTIMATES])


def power_law(measures: Measures, grid: Grid, metric: str = "test_auroc") -> PowerLaw | None:
    """The power law of the networks' mean AUROC from scratch; its bootstrap is seeded, so that it repeats.

    None where it cannot be fitted; without intervals where one seed is behind a size.
    """
    contrasts = [Contrast(f"mean at {n}", metric, (Term(1.0, n),), unit(metric)) for n in grid.sizes]
    found = joint(measures, contrasts)
    if found is None:
        return None
    values, covariance = found
    law = fit(np.array(grid.sizes, dtype=np.float64), values, covariance, np.random.default_rng(0))
    alone = any(one_seed(one.seeds) for contrast in contrasts if (one := estimate(measures, contrast)))
    return law.without_intervals() if law is not None and alone else law
