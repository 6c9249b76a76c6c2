"""report.html: one self-contained file that can be mailed; the answers first, then each conjecture's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims import bends, robust
from analysis.claims.analysed import Analysis
from analysis.claims.conjectures import CONJECTURES
from analysis.figures.draw import Picture
from analysis.names import data_name, init_name
from analysis.report import claim_tables, level_tables, limits, sections
from analysis.report.answers import answers, brackets, headline
from analysis.report.render import Fold, Table, fill
from analysis.tables.collect import Collection
from analysis.tables.origins import left_out

TITLE = "Do we need pretraining, a larger network, or more data?"


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures of one part of the report, and a line for each that there is nothing to draw for."""

    drawn: tuple[Picture, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conjecture:
    """The page of one conjecture."""

    number: int
    title: str
    verdict: str
    why: str
    claims: Table | None
    beside: tuple[str, ...]
    pictures: Shown
    folds: tuple[Fold | None, ...]


def write(analysis: Analysis, pictures: Sequence[Picture], collection: Collection | None) -> Path:
    """Write `report.html` and return its path.

    Args:
        pictures: of every figure, as from `analysis.figures.draw.draw_all`.
        collection: what was read from the cells' folders, None if there are none.
    """
    file = analysis.evidence.out / "report.html"
    part = file.with_name(".report.part.html")
    part.write_text(fill("report.html.j2", content(analysis, pictures, collection)), encoding="utf-8")
    part.replace(file)
    return file


def content(analysis: Analysis, pictures: Sequence[Picture], collection: Collection | None) -> dict[str, Any]:
    """What the template lays out, as plain values."""
    evidence, verdicts = analysis.evidence, analysis.verdicts
    first = {p.record.narrow: p for p in pictures if p.record.part == "first" and p.png is not None}
    parts = {name: shown(pictures, name) for name in ("robust", "small", "methods")}
    return {
        "title": TITLE,
        "data": data_name(evidence.sweep),
        "headline": first_line(analysis),
        "answers": answers(verdicts, _natural(analysis)),
        "brackets": brackets(verdicts),
        "glance": first.get(False),
        "narrow": first.get(True),
        "size": limits.size(analysis),
        "cannot": [*limits.cannot(analysis), *sections.shared_images(evidence.sweep)],
        "conjectures": [_conjecture(number, analysis, verdicts, pictures) for number in CONJECTURES],
        "sections": sections.sections(analysis, collection, parts),
    }


def first_line(analysis: Analysis) -> str:
    """Whether pretraining, a larger network and more data help, in one line that stands alone."""
    return headline(analysis.verdicts, _natural(analysis), limits.where(analysis))


def _natural(analysis: Analysis) -> str:
    natural = analysis.evidence.natural
    return init_name(natural) if natural else "natural images"


def shown(pictures: Sequence[Picture], part: str | int) -> Shown:
    """The figures of one part of the report, without those that another one shows as well."""
    drawn = {p.record.name for p in pictures if p.png is not None}
    mine = [p for p in pictures if p.record.part == part and p.record.within not in drawn]
    lines = [
        f"Not drawn: {_subject(p.caption)}: {p.note}."
        for p in mine
        if p.png is None and not _covered(p, mine)
    ]
    return Shown(tuple(p for p in mine if p.png is not None), tuple(lines))


def _covered(picture: Picture, others: Sequence[Picture]) -> bool:
    """Whether a figure that lies within this one is shown in its place, or missing for the same reason."""
    return any(other.record.within == picture.record.name for other in others)


def _subject(caption: str) -> str:
    return (
        caption[0].lower() + caption[1:].rstrip(".")
        if not caption.startswith("AUROC")
        else caption.rstrip(".")
    )


def _conjecture(
    number: int, analysis: Analysis, verdicts: pd.DataFrame, pictures: Sequence[Picture]
) -> Conjecture:
    rows = verdicts[verdicts["conjecture"] == number]
    overall = rows[rows["claim"] == "overall"].iloc[0]
    claims = rows[rows["claim"] != "overall"]
    tested = claims.loc[claims["estimate"].notna(), "claim"]
    judged = analysis.robustness[analysis.robustness["claim"].isin([*tested, "overall"])]
    beside = [
        claim_tables.one_reason(claims),
        *robust.rests(judged, number),
        *limits.untested(claims),
    ]
    if number == 3:
        beside += bends.sentences(analysis.estimates)
    if number == 4:
        beside += [left_out(analysis.evidence.trials)]
    return Conjecture(
        number=number,
        title=CONJECTURES[number],
        verdict=str(overall["verdict"]),
        why=_decided(claims, str(overall["verdict"])),
        claims=claim_tables.claims(claims),
        beside=tuple(filter(None, beside)),
        pictures=shown(pictures, number),
        folds=(
            claim_tables.tests(claims),
            level_tables.behind(number, analysis.estimates, analysis.evidence.networks),
        ),
    )


def _decided(claims: pd.DataFrame, verdict: str) -> str:
    """How the verdict follows from the claims, without their numbers, which stand in the table below."""
    needed = claims[claims["needed"].astype(bool)]
    outcomes = needed["verdict"].value_counts()
    told = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
    if len(needed) == 1:
        text = f"It rests on one claim ({told})"
    else:
        rule = {
            "supported": "all of them have to be supported",
            "refuted": "one that is refuted is enough",
            "undecided": "none is refuted and not all are supported",
        }[verdict]
        text = f"It rests on {len(needed)} claims ({told}): {rule}"
    alone = verdict if verdict == "refuted" else "supported"
    agree = (needed["verdict"] == alone).any() if verdict == "refuted" else (needed["verdict"] == alone).all()
    if agree != (verdict != "undecided"):
        text += (
            ". Conjectures are corrected for being four, claims for the number of all, which is stricter: "
            "the two may differ"
        )
    return f"{text}."
