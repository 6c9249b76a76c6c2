"""The answers say what the verdicts say, which way it goes and how sure it is."""

import pandas as pd
import pytest

from analysis.claims.conjectures import CLAIMS, CONJECTURES
from analysis.report.answers import ASKED, SAID, answers, brackets, compared, headline


def verdicts(overall: str, claim: str, effect: str, estimate: float, low: float, high: float) -> pd.DataFrame:
    """A row for every claim that is asked for, all alike, and one for every conjecture."""
    rows = []
    for conjecture in CONJECTURES:
        for name in ASKED[conjecture]:
            metric = "train_loss" if conjecture == 1 else "test_auroc"
            rows.append((conjecture, name, metric, claim, effect, estimate, low, high, ""))
        rows.append((conjecture, "overall", None, overall, None, None, None, None, ""))
    columns = ["conjecture", "claim", "metric", "verdict", "effect", "estimate", "low", "high", "why"]
    return pd.DataFrame(rows, columns=columns)


def test_every_question_rests_on_claims_that_there_are() -> None:
    names = {claim.name for claim in CLAIMS}
    assert {name for asked in ASKED.values() for name in asked} == set(SAID)
    assert set(SAID) <= names


@pytest.mark.parametrize(
    ("overall", "claim", "effect", "words"),
    [
        ("supported", "supported", "loss", ["Yes", "No, worse", "No, worse", "No, worse"]),
        ("supported", "supported", "none", ["Yes", "No", "No", "No"]),
        ("refuted", "refuted", "gain", ["No", "Yes", "Yes", "Yes"]),
        ("undecided", "undecided", "unknown", ["Not settled"] * 4),
    ],
)
def test_the_word_follows_the_verdict(overall: str, claim: str, effect: str, words: list[str]) -> None:
    found = answers(verdicts(overall, claim, effect, -0.3, -0.4, -0.2), "photos")
    assert [answer.word for answer in found] == words
    assert all("0.300" in answer.sentence and "lower (0.200 to 0.400)" in answer.sentence for answer in found)
    assert found[3].question == "Do weights from photos help?"


@pytest.mark.parametrize(
    ("estimate", "low", "high", "text"),
    [
        (-0.3, -0.4, -0.2, "0.300 lower (0.200 to 0.400)"),
        (0.3, 0.2, 0.4, "0.300 higher (0.200 to 0.400)"),
        (0.1, -0.1, 0.3, "0.100 higher (0.100 lower to 0.300 higher)"),
        (0.1, None, None, "0.100 higher"),
        (0.1, 0.1, 0.1, "0.100 higher (no variation)"),
        (-0.0002, -0.1, 0.1, "less than 0.001 lower (0.100 lower to 0.100 higher)"),
    ],
)
def test_a_difference_says_which_way_it_goes(
    estimate: float, low: float | None, high: float | None, text: str
) -> None:
    assert (
        compared(pd.Series({"metric": "test_auroc", "estimate": estimate, "low": low, "high": high})) == text
    )


def test_what_is_one_test_but_for_its_last_bits_is_told_once() -> None:
    """As the slopes on depth and on parameters are where there are two networks."""
    found = verdicts("undecided", "undecided", "unknown", -0.3, -0.4, -0.2)
    assert len(ASKED[2]) > 1
    last = found.index[(found["conjecture"] == 2) & (found["claim"] == ASKED[2][-1])]
    found.loc[last, "estimate"] += 1e-14
    assert answers(found, "photos")[1].sentence.count("0.300") == 1


def test_one_line_stands_alone() -> None:
    settled = headline(
        verdicts("supported", "supported", "loss", -0.3, -0.4, -0.2), "photos", "On radiographs"
    )
    assert settled == (
        "On radiographs: pretraining on photos does harm (-0.300 AUROC); a larger network is worse "
        "(-0.300 AUROC); twice the data do harm (-0.300 AUROC)."
    )
    open_ = headline(
        verdicts("undecided", "undecided", "unknown", 0.1, -0.1, 0.3), "photos", "On radiographs"
    )
    assert open_.startswith(
        "On radiographs: nothing is settled: pretraining on photos (-0.100 to +0.300 AUROC), "
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.02, 0.3, "nothing is settled: pretraining on photos (rather better, +0.020 to +0.300 AUROC), "),
        (-0.3, -0.02, "nothing is settled: pretraining on photos (rather worse, -0.300 to -0.020 AUROC), "),
        (0.1, 0.1, "nothing is settled: pretraining on photos (+0.100 AUROC, no variation), "),
        (None, None, "nothing is settled (no intervals): pretraining on photos (+0.100 AUROC), "),
    ],
)
def test_what_is_open_says_which_way_it_leans(low: float | None, high: float | None, said: str) -> None:
    rows = verdicts("undecided", "undecided", "unknown", 0.1, low, high)  # type: ignore[arg-type]
    assert headline(rows, "photos", "On radiographs").startswith(f"On radiographs: {said}")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.05, 0.2, "In brackets: 95 % intervals."),
        (None, None, "Without an interval, each of these may be chance."),
        (
            0.1,
            0.1,
            "No variation: all seeds and patients say the same, so nothing tells what is chance.",
        ),
    ],
)
def test_what_brackets_hold_is_said_where_there_are_brackets(
    low: float | None, high: float | None, said: str
) -> None:
    assert brackets(verdicts("undecided", "undecided", "unknown", 0.1, low, high)) == said
