"""A real natural-image task without a download: crops of photographs that installed packages ship.

The label of a crop is the photograph that it was cut from (the surrogate classes of Exemplar-CNN,
Dosovitskiy et al. 2014, arXiv 1406.6909). Drawings, documents and medical images are left out.
"""

from __future__ import annotations

import importlib.resources
from functools import cache

import numpy as np
from PIL import Image

FILES = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/brick.png"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/clock_motion.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/coins.png"),
    ("skimage", "data/grass.png"),
    ("skimage", "data/gravel.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/moon.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/rocket.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
"""Files inside the installed packages; `motorcycle_right.png` is the same scene as the left one."""

SMALLEST_SHARE = 0.25
"""Side of the smallest crop, as a share of the photograph's short side."""

LARGEST_SHARE = 0.75
LONG_SIDE = 512
"""Photographs are reduced to this many pixels first, so that equal shares show equal detail."""


def photographs() -> dict[str, np.ndarray]:
    """The photographs by name, uint8 [H, W, 3]; those in gray have three equal channels.

    Raises:
        FileNotFoundError: an installed package no longer ships one of `FILES`.
    """
    photos = {}
    for package, name in FILES:
        with importlib.resources.as_file(importlib.resources.files(package).joinpath(name)) as file:
            if not file.is_file():
                raise FileNotFoundError(
                    f"{file}: found no such file, expected the photograph; reinstall {package}"
                )
            with Image.open(file) as image:
                photos[file.stem] = np.asarray(image.convert("RGB"))
    return photos


def crops(images: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Square crops at random position, scale, reflection, contrast and brightness.

    Args:
        images: how many, n; every class gets as many as every other, give or take one.
        size: pixels of a side.
        seed: different seeds draw from different streams.

    Returns:
        uint8 [n, 3, size, size] and the photograph of each, int64 [n] in the order of `FILES`.
    """
    photos = _reduced_photographs()
    generator = np.random.default_rng([seed, 0x70686F74])
    classes = generator.permutation(np.arange(images, dtype=np.int64) % len(photos))
    pixels = np.empty((images, 3, size, size), dtype=np.uint8)
    for i, label in enumerate(classes):
        photo = photos[label]
        side = min(photo.size) * np.exp(generator.uniform(np.log(SMALLEST_SHARE), np.log(LARGEST_SHARE)))
        left = generator.uniform(0, photo.width - side)
        top = generator.uniform(0, photo.height - side)
        crop = photo.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        values = np.asarray(crop, dtype=np.float32)
        if generator.random() < 0.5:
            values = values[:, ::-1]
        contrast, brightness = generator.uniform(0.7, 1.3), generator.uniform(-25, 25)
        values = (values - values.mean()) * contrast + values.mean() + brightness
        pixels[i] = np.clip(np.rint(values), 0, 255).astype(np.uint8).transpose(2, 0, 1)
    return pixels, classes


@cache
def _reduced_photographs() -> tuple[Image.Image, ...]:
    reduced = []
    for pixels in photographs().values():
        photo = Image.fromarray(pixels)
        photo.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BILINEAR)
        reduced.append(photo)
    return tuple(reduced)
