"""Which labels cannot be trained or measured with: parts of one class, of none, or with too few images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transfusion.data.checks import label_problems, upstream_problems
from transfusion.data.dataset import Dataset
from transfusion.data.part_counts import count

BOTH = [1.0, 0.0]


def dataset_of(**labels: list[float]) -> Dataset:
    """Parts with images of these labels, one of each patient."""
    parts = [part for part, values in labels.items() for _ in values]
    names = pd.Series([f"p{number}" for number in range(len(parts))])
    flat = np.array([label for values in labels.values() for label in values], dtype=np.float32)
    frame = pd.DataFrame({"image": names + ".png", "patient": names, "part": parts, "Edema": flat})
    return Dataset(Path("nowhere"), frame, ("Edema",), "0" * 16)


def told(dataset: Dataset, train_images: int = 2, findings: tuple[str, ...] = ("Edema",)) -> list[str]:
    found = label_problems(dataset, findings, train_images, lambda finding: "ignore", "ignore")
    return [f"{problem.where}: {problem.found}" for problem in found]


def test_parts_with_both_classes_are_enough_and_official_may_be_absent() -> None:
    assert told(dataset_of(train=BOTH, selection=BOTH, test=BOTH)) == []
    assert told(dataset_of(train=BOTH, selection=BOTH, test=BOTH, official=BOTH)) == []


@pytest.mark.parametrize("part", ["train", "selection", "test", "official"])
@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([1.0, 1.0], "2 positive and 0 negative images"),
        ([0.0, -1.0], "0 positive and 1 negative images"),
        ([np.nan, -1.0], "0 positive and 0 negative images"),
    ],
)
def test_a_part_of_one_class_is_a_problem(part: str, labels: list[float], found: str) -> None:
    parts = {"train": BOTH, "selection": BOTH, "test": BOTH, "official": BOTH, part: labels}
    assert told(dataset_of(**parts)) == [f"finding 'Edema', part {part!r}: {found}"]


def test_a_part_without_images_is_a_problem_and_a_train_part_without_images_two() -> None:
    nothing = "0 positive and 0 negative images"
    assert told(dataset_of(train=BOTH, test=BOTH)) == [f"finding 'Edema', part 'selection': {nothing}"]
    assert told(dataset_of(selection=BOTH, test=BOTH)) == [
        "part 'train': 0 images",
        f"finding 'Edema', part 'train': {nothing}",
    ]


def test_as_many_training_images_as_are_asked_for_are_enough() -> None:
    dataset = dataset_of(train=[1.0, 0.0, 0.0], selection=BOTH, test=BOTH)
    assert told(dataset, train_images=3) == []
    assert told(dataset, train_images=4) == ["part 'train': 3 images"]


def test_a_finding_that_is_not_there_is_named_beside_the_others() -> None:
    dataset = dataset_of(train=BOTH, selection=BOTH, test=[1.0])
    assert told(dataset, findings=("Oedema", "Edema")) == [
        "finding: 'Oedema'",
        "finding 'Edema', part 'test': 1 positive and 0 negative images",
    ]


@pytest.mark.parametrize(
    ("train", "selection", "parts"),
    [
        (BOTH, [1.0], []),
        (BOTH, [np.nan, 0.0], []),
        (BOTH, [np.nan, np.nan], ["selection"]),
        ([1.0, np.nan], BOTH, ["train"]),
        ([0.0, 0.0], [np.nan], ["train", "selection"]),
    ],
)
def test_pretraining_needs_both_classes_to_train_on_and_one_label_to_choose_by(
    train: list[float], selection: list[float], parts: list[str]
) -> None:
    dataset = dataset_of(train=train, selection=selection, test=[np.nan])
    counts = count(dataset, ["Edema"], lambda finding: "ignore", "ignore")
    assert [problem.where for problem in upstream_problems(counts)] == [
        f"finding 'Edema', part {part!r}" for part in parts
    ]
