"""The Python interface for questions of one's own: every figure and estimate is one call on the evidence.

evidence = analysis.load("results/demo")
analysis.figure(evidence, "figure4").savefig("mine.pdf")
analysis.estimate(evidence, Contrast("mine", "test_auroc", (Term(+1, 384), Term(-1, 192)), "AUROC"))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, get_args

import pandas as pd

from analysis.claims.analysed import read_back
from analysis.claims.drawn import Drawn
from analysis.figures import draw
from analysis.figures.records import RECORDS
from analysis.statistics import contrasts, paired
from analysis.statistics.catalogue import MEASURES, Margins
from analysis.statistics.from_evidence import measure
from analysis.statistics.measures import Measures
from analysis.statistics.terms import Across, Contrast, Replicate, Term
from analysis.tables.store import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = tuple(record.name for record in RECORDS)


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
        ValueError: a name that is not known, or cells that are not there; the message says which and why.
    """
    measures = measured(evidence)
    if wrong := _wrong(contrast, measures):
        raise ValueError(f"{contrast.name}: {'; '.join(wrong)}")
    found = contrasts.estimate(measures, contrast)
    if found is None:
        missing, why = paired.absent(measures, contrast)
        raise ValueError(f"{contrast.name}: {missing} cells missing: {why}")
    return pd.Series({"name": contrast.name, "metric": contrast.metric, **asdict(found)})


def _wrong(contrast: Contrast, measures: Measures) -> list[str]:
    """What of `contrast` is no name of this grid, or not of the kind that is expected."""
    wrong = [
        _known("metric", contrast.metric, MEASURES),
        _known("across", contrast.across, get_args(Across)),
        _known("replicate", contrast.replicate, get_args(Replicate)),
    ]
    for name in ("architectures", "group"):
        given = getattr(contrast, name)
        if isinstance(given, str) or not isinstance(given, Sequence):
            wrong.append(f"{name}: found {given!r}; expected a tuple of names, such as ({str(given)!r},)")
        else:
            wrong += [_known(name, one, measures.architectures) for one in given]
    if contrast.across == "difference" and not contrast.group:
        wrong.append("group: found none; across='difference' compares a group of networks with the others")
    terms = contrast.terms
    if not isinstance(terms, Sequence) or not terms or not all(isinstance(term, Term) for term in terms):
        wrong.append(
            f"terms: found {terms!r}; expected a tuple of Term, such as (Term(1, 400), Term(-1, 100))"
        )
    else:
        for axis in ("train_images", "init", "freeze", "balance"):
            planned = list(measures.cells[axis].dropna().unique())
            wrong += [_known(axis, getattr(term, axis), planned) for term in terms]
    return list(dict.fromkeys(filter(None, wrong)))


def _known(what: str, found: object, names: Iterable[object]) -> str:
    names = list(names)
    if found in names:
        return ""
    return f"{what}: found {found!r}; expected one of {', '.join(map(str, names))}"


def figure(evidence: Evidence, name: str, margins: Margins | None = None) -> Figure:
    """One of `FIGURES`, from the estimates and verdicts that the last `analysis.run` left.

    Raises:
        ValueError: there is no such figure, nothing to draw in it, or no `analysis.run` yet.
    """
    if evidence.verdicts.empty:
        raise ValueError(f"{evidence.out}: found no verdicts; call analysis.run({str(evidence.out)!r}) first")
    if "drawn" not in evidence.cache or margins is not None:
        evidence.cache["drawn"] = Drawn(read_back(evidence, measured(evidence), margins))
    return draw.draw(evidence.cache["drawn"], name)
