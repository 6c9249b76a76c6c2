"""Every spelling of a label is one of four values, or is refused with its rows and what to write instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfusion.layouts.csv_rows import read_rows
from transfusion.layouts.label_csv import parse_labels


def test_every_spelling_of_a_label(tmp_path: Path) -> None:
    spelled = ["1", "1.0", "+1", "1.", "True", "0", "-0", "0.00", "FALSE", "-1", "-1.0", ""]
    (tmp_path / "t.csv").write_text("\n".join(["n;Edema", *(f"x;{text}" for text in spelled), "x;1,0"]))
    labels, problems = parse_labels(read_rows(tmp_path / "t.csv", ("n", "Edema")), ["Edema"])
    assert not problems
    assert labels["Edema"].dtype == np.float32
    expected = [1.0] * 5 + [0.0] * 4 + [-1.0, -1.0, np.nan, 1.0]
    np.testing.assert_array_equal(labels["Edema"], expected)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Yes", "write 1 in its place"),
        ("negative", "write 0 in its place"),
        ("possible", "write -1 in its place"),
        ("N/A", "empty the field"),
        ("0.5", "decide for 1 or 0, by a threshold"),
        ("3", "correct or empty the field"),
        ("2.0", "correct or empty the field"),
        ("much", "correct or empty the field"),
    ],
)
def test_what_is_no_label_is_refused_with_what_to_write(tmp_path: Path, text: str, advice: str) -> None:
    (tmp_path / "t.csv").write_text(f"n,Edema\nx,1\nx,{text}\nx,0\nx,{text}\n")
    _, (problem,) = parse_labels(read_rows(tmp_path / "t.csv", ("n", "Edema")), ["Edema"])
    assert problem.where.endswith("t.csv, row 3 and 1 more (5), column 'Edema'")
    assert (problem.found, problem.advice) == (repr(text), advice)
