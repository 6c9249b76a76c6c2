"""What a cell asks of a machine: its steps, its passes over images, its copies of weights.

Training is done by these numbers, and plans reckon with them: so no torch is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

from transfusion.cell import NATURAL_IMAGES, Cell, Recipe

EVALUATION_BATCH = 64
"""Images per forward pass when nothing is trained; no result depends on it."""

CONTEXT_BYTES = 700 * 2**20
"""What CUDA takes in every process, outside torch's own accounting (typical, not measured)."""

COPIES_OF_WEIGHTS = 5
"""Weights, gradients, Adam's two moments, and the state of the best epoch; frozen, the weights alone."""

COPIES_OF_ACTIVATIONS = 2
"""Activations kept for the backward pass, and gradients and work space of a like size."""


@dataclass(frozen=True, kw_only=True)
class Passes:
    """What a cell does from its range test to its evaluation.

    Attributes:
        trained_images, trained_steps: forward and backward, through the whole network.
        head_steps: of a head alone, on features.
        forward_images: through the backbone without a way back.
    """

    trained_images: int = 0
    trained_steps: int = 0
    head_steps: int = 0
    forward_images: int = 0


def epochs_of(cell: Cell, recipe: Recipe) -> int:
    """Epochs of the cell."""
    return recipe.upstream_epochs if cell.kind == "upstream" else recipe.epochs


def views_of(recipe: Recipe) -> int:
    """Augmented views of each training image of which a frozen backbone computes the features."""
    return min(recipe.frozen_views, recipe.epochs)


def steps_of(images: int, recipe: Recipe) -> int:
    """Training steps of an epoch over so many images."""
    return -(-images // recipe.batch_size)


def passes(cell: Cell, recipe: Recipe, selection: int, evaluation: int) -> Passes:
    """The passes of a whole cell.

    Args:
        selection, evaluation: images of the selection part, and of the parts that are predicted at the end.
    """
    epochs, images = epochs_of(cell, recipe), cell.train_images
    tested = recipe.range_test_steps * min(images, recipe.batch_size)
    steps = recipe.range_test_steps + epochs * steps_of(images, recipe)
    evaluated = 0 if cell.finding in NATURAL_IMAGES else evaluation
    if cell.freeze == "none":
        return Passes(
            trained_images=tested + epochs * images,
            trained_steps=steps,
            forward_images=epochs * selection + evaluated,
        )
    if recipe.frozen_views:  # features are computed once
        forward = views_of(recipe) * images + selection + evaluated
    else:
        forward = tested + epochs * (images + selection) + evaluated
    return Passes(head_steps=steps, forward_images=forward)
