"""The four answers, for someone who reads nothing else: a word, and one sentence with its direction."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.claims.conjectures import CONJECTURES
from analysis.claims.same import DIGITS
from analysis.numbers import signed
from analysis.report.wording import SAME, digits_of, varies_not

QUESTIONS = {
    1: "Are deep networks too difficult to train?",
    2: "Is a larger network needed?",
    3: "Is more data needed?",
    4: "Do weights from {natural} help?",
}
ASKED: dict[int, tuple[str, ...]] = {
    1: ("loss_grows_with_depth",),
    2: ("auroc_flat_in_parameters_largest", "auroc_flat_in_depth_largest"),
    3: ("last_doubling_gains_nothing",),
    4: ("natural_weights_gain_nothing",),
}
"""The claims whose effect answers each question."""

UNSETTLED = "Not settled"
WORDS = {"supported": "No", "refuted": "Yes", "undecided": UNSETTLED}
WORSE = {"small loss": "No, slightly worse", "loss": "No, worse"}

SAID = {
    "loss_grows_with_depth": "the deepest network's training loss is {by} than the shallowest's",
    "auroc_flat_in_parameters_largest": "the AUROC of the network with the most parameters is {by} than that "
    "of the one with the fewest",
    "auroc_flat_in_depth_largest": "that of the deepest network {by} than the shallowest's",
    "last_doubling_gains_nothing": "after the last doubling of the data AUROC is {by}",
    "natural_weights_gain_nothing": "pretrained on {natural}, AUROC is {by} than from scratch",
}
SHORT = {
    2: ("a larger network", {
        "gain": "is better", "small gain": "is better by less than matters", "none": "is as good",
        "small loss": "is slightly worse", "loss": "is worse", "no gain": "gains nothing that matters",
    }),
    3: ("twice the data", {
        "gain": "help", "small gain": "help by less than matters", "none": "make no difference that matters",
        "small loss": "do slight harm", "loss": "do harm", "no gain": "gain nothing that matters",
    }),
    4: ("pretraining on {natural}", {
        "gain": "helps", "small gain": "helps by less than matters",
        "none": "makes no difference that matters", "small loss": "does slight harm", "loss": "does harm",
        "no gain": "gains nothing that matters",
    }),
}  # fmt: skip
ORDER = (4, 2, 3)
"""As the title asks: pretraining, a larger network, more data."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one of the four questions; `word` is short, `sentence` says how much and how sure."""

    conjecture: int
    question: str
    word: str
    sentence: str


def answers(verdicts: pd.DataFrame, natural: str) -> list[Answer]:
    """One for each conjecture; rows of `verdicts`."""
    return [_answer(number, verdicts, natural) for number in CONJECTURES]


def headline(verdicts: pd.DataFrame, natural: str, where: str) -> str:
    """One line that stands alone: whether pretraining, a larger network and more data help, and by how much.

    Args:
        where: the data and their size.
    """
    settled, open_, bare = [], [], []
    for number in ORDER:
        rows = _asked(number, verdicts)
        subject, words = SHORT[number]
        subject = subject.format(natural=natural)
        if rows.empty:
            open_.append(f"{subject} (not tested)")
            continue
        row, found = rows.iloc[0], _found(rows, _verdict(number, verdicts, rows))
        if found in words:
            settled.append(f"{subject} {words[found]} ({signed(row['estimate'], 3)} AUROC)")
        elif pd.notna(row["low"]) and varies_not(row):
            open_.append(f"{subject} ({signed(row['estimate'], 3)} AUROC, no variation)")
        elif pd.notna(row["low"]):
            open_.append(
                f"{subject} ({_leaning(row)}{signed(row['low'], 3)} to {signed(row['high'], 3)} AUROC)"
            )
        else:
            bare.append(f"{subject} ({signed(row['estimate'], 3)} AUROC)")
    first = "not settled" if settled else "nothing is settled"
    if open_:
        rest = f"; without an interval: {', '.join(bare)}" if bare else ""
        settled.append(f"{first}: {', '.join(open_)}{rest}")
    elif bare:
        settled.append(f"{first} (no intervals): {', '.join(bare)}")
    return f"{where}: {'; '.join(settled)}."


