"""conclusion.md: the conclusion in prose, written from the verdicts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.conjectures import CONJECTURES
from analysis.palette import init_name
from analysis.power_law import PowerLaw
from analysis.tables import Evidence

ANSWERS = {
    (
        1,
        "supported",
    ): "Deeper networks end at a higher training loss on the same data: they are harder to train.",
    (
        1,
        "refuted",
    ): "Depth does not raise the training loss by an amount that matters: difficulty of training is "
    "not the reason.",
    (
        2,
        "supported",
    ): "Small and large networks reach the same training loss and the same AUROC: the task does not "
    "need a large network.",
    (
        2,
        "refuted",
    ): "The size of the network makes a difference that matters somewhere: the task is not too simple "
    "for it.",
    (3, "supported"): "The last doubling of the data gained nothing that matters: there were enough images.",
    (3, "refuted"): "The last doubling of the data still changed AUROC: the data do not saturate the task.",
    (
        4,
        "supported",
    ): "Weights from {natural} gain nothing that matters and weights from the same domain gain more: "
    "the domains are too different.",
    (
        4,
        "refuted",
    ): "Weights from {natural} gain something that matters, or weights from the same domain gain no "
    "more than they do: difference of domains is not the reason.",
}


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
        lead = ANSWERS.get((number, overall[number]), "This grid does not decide it.").format(natural=natural)
        told = claims[claims["needed"].astype(bool)]["why"]
        found.append(f"**{number}. {title}: {overall[number]}.** {lead} " + " ".join(told))
        if number == 3 and law is not None:
            found[-1] += (
                f" A power law through the sizes has exponent {law.exponent[0]:.2f} "
                f"({law.exponent[1]:.2f} to "
                f"{law.exponent[2]:.2f}) and promises an AUROC of {law.promised[0]:.3f} "
                f"({law.promised[1]:.3f} to "
                f"{law.promised[2]:.3f}) at ten times the data."
            )
    outcomes = findings["verdict"].value_counts()
    found.append(
        f"Of {len(findings)} findings of the study, {outcomes.get('reproduced', 0)} are reproduced here, "
        f"{outcomes.get('not reproduced', 0)} are not, and {outcomes.get('undecided', 0)} stay undecided."
    )
    found.append(_limits(evidence))
    return found


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
