"""conclusion.md: the conclusion in prose, written from the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.claims import bends, decisions
from analysis.claims.analysed import Analysis
from analysis.claims.conjectures import CONJECTURES
from analysis.claims.sentences import ONE_SEED
from analysis.names import init_name
from analysis.statistics.power_law import EXPONENTS, PowerLaw
from analysis.tables.origins import left_out
from analysis.tables.store import Evidence

SUPPORTED = {
    1: "Deeper networks end at a higher training loss on the same data: they are harder to train.",
    2: "Small networks reach the training loss of large ones, and AUROC gains nothing that matters from "
    "size: no "
    "large one is needed.",
    3: "The last doubling of the data gained nothing that matters: there were enough images.",
    4: "Weights from {natural} gain nothing that matters, those from the same domain more: they differ.",
}
REFUTED = {
    1: "Depth does not raise the training loss by an amount that matters: that is not the reason.",
    2: "Larger or deeper networks train or rank better by an amount that matters: the task is not too "
    "simple for "
    "them.",
    3: "The last doubling of the data still raised AUROC by an amount that matters: the data do not "
    "saturate the "
    "task.",
    4: "Weights from {natural} gain something that matters, or those from the same domain gain no "
    "more: different domains are not the reason.",
}
OPEN = "This grid does not decide it."


def write(found: Analysis) -> str:
    """Write `conclusion.md` and return its text (Markdown paragraphs)."""
    text = "\n\n".join(paragraphs(found)) + "\n"
    file = Path(found.evidence.out) / "conclusion.md"
    part = file.with_name(".conclusion.part.md")
    part.write_text(f"# Conclusion\n\n{text}", encoding="utf-8")
    part.replace(file)
    return text


def paragraphs(analysis: Analysis) -> list[str]:
    """The conclusion: what is decided, conjecture by conjecture, what the study said, and what is lacking."""
    evidence, verdicts, findings, law = (
        analysis.evidence, analysis.verdicts, analysis.study_results, analysis.law
    )  # fmt: skip
    natural = init_name(evidence.natural) if evidence.natural else "natural images"
    overall = verdicts[verdicts["claim"] == "overall"].set_index("conjecture")["verdict"]
    decided = [n for n in CONJECTURES if overall[n] != "undecided"]
    found = [_opening(overall, decided)]
    for number, title in CONJECTURES.items():
        claims = verdicts[(verdicts["conjecture"] == number) & (verdicts["claim"] != "overall")]
        told = _told(claims[claims["needed"].astype(bool)], overall[number])
        lead = {"supported": SUPPORTED[number], "refuted": REFUTED[number], "undecided": OPEN}[
            overall[number]
        ]
        lead = lead.format(natural=natural)
        found.append(f"**{number}. {title}: {overall[number]}.** {lead} {told}")
        if number == 3 and law is not None:
            promised = _with_interval(law.promised, "{:.3f}".format)
            found[-1] += (
                f" A power law through the sizes has exponent {exponent(law)} and promises an AUROC of "
                f"{promised} at ten times the data"
                f"{' (of one seed: no intervals)' if np.isnan(law.promised[1]) else ''}."
            )
        if number == 3:
            found[-1] = " ".join([found[-1], *bends.sentences(analysis.estimates)])
    if beside := left_out(evidence.trials):
        found.append(beside)
    if small := decisions.sentences(analysis.decisions):
        found.append(" ".join(["How small the study could have been:", *small]))
    found += filter(None, (_looks(analysis), analysis.sequence_told, analysis.margins_told))
    outcomes = findings["verdict"].value_counts()
    found.append(
        f"Of the study's {len(findings)} findings: {outcomes.get('reproduced', 0)} reproduced here, "
        f"{outcomes.get('not reproduced', 0)} not reproduced, {outcomes.get('undecided', 0)} undecided."
    )
    found.append(_limits(evidence))
    return found


def _looks(analysis: Analysis) -> str:
    """Which look decided which conjecture; empty where seeds do not come in looks."""
    if analysis.looked is None:
        return ""
    record, decided = analysis.looked.record, analysis.looked.decision.conjectures
    said = [f"conjecture {n} after {record.looks.seeds[one.look]}" for n, one in sorted(decided.items())]
    planned = ", ".join(map(str, record.asked.seeds))
    return (
        f"Seeds came in looks fixed beforehand, after {planned}; all looks together are wrong in at most 5 % "
        f"of such studies. Decided: {', '.join(said) or 'nothing so far'}. Intervals that hold at all looks "
        "stand beside the 95 % ones in the table verdicts."
    )


def _told(needed: pd.DataFrame, verdict: str) -> str:
    """The sentences of the claims that make the verdict, and how many others there are."""
    deciding = needed[needed["verdict"] == verdict]
    others = needed[needed["verdict"] != verdict]["verdict"].value_counts()
    text = " ".join(deciding["why"]).replace(f" {ONE_SEED}", "")
    rest = ", ".join(f"{count} {outcome}" for outcome, count in others.items())
    return f"{text} Of its other claims: {rest}." if rest else text


def exponent(law: PowerLaw) -> str:
    """The exponent with its interval; at an end of what was searched `2 or more`, `0.02 or less`."""
    lowest, highest = EXPONENTS[0] * (1 + 1e-9), EXPONENTS[-1] * (1 - 1e-9)

    def told(value: float) -> str:
        more = " or more" if value >= highest else " or less" if value <= lowest else ""
        return f"{value:.2f}{more}"

    return _with_interval(law.exponent, told)


def _with_interval(values: tuple[float, float, float], told: Callable[[float], str]) -> str:
    """A value with its interval, where it has one."""
    value, low, high = map(told, values)
    return value if np.isnan(values[1]) else f"{value} ({low} to {high})"


def _opening(overall: pd.Series, decided: list[int]) -> str:
    if not decided:
        return (
            "This grid decides none of the four conjectures; more seeds, or more test patients, are needed."
        )
    parts = [f"conjecture {n} is {overall[n]}" for n in decided]
    rest = len(CONJECTURES) - len(decided)
    more = f"; {rest} of four {'stays' if rest == 1 else 'stay'} undecided" if rest else ""
    return f"On this data, {', '.join(parts)}{more}."


def _limits(evidence: Evidence) -> str:
    trials = evidence.trials
    status = trials["status"].value_counts()
    seeds = trials["seed"].nunique()
    name = evidence.sweep.get("data")
    data = f" on {name['name']}" if isinstance(name, dict) and name.get("name") else ""
    text = (
        f"This rests on {status.get('done', 0)} of {len(trials)} planned cells{data} with {seeds} "
        f"seed{'s' if seeds != 1 else ''}; {status.get('failed', 0)} failed and "
        f"{status.get('missing', 0)} are "
        "missing. All of it is conditional on one training set and its nested subsets."
    )
    if seeds == 1:
        text += (
            " With one seed nothing is decided: what the runs of a seed have in common is in every estimate."
        )
    return text
