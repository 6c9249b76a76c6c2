"""The batched affine against torchvision's, image by image."""

import numpy as np
import pytest
import torch
from torchvision.models import ResNet18_Weights
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from transfusion.cell import Recipe
from transfusion.training.augmentation import normalize, random_affine


def smooth_images(count, size):
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(7 * x + i) * np.cos(5 * y - i) for i in range(count)]
    return torch.from_numpy((np.stack(waves)[:, None] * 100 + 128).astype(np.float32))


def test_no_transformation_leaves_the_image():
    still = Recipe(rotation_degrees=0, translate_fraction=0, scale_fraction=0)
    images = smooth_images(3, 24)
    moved = random_affine(images, still, torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved, images, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", ["rotation_degrees", "scale_fraction", "translate_fraction"])
def test_each_image_is_moved_as_torchvision_would(kind):
    still = {"rotation_degrees": 0.0, "translate_fraction": 0.0, "scale_fraction": 0.0}
    recipe = Recipe(**{**still, kind: {"rotation_degrees": 20.0}.get(kind, 0.2)})
    images = smooth_images(4, 64)
    ours = random_affine(images, recipe, torch.Generator().manual_seed(1))
    draws = (torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1).numpy()
    centre = slice(20, 44)
    for i in range(4):
        theirs = reference.affine(
            images[i],
            angle=-float(draws[0, i]) * recipe.rotation_degrees,
            translate=(-draws[2:, i] * recipe.translate_fraction * 64).tolist(),
            scale=1 + float(draws[1, i]) * recipe.scale_fraction,
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        # torchvision shifts by whole pixels.
        tolerance = 12 if kind == "translate_fraction" else 2
        torch.testing.assert_close(
            ours[i, :, centre, centre], theirs[:, centre, centre], atol=tolerance, rtol=0
        )
        assert (ours[i] - images[i]).abs().max() > 12, "the draw moves the image, so the comparison can fail"


def test_draws_lie_within_the_recipe_and_differ_between_images():
    recipe = Recipe(rotation_degrees=0, translate_fraction=0.25, scale_fraction=0)
    dot = torch.zeros(200, 1, 33, 33)
    dot[:, :, 16, 16] = 255
    moved = random_affine(dot, recipe, torch.Generator().manual_seed(0))[:, 0]
    x = (moved.sum(1) * torch.arange(33)).sum(1) / moved.sum((1, 2)) - 16
    assert x.abs().max() <= 0.25 * 33 + 1
    assert x.std() == pytest.approx(0.25 * 33 / 3**0.5, rel=0.15)


def test_normalisation_is_torchvisions():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    theirs = ResNet18_Weights.IMAGENET1K_V1.transforms()
    expected = reference.normalize(images / 255, list(theirs.mean), list(theirs.std))
    torch.testing.assert_close(normalize(images), expected)
    assert normalize(images[:, :1]).shape == (2, 3, 8, 8)
