"""Everything that `python -m analysis OUT` does, as one call: collect, estimate, judge, draw, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import draw, evidence, report, tables
from analysis.collect import Collection, collect
from analysis.measures import measure
from analysis.schema import EvidenceError


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written, and what it says.

    Attributes:
        figures: folder of the figures.
        report: the report's file.
        counts: cells by status: `planned done failed missing`.
        failed: the failed cells, rows of `trials`.
        verdicts: rows of the table `verdicts`.
        collection: what was read from the cells' folders, None if there are none.
    """

    evidence: Path
    figures: Path
    report: Path
    counts: dict[str, int]
    failed: pd.DataFrame
    verdicts: pd.DataFrame
    collection: Collection | None


def run(out: str | Path) -> Summary:
    """Bring evidence, figures and report of `out` up to date. Works on an unfinished grid.

    Raises:
        EvidenceError: `out` holds nothing to judge, or what it holds cannot be read.
    """
    out = Path(out)
    if not out.is_dir():
        raise EvidenceError(f"{out}: found no such folder; expected the --out folder of a sweep")
    collection = collect(out)
    loaded = tables.load(out)
    measures = measure(loaded)
    estimates = evidence.level_table(measures)
    tables.write(out, "estimates", estimates)
    folder = out / "figures"
    drawn = draw.study_figures(loaded, measures, estimates)
    for name, figure in drawn.items():
        draw.save(figure, folder, name)
    status = loaded.trials["status"]
    counts = {"planned": len(status), **{s: int((status == s).sum()) for s in ("done", "failed", "missing")}}
    file = report.write(loaded, collection, folder, list(drawn))
    return Summary(
        evidence=tables.evidence_folder(out),
        figures=folder,
        report=file,
        counts=counts,
        failed=loaded.trials[status == "failed"],
        verdicts=loaded.verdicts,
        collection=collection,
    )
