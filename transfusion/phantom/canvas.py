"""Geometry and texture for synthetic radiographs: soft-edged masks and smooth noise, in plain numpy.

Positions are in body units: x grows to the right of the image, y downwards, the image spans y from -1 to 1.
Everything is float32 and elementwise, so that the same input gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Lung:
    """One lung field as the findings see it.

    Attributes:
        mask: [H, W], 1 inside, 0 outside.
        u: [H, W], distance from the inner edge outwards; 0 at the inner edge, 1 at the chest wall.
        depth: [H, W], body units above the diaphragm; negative below it.
        outward: 1 if the chest wall is to the right of the image, else -1.
        middle: x of its middle.
        width: from the inner edge to the chest wall.
        top, base: y of the apex and of the diaphragm.
        hilum: x and y of its root.
    """

    mask: Array
    u: Array
    depth: Array
    outward: int
    middle: float
    width: float
    top: float
    base: float
    hilum: tuple[float, float]


@dataclass
class Canvas:
    """A radiograph in the making.

    Attributes:
        x, y: [H, W] body coordinates after the patient's pose.
        density: [H, W] attenuation; air 0, lung about 0.25, soft tissue about 0.75, bone above 1.
        lungs: left of the image first; a lateral view has one.
        mottle: [H, W] smooth noise about 0 with unit spread, finest structure about a tenth of the image.
        pixel: body units of a pixel.
    """

    x: Array
    y: Array
    density: Array
    lungs: list[Lung]
    mottle: Array
    pixel: float


TISSUE = 0.80
"""Density of a lung that is full of water."""


def fill(canvas: Canvas, share: Array) -> None:
    """Replaces a share [H, W] of the air by water: what is dense already stays as it is."""
    canvas.density += share * np.maximum(np.float32(TISSUE) - canvas.density, 0)


def soft(distance: Array, width: float) -> Array:
    """A soft step: 0 where `distance` < -width, 1 where it is > width."""
    t = np.minimum(np.maximum(distance * np.float32(0.5 / width) + np.float32(0.5), 0), 1)
    return t * t * (3 - 2 * t)


def bump(squared: Array) -> Array:
    """A bell of radius 1 without tails: 1 at 0, 0 from a squared distance of 1 on."""
    t = np.maximum(1 - squared, 0)
    return t * t


def ellipse(canvas: Canvas, x: float, y: float, width: float, height: float, tilt: float = 0.0) -> Array:
    """Squared distance from (x, y) in units of the half-axes; `tilt` in radians."""
    dx, dy = canvas.x - np.float32(x), canvas.y - np.float32(y)
    if tilt:
        cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
    return (dx * np.float32(1 / width)) ** 2 + (dy * np.float32(1 / height)) ** 2


def line(canvas: Canvas, start: tuple[float, float], end: tuple[float, float], width: float) -> Array:
    """A soft straight line; never thinner than a pixel, but fainter instead."""
    (ax, ay), (bx, by) = start, end
    length = float(np.hypot(bx - ax, by - ay)) or 1e-6
    ux, uy = (bx - ax) / length, (by - ay) / length
    reach = max(width, canvas.pixel)
    pad = 2 * reach
    rows, columns = window(canvas, min(ax, bx) - pad, min(ay, by) - pad, max(ax, bx) + pad, max(ay, by) + pad)
    out = np.zeros_like(canvas.x)
    dx = canvas.x[rows, columns] - np.float32(ax)
    dy = canvas.y[rows, columns] - np.float32(ay)
    along = np.minimum(np.maximum(dx * np.float32(ux) + dy * np.float32(uy), 0), length)
    squared = (dx - along * np.float32(ux)) ** 2 + (dy - along * np.float32(uy)) ** 2
    out[rows, columns] = bump(squared * np.float32(1 / (1.5 * reach) ** 2)) * np.float32(width / reach)
    return out


def curve(canvas: Canvas, points: list[tuple[float, float]], width: float) -> Array:
    """A soft line through `points`."""
    out = line(canvas, points[0], points[1], width)
    for start, end in pairwise(points[1:]):
        np.maximum(out, line(canvas, start, end, width), out=out)
    return out


def window(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
    """Rows and columns that hold a box of body units, with some room for the pose."""
    rows, columns = canvas.x.shape
    middle_y, middle_x = rows / 2, columns / 2
    room = 0.25
    scale = 1 / canvas.pixel
    top_row = int(min(max(middle_y + (top - room) * scale, 0), rows - 1))
    bottom_row = int(min(max(middle_y + (bottom + room) * scale, 1), rows))
    left_column = int(min(max(middle_x + (left - room) * scale, 0), columns - 1))
    right_column = int(min(max(middle_x + (right + room) * scale, 1), columns))
    return slice(top_row, max(bottom_row, top_row + 1)), slice(
        left_column, max(right_column, left_column + 1)
    )


def smooth_noise(generator: np.random.Generator, cells: int, shape: tuple[int, int]) -> Array:
    """float32 `shape`: noise of unit spread at its nodes, `cells` x `cells` of them, linear in between."""
    nodes = generator.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    row, row_share = _interpolation(cells, shape[0])
    column, column_share = _interpolation(cells, shape[1])
    rows = nodes[row] * (1 - row_share)[:, None] + nodes[row + 1] * row_share[:, None]
    return rows[:, column] * (1 - column_share) + rows[:, column + 1] * column_share


@lru_cache(maxsize=64)
def _interpolation(cells: int, pixels: int) -> tuple[Array, Array]:
    position = (np.arange(pixels) + 0.5) * (cells / pixels)
    node = np.minimum(position.astype(np.int64), cells - 1)
    return node, (position - node).astype(np.float32)
