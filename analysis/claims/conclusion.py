"""conclusion.md: the conclusion in prose, written from the verdicts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.claims.conjectures import CONJECTURES
from analysis.claims.sentences import ONE_SEED
from analysis.names import init_name
from analysis.statistics.power_law import PowerLaw
from analysis.tables.origins import left_out
from analysis.tables.store import Evidence

SUPPORTED = {
    1: "Deeper networks end at a higher training loss on the same data: they are harder to train.",
    2: "Small and large networks reach the same training loss and the same AUROC: no large one is needed.",
    3: "The last doubling of the data gained nothing that matters: there were enough images.",
    4: "Weights from {natural} gain nothing that matters, those from the same domain more: they differ.",
}
REFUTED = {
    1: "Depth does not raise the training loss by an amount that matters: that is not the reason.",
    3: "The last doubling of the data still changed AUROC: the data do not saturate the task.",
    4: "Weights from {natural} gain something that matters, or those from the same domain gain no "
    "more: different domains are not the reason.",
}
OPEN = "This grid does not decide it."


def write(evidence: Evidence, verdicts: pd.DataFrame, findings: pd.DataFrame, law: PowerLaw | None) -> str:
    """Write `conclusion.md` and return its text (Markdown paragraphs)."""
    text = "\n\n".join(paragraphs(evidence, verdicts, findings, law)) + "\n"
    file = Path(evidence.out) / "conclusion.md"
    part = file.with_name(".conclusion.part.md")
    part.write_text(f"# Conclusion\n\n{text}", encoding="utf-8")
    part.replace(file)
    return text


def paragraphs(
    evidence: Evidence, verdicts: pd.DataFrame, findings: pd.DataFrame, law: PowerLaw | None
) -> list[str]:
    """The conclusion: what is decided, conjecture by conjecture, what the study said, and what is lacking."""
    natural = init_name(evidence.natural) if evidence.natural else "natural images"
    overall = verdicts[verdicts["claim"] == "overall"].set_index("conjecture")["verdict"]
    decided = [n for n in CONJECTURES if overall[n] != "undecided"]
    found = [_opening(overall, decided)]
    for number, title in CONJECTURES.items():
        claims = verdicts[(verdicts["conjecture"] == number) & (verdicts["claim"] != "overall")]
        told = _told(claims[claims["needed"].astype(bool)], overall[number])
        lead = _answer(number, overall[number], claims).format(natural=natural)
        found.append(f"**{number}. {title}: {overall[number]}.** {lead} {told}")
        if number == 3 and law is not None:
            found[-1] += (
                f" A power law through the sizes has exponent {law.exponent[0]:.2f} "
                f"({law.exponent[1]:.2f} to "
                f"{law.exponent[2]:.2f}) and promises an AUROC of {law.promised[0]:.3f} "
                f"({law.promised[1]:.3f} to "
                f"{law.promised[2]:.3f}) at ten times the data."
            )
    if beside := left_out(evidence.trials):
        found.append(beside)
    outcomes = findings["verdict"].value_counts()
    found.append(
        f"Of the study's {len(findings)} findings: {outcomes.get('reproduced', 0)} reproduced here, "
        f"{outcomes.get('not reproduced', 0)} not reproduced, {outcomes.get('undecided', 0)} undecided."
    )
    found.append(_limits(evidence))
    return found


def _told(needed: pd.DataFrame, verdict: str) -> str:
    """The sentences of the claims that make the verdict, and how many others there are."""
    deciding = needed[needed["verdict"] == verdict]
    others = needed[needed["verdict"] != verdict]["verdict"].value_counts()
    text = " ".join(deciding["why"]).replace(f" {ONE_SEED}", "")
    rest = ", ".join(f"{count} {outcome}" for outcome, count in others.items())
    return f"{text} Of its other claims: {rest}." if rest else text


def _answer(number: int, verdict: str, claims: pd.DataFrame) -> str:
    """What a verdict means; where size matters, which way, from the refuted claims on AUROC."""
    if verdict == "supported":
        return SUPPORTED[number]
    if verdict == "undecided":
        return OPEN
    if number != 2:
        return REFUTED[number]
    rows = claims[(claims["verdict"] == "refuted") & (claims["metric"] == "test_auroc")]
    if len(rows) and (rows["estimate"] < 0).all():
        return "Size makes a difference, but larger or deeper networks end at a lower AUROC: none is needed."
    if len(rows) and (rows["estimate"] > 0).all():
        return "Larger or deeper networks end at a higher AUROC: the task is not too simple for them."
    return "The size of the network makes a difference: networks do not all do the same on this task."


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
            " With one seed the between-seed part is not measured: the scatter of single runs around "
            "smooth learning "
            "curves stands in for it where it can, and where it cannot nothing is decided."
        )
    return text
