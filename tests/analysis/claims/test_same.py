"""One test is told once, whatever number of questions it answers."""

import pandas as pd
import pytest

from analysis.claims.same import joined, once


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("Is it flat in depth, at 5?", "Is it flat in width, at 5?", "Is it flat in depth or width, at 5?"),
        ("Is it flat in depth?", "Is it flat in more width?", "Is it flat in depth or more width?"),
        ("Deep ones fit at 5?", "Wide ones fit at 5?", "Deep or Wide ones fit at 5?"),
        ("Is it in one, two or, at 5?", "Is it in size, at 5?", "Is it in one, two or or size, at 5?"),
        ("Is it 1 2 3 4 at 5?", "Is it 6 at 5?", "Is it 1 2 3 4 at 5? Is it 6 at 5?"),
        ("Is it 6 at 5?", "Is it 1 2 3 4 at 5?", "Is it 6 at 5? Is it 1 2 3 4 at 5?"),
        ("Do all train?", "Are they good enough to tell?", "Do all train? Are they good enough to tell?"),
    ],
)
def test_questions_that_differ_in_a_word_are_one_question(one: str, other: str, both: str) -> None:
    assert joined(one, other) == both


def test_rows_with_the_same_numbers_are_one_test_and_untested_ones_are_left_out() -> None:
    rows = pd.DataFrame(
        [
            (2, "a", "In depth, at 5?", "test_auroc", "zero", 0.1, 0.0, 0.2),
            (2, "b", "In width, at 5?", "test_auroc", "zero", 0.1 + 1e-16, 1e-17, 0.2),
            (2, "c", "In depth, at 9?", "test_auroc", "zero", 0.1, -0.1, 0.2),
            (3, "d", "Another one?", "test_auroc", "zero", 0.1, 0.0, 0.2),
            (3, "e", "Untested?", "test_auroc", "zero", None, None, None),
        ],
        columns=["conjecture", "claim", "question", "metric", "expects", "estimate", "low", "high"],
    )
    found = once(rows)
    assert list(found["claim"]) == ["a", "c", "d"]
    assert found["question"].iloc[0] == "In depth or width, at 5?"
