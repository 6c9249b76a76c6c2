"""The Python interface for questions of one's own: every figure and estimate is one call on the evidence.

evidence = analysis.load("results/demo")
analysis.figure(evidence, "figure4").savefig("mine.pdf")
analysis.estimate(evidence, Contrast("mine", "test_auroc", (Term(+1, 384), Term(-1, 192)), "AUROC"))
"""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
from matplotlib.figure import Figure

from analysis.claims.analysed import margins_of
from analysis.claims.conjectures import grid_of
from analysis.claims.estimates import power_law
from analysis.figures import draw
from analysis.statistics import contrasts
from analysis.statistics.catalogue import Margins
from analysis.statistics.contrasts import Contrast
from analysis.statistics.measures import Measures, measure
from analysis.tables.store import Evidence

FIGURES = (
    "verdicts", "verdicts_column", "figure1", "figure2", "figure3", "figure4", "figure5", "figure6",
    "learning_curve", "gains", "range_tests",
)  # fmt: skip


def measured(evidence: Evidence) -> Measures:
    """Every cell's measures with their covariance over patients; computed once for each `evidence`."""
    if "measures" not in evidence.cache:
        evidence.cache["measures"] = measure(evidence)
    found = evidence.cache["measures"]
    assert isinstance(found, Measures)
    return found


def estimate(evidence: Evidence, contrast: Contrast) -> pd.Series:
    """One contrast with its interval, n and missing cells; the fields of `analysis.tables.schema.ESTIMATES`.

    Raises:
        ValueError: the cells that the contrast asks for are not there; the message says which way.
    """
    found = contrasts.estimate(measured(evidence), contrast)
    if found is None:
        missing, why = contrasts.absent(measured(evidence), contrast)
        raise ValueError(f"{contrast.name}: {missing} cells missing: {why}")
    return pd.Series({"name": contrast.name, "metric": contrast.metric, **asdict(found)})


def figure(evidence: Evidence, name: str, margins: Margins | None = None) -> Figure:
    """One of `FIGURES`, from the estimates and verdicts that the last `analysis.run` left.

    Raises:
        ValueError: there is no such figure.
    """
    if name not in FIGURES:
        raise ValueError(f"found figure {name!r}; expected one of {', '.join(FIGURES)}")
    cells = measured(evidence)
    if name.startswith("figure"):
        return draw.study_figures(evidence, cells, evidence.estimates)[name]()
    limits = margins or margins_of(evidence)
    law = power_law(cells, grid_of(cells, evidence.natural)) if name == "learning_curve" else None
    drawn = draw.conjecture_figures(evidence, cells, evidence.estimates, evidence.verdicts, limits, law)
    return drawn[name]()
