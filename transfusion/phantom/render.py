"""One synthetic radiograph from one row of labels in CheXpert's format.

The anatomy depends on the patient, the disease on the study, pose, exposure and noise on the image; all three
are drawn from the path in the row. Any CSV in CheXpert's format can be rendered, the real one included.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np

from transfusion.layouts.chexpert import FINDINGS
from transfusion.phantom.anatomy import build_of, draw_frontal, draw_lateral
from transfusion.phantom.canvas import Canvas, smooth_noise
from transfusion.phantom.findings import DRAW
from transfusion.phantom.labels import Radiograph

VERSION = 1
"""Raised whenever the same row gives another image."""

LONG_PER_SHORT = 390 / 320
"""Sides of the images of CheXpert-v1.0-small, about 390 x 320."""

PRESENT_WHEN_UNCERTAIN = {"Edema": 0.8, "Atelectasis": 0.8, "Consolidation": 0.15}
"""Chance that a finding labelled -1 is really there (0.5 for those not named): right on average for U-Ones on
Edema and Atelectasis and for U-Zeros on Consolidation, the policies that suit them in Irvin et al. 2019."""


def render(row: Radiograph, size: int, seed: int = 0, difficulty: float = 0.5) -> np.ndarray:
    """Draws the radiograph.

    Args:
        row: path, sex, age, view, projection and labels; 1 is drawn, 0 and blank are not, -1 follows a hidden
            truth.
        size: pixels of the short side.
        seed: draws everything anew.
        difficulty: 0 to 1; fainter findings, more variation of pose, exposure and noise.

    Returns:
        uint8 [H, W]: landscape for a frontal view, portrait for a lateral one.
    """
    path = PurePosixPath(row.path)
    patient = _generator(seed, str(path.parent.parent))
    study = _generator(seed, str(path.parent))
    image = _generator(seed, row.path)
    present = _severities(row, study, difficulty)
    frontal = row.view != "lateral"
    canvas = _posed(_shape(size, frontal), image, difficulty)
    build = build_of(patient, row.sex, row.age)
    heart, wide = present["Cardiomegaly"], present["Enlarged Cardiomediastinum"]
    if frontal:
        draw_frontal(canvas, build, patient, heart, wide, magnified=row.projection != "PA")
    else:
        draw_lateral(canvas, build, patient, heart, wide)
    for (finding, draw), stream in zip(DRAW, study.spawn(len(DRAW)), strict=True):
        if present[finding]:
            draw(canvas, present[finding], stream)
    return _exposed(canvas, image, difficulty, build.fat, portable=frontal and row.projection != "PA")


def _severities(row: Radiograph, study: np.random.Generator, difficulty: float) -> dict[str, float]:
    """How strongly each finding shows; 0 where it is not there."""
    visibility = 1.4 * 0.25**difficulty
    severities = {}
    for finding, label in zip(FINDINGS, row.labels, strict=True):
        truth, strength = study.random(), study.uniform(0.55, 1.25)
        there = truth < PRESENT_WHEN_UNCERTAIN.get(finding, 0.5) if label == -1 else label == 1
        severities[finding] = strength * visibility if there else 0.0
    return severities


def _posed(shape: tuple[int, int], image: np.random.Generator, difficulty: float) -> Canvas:
    turn = math.radians(image.normal(0, 1 + 6 * difficulty))
    scale = image.uniform(1 - 0.2 * difficulty, 1 + 0.2 * difficulty)
    shift_x, shift_y = image.normal(0, 0.01 + 0.1 * difficulty, size=2)
    columns, rows = _axes(shape)
    cos, sin = np.float32(math.cos(turn) * scale), np.float32(math.sin(turn) * scale)
    x = columns * cos - rows * sin + np.float32(shift_x)
    y = columns * sin + rows * cos + np.float32(shift_y)
    mottle = smooth_noise(image, 9, shape) * np.float32(0.8) + smooth_noise(image, 20, shape) * np.float32(
        0.6
    )
    return Canvas(x, y, np.zeros(shape, dtype=np.float32), [], mottle, 2 / min(shape))


def _exposed(
    canvas: Canvas, image: np.random.Generator, difficulty: float, fat: float, portable: bool
) -> np.ndarray:
    """Film curve, scatter, uneven exposure, quantum noise, and collimation."""
    spread = difficulty * (2.1 if portable else 1.6)
    shape = canvas.density.shape
    light = np.clip(canvas.density * np.float32(1 / 1.2), 0, None)
    light **= np.float32(math.exp(image.normal(-0.05, 0.22 * spread)))
    scatter = 0.04 + 0.5 * fat + image.uniform(0, 0.14) * spread
    light = light * np.float32(1 - scatter) + np.float32(scatter * 0.6)
    light *= np.float32(math.exp(image.normal(0, 0.14 * spread)))
    light += np.float32(image.normal(0, 0.07 * spread))
    light += smooth_noise(image, 2, shape) * np.float32(0.06 * spread)
    light += smooth_noise(image, 7, shape) * np.float32(0.045 * spread)
    light += image.standard_normal(shape, dtype=np.float32) * np.float32(0.012 + 0.05 * difficulty)
    border = int(image.uniform(0, 0.04) * min(shape)) if image.random() < 0.5 else 0
    if border:
        light[:border] = light[-border:] = 0.02
    return np.clip(np.rint(light * np.float32(255)), 0, 255).astype(np.uint8)


def _shape(size: int, frontal: bool) -> tuple[int, int]:
    long = round(size * LONG_PER_SHORT)
    return (size, long) if frontal else (long, size)


@lru_cache(maxsize=8)
def _axes(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Body coordinates of the pixels before the pose: x [1, W] and y [H, 1]; the short side spans -1 to 1."""
    rows, columns = shape
    half = min(shape) / 2
    x = (np.arange(columns, dtype=np.float32) + np.float32(0.5 - columns / 2)) / np.float32(half)
    y = (np.arange(rows, dtype=np.float32) + np.float32(0.5 - rows / 2)) / np.float32(half)
    return x[None, :], y[:, None]


def _generator(seed: int, name: str) -> np.random.Generator:
    """A stream that depends on the name alone, without the name of the distribution (`-small`)."""
    plain = name.removeprefix("CheXpert-v1.0-small/").removeprefix("CheXpert-v1.0/")
    digest = hashlib.blake2b(f"{seed}/{plain}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
