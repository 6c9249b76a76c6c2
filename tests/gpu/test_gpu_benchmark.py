"""The benchmark of a GPU ends with a table, whatever dies in it; shown by processes that use none."""

import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import side_by_side


def member(fate: str, number: int, begin) -> float:
    """One of several processes: the one that makes the folder `fate` names meets that fate."""
    kind, folder = fate.split(":", 1)
    try:
        Path(folder).mkdir()
    except FileExistsError:
        kind = "lives"
    if kind == "killed":
        os.kill(os.getpid(), 9)
    if kind == "raises":
        raise RuntimeError("CUDA out of memory")
    if kind == "hangs":
        time.sleep(60)
    begin()
    return 7.0


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("killed", "exit code -9"),
        pytest.param("raises", "CUDA out of memory", marks=pytest.mark.slow),
        pytest.param("hangs", "no answer", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_dies_or_hangs_is_named_and_not_waited_for(tmp_path, kind, said):
    patience = 2 if kind == "hangs" else 120
    start = time.monotonic()
    answers = side_by_side.side_by_side(partial(member, f"{kind}:{tmp_path / 'first'}"), 2, patience)
    assert time.monotonic() - start < 100
    assert sum(said in str(answer) for answer in answers) >= 1
    assert 7.0 not in answers


def test_a_part_that_fails_is_named_in_the_last_table():
    def broken() -> None:
        raise ValueError("no cuDNN")

    assert side_by_side.outcome_of(broken) == "ValueError: no cuDNN"
    assert side_by_side.outcome_of(lambda: None) == side_by_side.WELL
