"""Tables of what was judged: a conjecture's claims, their tests, alternatives, and the study's findings."""

from __future__ import annotations

import pandas as pd

from analysis.claims.robust import changed
from analysis.claims.same import once
from analysis.report.render import Fold, Table, probability, table
from analysis.report.wording import (
    EFFECTS,
    EXPECTED,
    SEEDS,
    counted,
    difference,
    digits_of,
    interval,
    repeated,
    without,
)


def claims(rows: pd.DataFrame) -> Table | None:
    """The claims of one conjecture that were tested, each number once; rows of `verdicts`.

    A reason that all of them share is left to `one_reason`.
    """
    shared = bool(one_reason(rows))
    rows = once(rows)
    return table(
        pd.DataFrame(
            {
                "question": rows["question"],
                "found": [EFFECTS.get(effect, effect) for effect in rows["effect"]],
                f"difference {interval(rows)}": [
                    f"{difference(row, without(rows))} {row['unit']}" for _, row in rows.iterrows()
                ],
                "interval for all looks together": [repeated(row) for _, row in rows.iterrows()],
                "smallest that matters": [f"{margin:g}" for margin in rows["margin"]],
                "n": [counted(row) for _, row in rows.iterrows()],
                "decided after": [f"{look:.0f} seeds" if pd.notna(look) else "" for look in rows["look"]],
                "why": "" if shared else rows["because"],
                "claim": [
                    f"{verdict}{'' if needed else ' (stands beside)'}"
                    for verdict, needed in zip(rows["verdict"], rows["needed"].astype(bool), strict=True)
                ],
            }
        ),
        "verdicts.parquet",
    )


def one_reason(rows: pd.DataFrame) -> str:
    """The reason that all tested claims of one conjecture share, as a sentence; empty for one claim alone, or
    for several reasons."""
    reasons = once(rows)["because"].tolist()
    return f"Why, for all of them: {reasons[0]}" if len(reasons) > 1 and len(set(reasons)) == 1 else ""


def robustness(rows: pd.DataFrame) -> Table | None:
    """A row per alternative that was judged: the conjectures' verdicts, and the claims whose verdict changes;
    rows of `robustness`."""
    rows = rows[rows["not_available"].isna()]
    shown = []
    for name, mine in rows.groupby("alternative", sort=False):
        overall = mine[mine["claim"] == "overall"].set_index("conjecture")["verdict"]
        other = changed(mine[mine["claim"] != "overall"])
        told = [
            f"{question} {verdict} instead of {before}"
            for question, verdict, before in zip(
                other["question"], other["verdict"], other["as_judged"], strict=True
            )
        ]
        shown.append(
            {
                "judged with": name,
                **{f"conjecture {number}": verdict for number, verdict in overall.items()},
                "claims that change": "; ".join(told),
            }
        )
    return table(pd.DataFrame(shown), "robustness.parquet")


def tests(rows: pd.DataFrame) -> Fold | None:
    """The tests of the claims of one conjecture; rows of `verdicts`."""
    rows = once(rows)
    shown = table(
        pd.DataFrame(
            {
                "question": rows["question"],
                "the claim expects": [EXPECTED.get(word, word) for word in rows["expects"]],
                "p, supports": [probability(p) for p in rows["p_supported"]],
                "p, refutes": [probability(p) for p in rows["p_refuted"]],
                "effect found in four of five such grids": [
                    f"{value:.{digits_of(metric)}f}" if pd.notna(value) else "none"
                    for value, metric in zip(rows["smallest_effect"], rows["metric"], strict=True)
                ],
                "likely worse, same, better": [_likely(row) for _, row in rows.iterrows()],
                "chance between runs": [SEEDS.get(word, word) for word in rows["seed_part"]],
            }
        ),
        "verdicts.parquet",
    )
    if shown is None:
        return None
    note = (
        "p: of the test that supports the claim and of the one that refutes it, times the number of tests. "
        "Worse and better: by the smallest effect that matters; how likely, by the estimate alone."
    )
    about = "p-values, what this grid could find, and how likely worse, about the same and better are"
    return Fold("The tests in numbers", about, (shown,), (note,))


def _likely(row: pd.Series) -> str:
    """`3 %, 90 %, 7 %`; empty where it is not known."""
    shares = [row[f"likely_{how}"] for how in ("worse", "same", "better")]
    return (
        ""
        if any(pd.isna(share) for share in shares)
        else ", ".join(f"{100 * share:.0f} %" for share in shares)
    )


def study_results(rows: pd.DataFrame, verdicts: pd.DataFrame) -> Table | None:
    """The study's findings that were tested, beside ours; rows of `findings`."""
    rows = rows[rows["estimate"].notna()]
    return table(
        pd.DataFrame(
            {
                "the study found": rows["finding"],
                "figure": rows["figure"],
                "published": rows["published"],
                f"ours {interval(rows)}": [
                    f"{difference(row, without(rows))} {row['unit']}" for _, row in rows.iterrows()
                ],
                "smallest that matters": [f"{margin:g}" for margin in rows["margin"]],
                "n": [counted(row) for _, row in rows.iterrows()],
                "here": rows["verdict"],
                "note": [_elsewhere(row, verdicts) for _, row in rows.iterrows()],
            }
        ),
        "findings.parquet",
    )


def _elsewhere(row: pd.Series, verdicts: pd.DataFrame) -> str:
    """Where the same estimate stands under a conjecture with another outcome, and why that can be."""
    agree = {"reproduced": "supported", "not reproduced": "refuted", "undecided": "undecided"}
    same = verdicts[
        (verdicts["metric"] == row["metric"])
        & (verdicts["estimate"] == row["estimate"])
        & (verdicts["low"] == row["low"])
    ]
    other = same[same["verdict"] != agree.get(str(row["verdict"]))]
    if other.empty:
        return ""
    one = other.iloc[0]
    return (
        f"Under conjecture {one['conjecture']:.0f} the same estimate is {one['verdict']}: another claim, "
        "corrected for another number of tests."
    )
