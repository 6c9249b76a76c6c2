"""Rows, orders, balance and batches of a task."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from transfusion.cell import Cell, Recipe
from transfusion.data.dataset import Dataset
from transfusion.layouts import imagenet
from transfusion.training.task import Batches, Task, finding_task, imagenet_task, photos_task

CELL = Cell(architecture="cbr_tiny", train_images=40)


def task_of(labels, views=1, balanced=False):
    targets = np.tile(np.array(labels, dtype=np.float32), views)[:, None]
    inputs = np.arange(len(targets), dtype=np.float32)[:, None]
    return Task(inputs, targets, 1, {"train": np.arange(len(labels))}, views, balanced)


def test_an_epoch_is_a_permutation_of_the_training_rows():
    task = task_of([0, 1, 0, 0, 1])
    orders = [task.training_rows(epoch, np.random.default_rng(epoch)).tolist() for epoch in range(20)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len({tuple(order) for order in orders}) > 10


def test_views_take_turns():
    task = task_of([0, 1, 0], views=2)
    seen = [sorted(task.training_rows(epoch, np.random.default_rng(0)).tolist()) for epoch in range(3)]
    assert seen == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]


def test_balanced_epochs_hold_as_many_of_either_class_and_use_every_image_in_turn():
    labels = [1] * 4 + [0] * 36 + [np.nan] * 2
    task = task_of(labels, balanced=True)
    rows = task.training_rows(0, np.random.default_rng(0))
    assert len(rows) == len(labels)
    assert (task.targets[rows, 0] == 1).sum() == (task.targets[rows, 0] == 0).sum() == 21
    _, repeats = np.unique(rows[rows < 4], return_counts=True)
    assert len(repeats) == 4
    assert repeats.max() - repeats.min() <= 1
    assert len(np.unique(rows[rows >= 4])) == 21, "the frequent class does not repeat within an epoch"
    epochs = [task.training_rows(epoch, np.random.default_rng(epoch)) for epoch in range(20)]
    assert set(np.concatenate(epochs)) == set(range(40))


def test_balance_needs_both_classes():
    with pytest.raises(ValueError, match="label 0"):
        task_of([1, 1], balanced=True).training_rows(0, np.random.default_rng(0))


def test_batches_cover_the_rows_in_order():
    task = task_of(range(10))
    batches = Batches(task, np.array([9, 3, 5, 0, 2]), 2)
    assert len(batches) == 3
    assert [inputs[:, 0].tolist() for inputs, _ in batches] == [[9, 3], [5, 0], [2]]
    assert [targets[:, 0].tolist() for _, targets in batches] == [[9, 3], [5, 0], [2]]


def test_batches_that_are_skipped_are_counted_and_left_out():
    task = task_of(range(10))
    for skip in range(4):
        batches = Batches(task, np.array([9, 3, 5, 0, 2]), 2, skip=skip)
        assert len(batches) == 3
        assert [inputs[:, 0].tolist() for inputs, _ in batches] == [[9, 3], [5, 0], [2]][skip:]


def test_the_parts_of_a_finding(dataset):
    images = np.zeros((len(dataset.frame), 4, 4), np.uint8)
    task = finding_task(CELL, Recipe(), dataset, images)
    assert {part: len(rows) for part, rows in task.rows.items()} == {
        "train": 40,
        **{part: len(dataset.rows(part)) for part in ("selection", "test", "official")},
    }
    everything = np.concatenate(list(task.rows.values()))
    assert len(np.unique(everything)) == len(everything)
    np.testing.assert_array_equal(task.targets[:, 0], dataset.labels("Edema", "ones", "zeros"))


def test_photographs_hold_a_tenth_out(quick):
    task = photos_task(
        Cell(kind="upstream", finding="photos", architecture="cbr_tiny", train_images=60), quick
    )
    assert {part: len(rows) for part, rows in task.rows.items()} == {"train": 60, "selection": 6}
    assert task.inputs.shape == (66, 3, quick.image_size, quick.image_size)
    assert task.outputs == task.targets.max() + 1 > 10


def test_a_finding_has_one_output_and_the_classes_of_imagenet_one_each(tmp_path):
    frame = pd.DataFrame(
        {"image": list("abcd"), "patient": list("abcd"), "part": ["train", "train", "train", "selection"],
         "Edema": np.array([1, 0, 1, 0], np.float32), imagenet.CLASS: [0, 6, 2, 6]}
    )  # fmt: skip
    dataset = Dataset(tmp_path, frame, ("Edema",), "0" * 16)
    cell = Cell(architecture="cbr_tiny", train_images=3)
    for balance in ("natural", "balanced"):
        one = dataclasses.replace(cell, balance=balance)
        found = finding_task(one, Recipe(), dataset, np.zeros((4, 2, 2), np.uint8))
        assert (found.outputs, found.balanced) == (1, balance == "balanced")
    task = imagenet_task(cell, dataset, np.zeros((4, 3, 2, 2), np.uint8))
    assert task.outputs == 7
    assert task.targets.tolist() == [0, 6, 2, 6]
    assert sorted(task.rows["train"]) == [0, 1, 2]
    assert task.rows["selection"].tolist() == [3]
