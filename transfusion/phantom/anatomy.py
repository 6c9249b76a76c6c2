"""A healthy chest for synthetic radiographs, from the front and the side, different for every patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfusion.phantom.canvas import Array, Canvas, Lung, bump, curve, ellipse, fill, smooth_noise, soft


@dataclass(frozen=True)
class Build:
    """What is the patient's own, the same in all studies.

    Attributes:
        width: half-width of the rib cage.
        base: y of the right diaphragm.
        heart: half-width of the heart.
        mediastinum: half-width of the upper mediastinum.
        fat: extra soft tissue, which also scatters.
        rib_phase, rib_gap: position and distance of the ribs.
        breasts: density of breast shadows.
        aorta: size of the aortic knob.
    """

    width: float
    base: float
    heart: float
    mediastinum: float
    fat: float
    rib_phase: float
    rib_gap: float
    breasts: float
    aorta: float


def build_of(generator: np.random.Generator, sex: str, age: int) -> Build:
    """Draws a patient; women have breast shadows, and the aorta unfolds with age."""
    return Build(
        width=generator.uniform(0.80, 0.92) - (0.04 if sex == "Female" else 0.0),
        base=generator.uniform(0.40, 0.56),
        heart=generator.uniform(0.31, 0.38),
        mediastinum=generator.uniform(0.10, 0.14),
        fat=generator.uniform(0.0, 0.14),
        rib_phase=generator.uniform(0.0, 1.0),
        rib_gap=generator.uniform(0.17, 0.20),
        breasts=generator.uniform(0.03, 0.10) if sex == "Female" else 0.0,
        aorta=0.07 + 0.05 * min(age, 100) / 100,
    )


def draw_frontal(
    canvas: Canvas,
    build: Build,
    generator: np.random.Generator,
    cardiomegaly: float,
    widening: float,
    magnified: bool,
) -> None:
    """Draws the chest from the front and sets `canvas.lungs`.

    Args:
        cardiomegaly: severity, 0 for none: widens the heart beyond half of the chest.
        widening: severity, 0 for none: widens the upper mediastinum.
        magnified: an AP image shows the heart larger and the breath shallower.
    """
    x, y, density = canvas.x, canvas.y, canvas.density
    width, fat = build.width, build.fat
    shoulders = np.maximum(np.abs(x) - 0.22, 0) * np.float32(0.38) - np.float32(0.93)
    torso = soft(width + 0.10 + fat + 0.06 * y - np.abs(x), 0.07) * soft(y - shoulders, 0.06)
    arms = soft(np.abs(x) - (width + 0.17 + fat), 0.05) * soft(y + 0.35, 0.25) * np.float32(0.35)
    density += torso * np.float32(0.70 + fat) + arms

    mediastinum = build.mediastinum * (1 + 0.75 * widening) + (0.02 if magnified else 0)
    base = build.base - (0.05 if magnified else 0)
    canvas.lungs = [
        _lung(canvas, -1, mediastinum * 0.85, width, base),
        _lung(canvas, 1, mediastinum * 0.85, width, base + 0.06),
    ]
    lung = canvas.lungs[0].mask + canvas.lungs[1].mask
    density -= lung * np.float32(0.46)

    upper = soft(0.18 - y, 0.25)
    column = soft(mediastinum * (0.75 + 0.5 * upper) - np.abs(x - 0.01), 0.05) * torso
    density += column * np.float32(0.09)
    vertebrae = 1 + np.float32(0.35) * np.cos(y * np.float32(2 * np.pi / 0.17))
    density += soft(0.075 - np.abs(x), 0.03) * vertebrae * torso * np.float32(0.05)
    density -= soft(0.035 - np.abs(x), 0.02) * soft(-0.28 - y, 0.05) * torso * np.float32(0.12)

    size = build.heart * (1 + 0.42 * cardiomegaly) * (1.08 if magnified else 1.0)
    ventricle = ellipse(canvas, 0.55 * size, base - 0.10, 0.92 * size, 0.27 * (0.75 + 0.8 * size), tilt=0.55)
    atrium = ellipse(canvas, -0.05 * size, base - 0.16, 0.72 * size, 0.27 * (0.8 + 0.6 * size))
    heart = soft(1 - ventricle, 0.16) + soft(1 - atrium, 0.16)
    np.minimum(heart, 1, out=heart)
    fill(canvas, heart * lung * np.float32(0.92))
    density += heart * np.float32(0.07)
    knob = ellipse(canvas, mediastinum + 0.005, -0.30, build.aorta * (1 + 0.4 * widening), build.aorta)
    fill(canvas, soft(1 - knob, 0.4) * np.float32(0.6))

    branches = smooth_noise(generator, 22, x.shape)
    for one in canvas.lungs:
        near = bump(ellipse(canvas, *one.hilum, 0.46, 0.62))
        density += near * one.mask * (np.float32(0.035) + np.float32(0.045) * np.abs(branches))
        density += bump(ellipse(canvas, *one.hilum, 0.12, 0.17)) * one.mask * np.float32(0.13)
        for dx, dy in ((0.26, 0.20), (0.30, 0.02), (0.22, -0.24), (0.12, 0.30)):
            start, end = one.hilum, (one.hilum[0] + one.outward * dx, one.hilum[1] + dy)
            density += curve(canvas, [start, end], 0.012) * one.mask * np.float32(0.06)

    _ribs(canvas, build, lung)
    for side in (-1, 1):
        points = [(side * 0.09, -0.56), (side * 0.30, -0.66), (side * 0.52, -0.70), (side * 0.80, -0.82)]
        density += curve(canvas, points, 0.03) * np.float32(0.13)
        density += bump(ellipse(canvas, side * (width + 0.02), -0.52, 0.10, 0.32, side * 0.3)) * np.float32(
            0.10
        )
        if build.breasts:
            density += soft(1 - ellipse(canvas, side * 0.44, base - 0.06, 0.34, 0.30), 0.3) * np.float32(
                build.breasts
            )
    density -= bump(ellipse(canvas, 0.40, base + 0.24, 0.16, 0.11)) * torso * np.float32(0.22)


def draw_lateral(
    canvas: Canvas, build: Build, generator: np.random.Generator, cardiomegaly: float, widening: float
) -> None:
    """Draws the chest from the side, the breastbone on the left of the image, and sets `canvas.lungs`."""
    x, y, density = canvas.x, canvas.y, canvas.density
    deep = 0.62 + 0.3 * build.fat
    torso = soft(deep + 0.12 + build.fat - np.abs(x + 0.04 * y), 0.07) * soft(
        y + 0.94 - 0.25 * np.abs(x), 0.08
    )
    density += torso * np.float32(0.78 + build.fat)

    edge = ellipse(canvas, 0.0, 0.12, deep, 1.0)
    dome = build.base + 0.06 + np.float32(0.45) * np.maximum(x + 0.05, -0.35) ** 2
    mask = soft(1 - edge, 0.14) * soft(dome - y, 0.03)
    u = (x + np.float32(deep)) * np.float32(0.5 / deep)
    canvas.lungs = [Lung(mask, u, dome - y, 1, 0.0, 1.6 * deep, -0.78, build.base, (0.03, -0.10))]
    density -= mask * np.float32(0.42)

    spine = x - np.float32(0.40) - np.float32(0.12) * y * y + np.float32(0.10) * y
    vertebrae = 1 + np.float32(0.35) * np.cos(y * np.float32(2 * np.pi / 0.19))
    density += soft(0.09 - np.abs(spine), 0.03) * vertebrae * torso * np.float32(0.16)
    density += (
        soft(0.02 - np.abs(x + np.float32(deep + 0.01)), 0.02)
        * soft(0.35 - np.abs(y), 0.1)
        * np.float32(0.16)
    )
    size = 0.27 * (1 + 0.4 * cardiomegaly)
    heart = ellipse(canvas, -0.30 + 0.5 * (size - 0.27), build.base - 0.16, 1.25 * size, 0.27, tilt=-0.6)
    fill(canvas, soft(1 - heart, 0.45) * mask * np.float32(0.75))
    vessels = ellipse(canvas, -0.02, -0.42, 0.11 * (1 + widening), 0.26)
    density += bump(vessels) * mask * np.float32(0.20)
    density -= bump(ellipse(canvas, 0.03, -0.62, 0.05, 0.34)) * torso * np.float32(0.14)
    density += bump(ellipse(canvas, *canvas.lungs[0].hilum, 0.13, 0.17)) * mask * np.float32(0.16)
    density += np.abs(smooth_noise(generator, 22, x.shape)) * mask * np.float32(0.035)
    _ribs(canvas, build, mask, slope=0.55)


def _lung(canvas: Canvas, side: int, inner: float, width: float, base: float) -> Lung:
    across = canvas.x * np.float32(side)
    edge = (across * np.float32(1 / width)) ** 2 + ((canvas.y - np.float32(0.42)) * np.float32(1 / 1.24)) ** 2
    u = (across - np.float32(inner)) * np.float32(1 / (width - inner))
    dome = np.float32(base) + np.float32(0.32) * (u - np.float32(0.42)) ** 2 * (1 + np.float32(0.9) * u)
    depth = dome - canvas.y
    mask = soft(1 - edge, 0.10) * soft(across - inner, 0.035) * soft(depth, 0.025)
    middle = side * (inner + width) / 2
    return Lung(mask, u, depth, side, middle, width - inner, -0.76, base, (side * (inner + 0.09), -0.06))


def _ribs(canvas: Canvas, build: Build, lung: Array, slope: float = 0.0) -> None:
    """Back ribs arch over the lungs; front ribs, fainter, run down towards the middle."""
    x, y = canvas.x, canvas.y
    across = np.abs(x) if slope == 0.0 else x
    turn = np.float32(2 * np.pi / build.rib_gap)
    phase = np.float32(2 * np.pi * build.rib_phase)
    cage = soft(1.08 - (x * np.float32(1 / build.width)) ** 2 - (y - 0.35) ** 2 * np.float32(0.65), 0.08)
    strength = 1.0 if slope == 0.0 else 0.6
    back = np.cos((y + np.float32(0.52) * (across - 0.38) ** 2 - np.float32(slope) * x) * turn + phase)
    density = np.maximum(back - np.float32(0.15), 0) * np.float32(0.085 * strength)
    if slope == 0.0:
        front = np.cos((y + np.float32(0.62) * across) * turn * np.float32(0.9) + phase)
        density += np.maximum(front - np.float32(0.35), 0) * np.float32(0.045) * soft(across - 0.28, 0.15)
    canvas.density += density * cage * (np.float32(0.35) + np.float32(0.65) * lung)
