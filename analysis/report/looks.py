"""The section of the report on looks: which look decided what, at what level, and what is in reserve."""

from __future__ import annotations

import pandas as pd

from analysis.claims.analysed import Analysis
from analysis.claims.conjectures import CLAIMS, worded
from analysis.claims.look_record import Record, Taken
from analysis.claims.looked import Looked
from analysis.names import init_name
from analysis.report.render import Table, table


def texts(analysis: Analysis) -> list[str]:
    """How seeds came in looks, and what that means for verdicts and intervals; empty without looks."""
    if analysis.looked is None:
        return []
    record = analysis.looked.record
    seeds = ", ".join(map(str, record.asked.seeds))
    beside = (
        "" if record.all_claims else " Claims that no conjecture needs are judged at the first look alone."
    )
    said = [
        f"Seeds come in looks that were fixed, with claims, margins and their shares of the 5 %, before the "
        f"first: after {seeds} seeds. What a look decides stays; all looks together are wrong in at most 5 % "
        f"of such studies. Between looks nothing is decided.{beside}",
        "Estimates at which one stops lean outward: 95 % intervals say nothing of looks, the intervals "
        "beside them hold for all claims and looks together.",
        _left(analysis.looked),
    ]
    reserved = ", ".join(map(str, record.looks.seeds[record.planned :]))
    if reserved:
        said.append(f"In reserve, each with a share of its own: looks after {reserved} seeds.")
    return [text for text in said if text]


def _left(looked: Looked) -> str:
    """Which cells have fewer seeds than others, and why."""
    taken = looked.record.taken
    if not taken:
        return f"The first look has not been taken: it asks for {looked.record.looks.seeds[0]} seeds."
    if looked.ended and not taken[-1].open:
        return "No claim is open that more seeds could decide."
    count = len(taken[-1].needs)
    return f"Open claims need further seeds of {count:,} networks at a size and a start; no others get any."


def rows(analysis: Analysis) -> Table | None:
    """A row for every look that is asked for."""
    if analysis.looked is None:
        return None
    record = analysis.looked.record
    questions = _questions(analysis)
    shown = [
        {
            "look": number + 1,
            "after seeds": record.looks.seeds[number],
            "share of the 5 %": f"{100 * record.looks.weights[number]:.2g} %",
            "decided": _decided(record.taken[number], questions) if number < len(record.taken) else "",
            "claims left open": _open(record, number),
            "no number of seeds will do: too few patients for": _too_few(record, number, questions),
        }
        for number in range(record.planned)
    ]
    return table(pd.DataFrame(shown), "verdicts.parquet, column look")


def _questions(analysis: Analysis) -> dict[str, str]:
    """Every claim in words, by its name."""
    natural = init_name(analysis.evidence.natural) if analysis.evidence.natural else "natural images"
    in_domain = init_name(analysis.measures.in_domain)
    return {claim.name: worded(claim, natural, in_domain).question for claim in CLAIMS}


def _open(record: Record, number: int) -> str:
    return str(len(record.taken[number].open)) if number < len(record.taken) else "not taken"


def _too_few(record: Record, number: int, questions: dict[str, str]) -> str:
    """The claims that were closed since patients alone leave too much chance."""
    few = record.taken[number].too_few_patients if number < len(record.taken) else ()
    return "; ".join(questions[name] for name in few)


def _decided(taken: Taken, questions: dict[str, str]) -> str:
    """What a look decided, in words."""
    said = [f"conjecture {number}: {verdict}" for number, verdict in sorted(taken.conjectures.items())]
    said += [f"{questions[name]} {verdict}" for name, verdict in taken.claims.items()]
    return "; ".join(said) or "nothing"
