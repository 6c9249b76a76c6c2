"""A recipe and cells whose steps and images can be counted by hand."""

import dataclasses

from transfusion.cell import Cell, Recipe

RECIPE = Recipe(
    image_size=24, epochs=3, batch_size=16, range_test_steps=8, frozen_views=2, upstream_images=40,
    upstream_epochs=5,
)  # fmt: skip
TUNED = Cell(architecture="cbr_tiny", train_images=40, init="photos")
FROZEN = dataclasses.replace(TUNED, freeze="backbone")
