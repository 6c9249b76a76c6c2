"""From stored uint8 batches to network inputs: the random affine and the normalisation, on any device."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from transfusion.cell import Recipe
from transfusion.weights_input import MEAN, STD


def normalize(images: Tensor) -> Tensor:
    """Float [B, 3, H, W], channels last, of images [B, 1 or 3, H, W] with values 0 to 255."""
    mean, std = _statistics(images.device)
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


@lru_cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """`MEAN` and `STD` of values 0 to 255, [3, 1, 1], copied to a device once."""
    with torch.inference_mode(False):
        mean, std = (
            torch.tensor(values, device=device, dtype=torch.float32).view(3, 1, 1) * 255
            for values in (MEAN, STD)
        )
    return mean, std


def random_affine(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Rotate, shift and scale each image at random, one bilinear resampling for the batch.

    Args:
        images: uint8 or float [B, C, H, W], square.
        generator: a CPU generator, so that every device draws the same transformations.

    Returns:
        Float [B, C, H, W] with values 0 to 255, black outside of the original.
    """
    draws = torch.rand(3 + 1, images.shape[0], generator=generator) * 2 - 1
    angle = draws[0] * (recipe.rotation_degrees * torch.pi / 180)
    zoom = 1 / (1 + draws[1] * recipe.scale_fraction)
    shift = draws[2:] * (2 * recipe.translate_fraction)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.stack((cos, -sin, shift[0], sin, cos, shift[1]), dim=1).view(-1, 2, 3)
    if images.is_cuda:
        theta = theta.pin_memory().to(images.device, non_blocking=True)  # pageable memory would be waited for
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images.float(), grid, align_corners=False)


def training_inputs(batch: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """What a network trains on: uint8 images augmented and normalised; features in float32."""
    return batch.float() if batch.is_floating_point() else normalize(random_affine(batch, recipe, generator))


def evaluation_inputs(batch: Tensor) -> Tensor:
    """What a network is evaluated on: uint8 images normalised; features in float32."""
    return batch.float() if batch.is_floating_point() else normalize(batch)
