"""What plans reckon with: steps and images of a cell, counted by hand."""

import dataclasses

import pytest
from counted_cells import FROZEN, RECIPE, TUNED

from transfusion.cell import Cell
from transfusion.training.schedule import Passes, epochs_of, passes, steps_of

UPSTREAM = Cell(kind="upstream", finding="photos", architecture="cbr_tiny", train_images=40)


def test_an_epoch_ends_with_what_is_left():
    assert [steps_of(images, RECIPE) for images in (1, 16, 17, 40)] == [1, 1, 2, 3]


def test_epochs_are_those_of_the_cells_kind():
    assert (epochs_of(TUNED, RECIPE), epochs_of(FROZEN, RECIPE), epochs_of(UPSTREAM, RECIPE)) == (3, 3, 5)


@pytest.mark.parametrize(
    ("cell", "views", "expected"),
    [
        (TUNED, 2, Passes(trained_images=8 * 16 + 3 * 40, trained_steps=8 + 9, forward_images=3 * 10 + 100)),
        (UPSTREAM, 2, Passes(trained_images=8 * 16 + 5 * 40, trained_steps=8 + 5 * 3, forward_images=5 * 10)),
        (FROZEN, 2, Passes(head_steps=8 + 3 * 3, forward_images=2 * 40 + 10 + 100)),
        (FROZEN, 9, Passes(head_steps=8 + 3 * 3, forward_images=3 * 40 + 10 + 100)),
        (FROZEN, 0, Passes(head_steps=8 + 3 * 3, forward_images=8 * 16 + 3 * (40 + 10) + 100)),
    ],
)  # fmt: skip
def test_passes_of_a_cell_counted_by_hand(cell, views, expected):
    recipe = dataclasses.replace(RECIPE, frozen_views=views)
    assert passes(cell, recipe, selection=10, evaluation=100) == expected
