"""The table `estimates`: the level of every condition, and every contrast of the four conjectures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pandas as pd

from analysis.contrasts import Contrast, Estimate, Term, estimate
from analysis.measures import AREAS, CURVES, Measures
from analysis.schema import ESTIMATES

LEVEL_METRICS = (*AREAS, *CURVES)
UNITS = {
    "train_loss": "nats",
    "spikes": "spikes / run",
    "spike_height": "times the running median",
    "spike_recovery_steps": "steps",
    "convergence_epochs": "epochs",
}


def unit(metric: str) -> str:
    """Unit of a measure; areas are fractions."""
    return UNITS.get(metric, "AUPRC" if metric.endswith("auprc") else "AUROC")


def levels(measures: Measures) -> Iterator[tuple[Contrast, dict[str, object]]]:
    """Every condition's level of every measure, with the axes that name it."""
    cells = measures.cells
    axes = ["architecture", "train_images", "init", "freeze", "balance"]
    for architecture, images, init, freeze, balance in cells[axes].drop_duplicates().itertuples(index=False):
        term = Term(1.0, images, init, freeze, balance)
        where = {"architecture": architecture, "train_images": images, "init": init, "freeze": freeze}
        suffix = "" if balance == "natural" else f" {balance}"
        for metric in LEVEL_METRICS:
            name = f"{metric} of {architecture} {images} {init} {freeze}{suffix}"
            yield Contrast(name, metric, (term,), unit(metric), architectures=(architecture,)), where


def row(contrast: Contrast, found: Estimate, **where: object) -> dict[str, object]:
    """One row of the table `estimates`."""
    return {
        "name": contrast.name,
        "metric": contrast.metric,
        "unit": contrast.unit,
        **where,
        **dataclasses.asdict(found),
    }


def level_table(measures: Measures) -> pd.DataFrame:
    """The levels of all conditions that have one; columns of `analysis.schema.ESTIMATES`."""
    rows = []
    for contrast, where in levels(measures):
        found = estimate(measures, contrast)
        if found is not None:
            rows.append(row(contrast, found, **where))
    return pd.DataFrame(rows, columns=[c.name for c in ESTIMATES])
