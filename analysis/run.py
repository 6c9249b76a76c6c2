"""Everything that `python -m analysis OUT` does, as one call: collect, estimate, judge, draw, report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from analysis.checks.finding import check_table
from analysis.claims import conclusion, earlier, look_record
from analysis.claims.analysed import Analysis, analyse
from analysis.claims.drawn import Drawn
from analysis.figures import draw
from analysis.report import page
from analysis.report.codes import several
from analysis.statistics.catalogue import Margins
from analysis.tables import store
from analysis.tables.checking import check
from analysis.tables.collect import Collection as Collected
from analysis.tables.collect import collect
from analysis.tables.place import alone, bring
from analysis.tables.schema import EvidenceError


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written, and what it says.

    Attributes:
        evidence: folder of the tables.
        figures: folder of the figures.
        report: the report's file; `conclusion.md` lies beside it.
        counts: cells by status: `planned done failed missing`.
        failed: the failed cells, rows of `trials`.
        answer: the first line of the report.
        verdicts: rows of the table `verdicts`.
        margins: the smallest effects that matter, as they were used.
        collection: what was read from the cells' folders, None if there are none.
        codes: names the codes that trained the cells where there is more than one; else empty.
        checks: rows of the table `checks`.
        sequence: what looks, or verdicts that were printed before, do to these; mostly empty.
        notes: what stood in for files that are missing or cannot be read.
    """

    evidence: Path
    figures: Path
    report: Path
    counts: dict[str, int]
    failed: pd.DataFrame
    answer: str
    verdicts: pd.DataFrame
    margins: Margins
    collection: Collected | None
    codes: str = ""
    sequence: str = ""
    notes: tuple[str, ...] = ()
    checks: pd.DataFrame = field(default_factory=pd.DataFrame)


def run(
    out: str | Path,
    margins: dict[str, float] | None = None,
    to: str | Path | None = None,
    mute: Collection[str] = (),
) -> Summary:
    """Bring evidence, figures and report of `out` up to date. Works on an unfinished grid.

    What is derived from cells and cannot be read is written anew; a second run on the same folder waits.

    Args:
        out: the --out folder of a sweep, or a folder that holds the tables of evidence alone.
        margins: other margins than the default's by name (`auroc`, `loss`, `spikes`).
        mute: codes of checks (docs/checks.md) whose doubts are not to be told again.
        to: folder that everything is written to, where `out` itself is not to be written; made if need be.

    Raises:
        EvidenceError: `out` holds nothing to judge, what it holds cannot be read, or it cannot be written.
    """
    out = Path(out)
    if not out.is_dir():
        beside = [one.name for one in out.parent.iterdir() if one.is_dir()] if out.parent.is_dir() else []
        near = get_close_matches(out.name, beside, 1)
        found = f"no such folder, but {out.parent / near[0]}" if near else "no such folder"
        advice = "correct the path, or run the sweep first"
        raise EvidenceError(f"{out}: found {found}; expected the --out folder of a sweep; {advice}")
    place = out if to is None else Path(to)
    with alone(place):
        if place != out:
            bring(out, place)
        collection = collect(out, place)
        try:
            return _conclude(place, margins or {}, collection, mute)
        except EvidenceError:
            if collection is None:
                raise
        collection = collect(out, place, anew=True)
        return _conclude(place, margins or {}, collection, mute)


def _conclude(
    out: Path, margins: dict[str, float], collection: Collected | None, mute: Collection[str]
) -> Summary:
    """Judge, draw and report what was collected."""
    check(out)
    found = analyse(store.load(out), margins)
    loaded = found.evidence
    if collection is not None:
        store.write(out, "trials", loaded.trials)
    checks = check_table(found, mute)
    for name, frame in (
        *found.tables().items(),
        ("checks", checks),
        ("sweep", store.sweep_table(loaded.sweep)),
    ):
        store.write(out, name, frame)

    figures = out / "figures"
    pictures = draw.draw_all(Drawn(found), figures)
    conclusion.write(found)
    report = page.write(found, pictures, collection)
    remember(found)
    status = loaded.trials["status"]
    counts = {"planned": len(status), **{s: int((status == s).sum()) for s in ("done", "failed", "missing")}}
    return Summary(
        evidence=store.evidence_folder(out),
        figures=figures,
        report=report,
        counts=counts,
        failed=loaded.trials[status == "failed"],
        answer=page.first_line(found),
        verdicts=found.verdicts,
        margins=found.margins,
        collection=collection,
        codes=several(loaded.trials),
        sequence=found.sequence_told,
        checks=checks,
        notes=tuple(filter(None, (collection.note if collection else "", store.sweep_note(out)))),
    )


def remember(found: Analysis) -> None:
    """Keep, last of all, what the next analysis has to know: a look that was taken, or verdicts printed."""
    out = found.evidence.out
    if found.looked is not None:
        before = look_record.read(out)
        if before is None or len(before.taken) < len(found.looked.record.taken):
            look_record.store(out, found.looked.record)
    elif look_record.read(out) is None:
        earlier.keep(out, earlier.of_table(found.verdicts))