def _answer(number: int, verdicts: pd.DataFrame, natural: str) -> Answer:
    rows = _asked(number, verdicts)
    question = QUESTIONS[number].format(natural=natural)
    if rows.empty:
        return Answer(number, question, "Not tested", _untested(number, verdicts))
    verdict = _verdict(number, verdicts, rows)
    found = _found(rows, verdict)
    word = WORDS[verdict]
    if number == 1:
        word = {"supported": "Yes", "refuted": "No", "undecided": UNSETTLED}[verdict]
    elif verdict == "supported" and found in WORSE:
        word = WORSE[found]
    said = [SAID[row["claim"]].format(by=compared(row), natural=natural) for _, row in rows.iterrows()]
    text = ", ".join(said)
    return Answer(number, question, word, f"{text[0].upper()}{text[1:]}.")


def _verdict(number: int, verdicts: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The conjecture's own verdict where it answers the question; of weights the claim alone does."""
    if number == 4:
        return _together(rows)
    overall = verdicts[(verdicts["conjecture"] == number) & (verdicts["claim"] == "overall")]
    return str(overall["verdict"].iloc[0])


def _together(rows: pd.DataFrame) -> str:
    """The verdict of the claims together: refuted by one, supported by all."""
    found = set(rows["verdict"])
    return "refuted" if "refuted" in found else "undecided" if "undecided" in found else "supported"


def _found(rows: pd.DataFrame, verdict: str) -> str:
    """What was found where all claims found the same; else what the verdict says of it, or `unknown`."""
    effects = set(rows["effect"])
    if len(effects) == 1 and "unknown" not in effects:
        return str(effects.pop())
    return {"supported": "no gain", "refuted": "gain", "undecided": "unknown"}[verdict]


def _asked(number: int, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The claims that answer a question and were estimated, each test once."""
    rows = verdicts[verdicts["claim"].isin(ASKED[number]) & verdicts["estimate"].notna()]
    numbers = {name: rows[name].astype(float).round(DIGITS) for name in ("estimate", "low", "high")}
    return rows[~rows.assign(**numbers).duplicated(["metric", *numbers])]


def _untested(number: int, verdicts: pd.DataFrame) -> str:
    why = verdicts.loc[verdicts["claim"].isin(ASKED[number]), "why"]
    return str(why.iloc[0]).removeprefix("Not tested: ").capitalize() if len(why) else ""


def _leaning(row: pd.Series) -> str:
    """Which way an undecided effect goes, where its interval leaves one way only."""
    return "rather better, " if row["low"] > 0 else "rather worse, " if row["high"] < 0 else ""


def brackets(verdicts: pd.DataFrame) -> str:
    """What stands in the answers' brackets, or why there are none."""
    asked = pd.concat([_asked(number, verdicts) for number in CONJECTURES])
    if asked.empty:
        return ""
    low, high = asked["low"].astype(float), asked["high"].astype(float)
    known, ranges = low.notna() & high.notna(), (high - low).abs() >= SAME
    if ranges.all():
        return "In brackets: 95 % intervals."
    if ranges.any():
        return "In brackets: 95 % intervals; what has none may be chance."
    if known.all():
        return "No variation: all seeds and patients say the same, so nothing tells what is chance."
    return "Without an interval, each of these may be chance."


def compared(row: pd.Series) -> str:
    """`0.112 lower (0.075 to 0.148)`, or `0.004 lower (0.013 lower to 0.005 higher)`; AUROC has no unit."""
    digits = digits_of(row["metric"])
    unit = " nats" if row["metric"] == "train_loss" else ""
    size = f"{abs(row['estimate']):.{digits}f}"
    if float(size) == 0:
        size = f"less than {10.0**-digits:.{digits}f}"
    value = f"{size}{unit} {_side(row['estimate'])}"
    low, high = row["low"], row["high"]
    if pd.isna(low) or pd.isna(high):
        return value
    if varies_not(row):
        return f"{value} (no variation)"
    if (low < 0) == (high < 0):
        near, far = sorted((abs(low), abs(high)))
        return f"{value} ({near:.{digits}f} to {far:.{digits}f})"
    return f"{value} ({abs(low):.{digits}f} lower to {abs(high):.{digits}f} higher)"


def _side(value: float) -> str:
    return "higher" if value >= 0 else "lower"
