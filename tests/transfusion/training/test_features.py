"""Features of a backbone that is known: which row of which part and view they are, and in what type."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from transfusion.cell import Recipe
from transfusion.training import features
from transfusion.training.features import feature_task, holds
from transfusion.training.task import CPU, Task

STILL = Recipe(
    image_size=4, epochs=4, frozen_views=3, rotation_degrees=0, translate_fraction=0, scale_fraction=0
)


class Brightness:
    """A backbone of two features, the mean of an image times `factor` and its square."""

    head = SimpleNamespace(in_features=2)

    def __init__(self, factor=1.0):
        self.factor, self.modes = factor, []

    def eval(self):
        self.modes.append("eval")

    def features(self, images):
        mean = images.mean((1, 2, 3)) * self.factor
        return torch.stack((mean, mean**2), dim=1)


def task_of(count=9):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 4, 4), np.uint8)
    targets = np.arange(count, dtype=np.float32)[:, None]
    rows = {"train": np.arange(2, 7), "selection": np.array([0, 8]), "test": np.array([1])}
    return Task(images, targets, 1, rows, balanced=True)


def test_every_view_of_the_training_part_and_the_other_parts_once():
    task, network = task_of(), Brightness()
    found = feature_task(network, task, STILL, 0, CPU)
    source = [*[2, 3, 4, 5, 6] * 3, 0, 8, 1]
    assert found.targets[:, 0].tolist() == source
    assert {part: rows.tolist() for part, rows in found.rows.items()} == {
        "train": [0, 1, 2, 3, 4], "selection": [15, 16], "test": [17]
    }  # fmt: skip
    assert (found.views, found.balanced, found.outputs) == (3, True, 1)
    assert network.modes == ["eval"]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    gray = task.inputs[source].astype(np.float64).mean((1, 2, 3)) / 255
    expected = ((gray[:, None] - mean) / deviation).mean(1)
    np.testing.assert_allclose(found.inputs[:, 0], expected, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found.inputs[:, 1], expected**2, rtol=4e-3, atol=2e-3)


def test_training_images_are_moved_in_every_view_and_the_others_are_not():
    """Moved by up to half of its side, an image loses brightness to the black around it."""
    moving = dataclasses.replace(STILL, translate_fraction=0.5)
    still, moved = (
        feature_task(Brightness(), task_of(), one, 0, CPU).inputs[:, 0] for one in (STILL, moving)
    )
    views = moved[:15].reshape(3, 5)
    assert (views != still[:5]).all()
    assert all((views[one] != views[other]).all() for one, other in ((0, 1), (0, 2), (1, 2)))
    np.testing.assert_array_equal(moved[15:], still[15:])


def test_there_are_no_more_views_than_epochs():
    found = feature_task(Brightness(), task_of(), STILL, 0, CPU)
    assert len(found.inputs) == 3 * 5 + 3
    few = Recipe(image_size=4, epochs=2, frozen_views=3)
    assert len(feature_task(Brightness(), task_of(), few, 0, CPU).inputs) == 2 * 5 + 3


@pytest.mark.parametrize(("factor", "kind"), [(1.0, np.float16), (1e4, np.float32)])
def test_the_peak_of_memory_is_reset_after_the_first_batch_alone(monkeypatch, factor, kind):
    """Also where float16 cannot hold the features of it, and they are computed anew."""
    reset = []
    monkeypatch.setattr(features.acceleration, "warmed_up", reset.append)
    found = feature_task(Brightness(factor), task_of(), STILL, 0, CPU)
    assert reset == [CPU]
    assert found.inputs.dtype == kind


@pytest.mark.parametrize(
    ("values", "held"),
    [
        ([1.0, 0.5], True),
        ([1.0, 1 + 2.0**-11], True),  # off by half a unit of its last digit
        ([1e-7, 2e-7], False),  # below the smallest numbers of full precision
        ([1e5, 1.0], False),
        ([1e5, np.nan], False),
        ([60000.0, 1e-9], True),  # what is small beside the largest may round to nothing
        ([0.0, 0.0], True),
    ],
)
def test_half_precision_holds_what_it_rounds_by_its_last_digit(values, held):
    values = np.array(values, np.float32)
    with np.errstate(over="ignore"):
        assert holds(values.astype(np.float16), values) == held
