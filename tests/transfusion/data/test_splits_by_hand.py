"""When a set counts as small, how many patients of each stratum a part gets, and what is said of words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transfusion.data.dataset import Dataset, Split
from transfusion.data.splits import Shares, allocate, assign, given_parts

ENOUGH = {"test": (20, 20), "selection": (1, 1)}
"""Patients with a positive and with a negative image."""


def dataset_of(patients: int, classes: Mapping[str, tuple[int, int]], official: int = 0) -> Dataset:
    """`patients` of one image each, in parts as a hash might have put them; train gets what is left."""
    parts = [part for part, counts in classes.items() for _ in range(sum(counts))]
    labels = [float(label) for p, n in classes.values() for label in [1] * p + [0] * n]
    rest = patients - len(parts)
    parts += ["train"] * rest + ["official"] * official
    labels += [float(k % 2) for k in range(rest + official)]
    names = pd.Series([f"p{k}" for k in range(len(parts))])
    frame = pd.DataFrame(
        {"image": names + ".png", "patient": names, "study": names, "view": "unknown", "part": parts,
         "Edema": np.array(labels, dtype=np.float32)}
    )  # fmt: skip
    return Dataset(Path("nowhere"), frame, ("Edema",), "0" * 16, Split())


def assigned(dataset: Dataset, **shares: float) -> Dataset:
    return assign(dataset, "Edema", dataset.frame["Edema"].to_numpy(), Shares(**shares))


@pytest.mark.parametrize(
    ("patients", "classes"),
    [(400, ENOUGH), (5_000, ENOUGH | {"test": (1, 1)}), (5_000, ENOUGH | {"test": (1, 99)})],
)
def test_a_set_that_is_large_enough_keeps_its_parts(
    patients: int, classes: dict[str, tuple[int, int]]
) -> None:
    dataset = dataset_of(patients, classes)
    assert assigned(dataset) is dataset


def few(found: int, part: str, what: str, fewest: int) -> str:
    return f"{found} of the patients in {part!r} had a {what} image, fewer than {fewest}"


@pytest.mark.parametrize(
    ("patients", "classes", "why"),
    [
        (399, ENOUGH, "399 patients are fewer than 400"),
        (
            400,
            ENOUGH | {"test": (19, 21)},
            few(19, "test", "positive", 20),
        ),
        (
            400,
            ENOUGH | {"test": (21, 19)},
            few(19, "test", "negative", 20),
        ),
        (
            4_999,
            ENOUGH | {"test": (1, 99)},
            few(1, "test", "positive", 20),
        ),
        (5_000, ENOUGH | {"test": (0, 99)}, few(0, "test", "positive", 1)),
        (900, ENOUGH | {"selection": (0, 9)}, few(0, "selection", "positive", 1)),
    ],
)
def test_a_small_set_is_parted_anew_and_says_why(
    patients: int, classes: dict[str, tuple[int, int]], why: str
) -> None:
    done = assigned(dataset_of(patients, classes, official=7))
    assert done.split.rule == "stratified"
    assert why in done.split.why
    assert "20 % for 'test' and 10 % for 'selection'" in done.split.why
    counts = done.frame["part"].value_counts()
    assert counts["official"] == 7
    assert counts["test"] == pytest.approx(0.2 * patients, abs=2)


@pytest.mark.parametrize(
    ("patients", "shares", "expected"),
    [
        (2_000, {"test": 0.5}, "50 % for 'test' and 2 % for 'selection'"),
        (2_000, {"test": 0.98}, "98 % for 'test' and 1 % for 'selection'"),
        (2_000, {"selection": 0.25}, "8 % for 'test' and 25 % for 'selection'"),
        (300, {"selection": 0.7}, "15 % for 'test' and 70 % for 'selection'"),
        (300, {"test": 0.3, "selection": 0.25}, "30 % for 'test' and 25 % for 'selection'"),
    ],
)
def test_a_share_that_is_not_given_is_the_usual_one_or_half_of_what_is_left(
    patients: int, shares: dict[str, float], expected: str
) -> None:
    assert (
        expected
        in assigned(dataset_of(patients, {"test": (40, 40), "selection": (9, 9)}), **shares).split.why
    )


def test_patients_of_each_stratum_by_hand() -> None:
    """Strata: 3 with neither class, 20 with positive images, 60 with negative ones, 5 with both.

    First two patients of either class to the test and one each to the others; then the test up to 0.2 of each
    stratum, rounded (1, 4, 12, 1), selection up to 0.1 (0, 2, 6, 1); the rest trains.
    """
    counts = allocate(np.array([3, 20, 60, 5]), {"test": 0.2, "selection": 0.1})
    assert counts is not None
    assert {part: own.tolist() for part, own in counts.items()} == {
        "test": [1, 4, 12, 1], "selection": [0, 2, 6, 1], "train": [2, 14, 42, 3],
    }  # fmt: skip


def test_patients_of_both_classes_stand_in_where_one_class_alone_is_not_there() -> None:
    """One patient with positive images alone: the test takes it with a negative one, then who has both."""
    counts = allocate(np.array([0, 1, 9, 3]), {"test": 0.1, "selection": 0.1})
    assert counts is not None
    assert {part: own.tolist() for part, own in counts.items()} == {
        "test": [0, 1, 1, 1], "selection": [0, 0, 1, 1], "train": [0, 0, 7, 1],
    }  # fmt: skip
    assert allocate(np.array([0, 1, 9, 2]), {"test": 0.1, "selection": 0.1}) is None


@pytest.mark.parametrize("count", [5, 6])
def test_of_many_unknown_words_and_torn_patients_five_are_named(count: int) -> None:
    words = [f"part{k}" for k in range(count)] * 2
    torn = [f"t{k}" for k in range(count)] * 2
    values = pd.Series([*words, *["train"] * count, *["test"] * count, ""])
    patients = pd.Series([*[f"p{k}" for k in range(2 * count)], *torn, "q"])
    parts, problems = given_parts(values, patients, lambda rows: f"rows {rows.tolist()}")
    assert parts.tolist() == ["train"] * 3 * count + ["test"] * count + ["train"]
    unknown = [one for one in problems if "patient" not in one.found]
    split = [one for one in problems if "patient" in one.found and "in two parts" not in one.found]
    assert len(problems) == 10
    assert unknown[0].where == f"rows [0, {count}]"
    in_all = f" ({count + 1} words in all name no part)"
    assert unknown[0].found == f"'part0'{in_all}"
    at = 2 * count
    assert problems[5].where == f"rows [{at}, {at + count}]"
    more = f" ({count} patients in all are in two parts)" if count > 5 else ""
    assert problems[5].found == f"patient t0 in train and test{more}"
    assert len(split) == (5 if count == 5 else 0)
