"""How each finding of CheXpert shows in a synthetic radiograph.

Every function adds one finding to a canvas that already holds the anatomy. `severity` is about 1; the
generator is the study's, so that all views of a study show the same disease.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from transfusion.phantom.canvas import Array, Canvas, Lung, bump, curve, ellipse, fill, line, soft

Draw = Callable[[Canvas, float, np.random.Generator], None]


def edema(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Bilateral perihilar haze that fades outwards, blurs the vessels and reaches down to the bases."""
    for lung in canvas.lungs:
        x, y = lung.hilum
        wings = bump(ellipse(canvas, x + 0.12 * lung.outward, y + 0.10, 0.52, 0.66))
        haze = (wings * np.float32(0.48) + np.float32(0.08)) * (1 + np.float32(0.30) * canvas.mottle)
        fill(canvas, np.minimum(haze * np.float32(severity), 0.9) * lung.mask)
        for level in (0.10, 0.15, 0.20):
            lines = bump((lung.depth - np.float32(level)) ** 2 * np.float32(1 / 0.012**2)) * soft(
                lung.u - 0.8, 0.06
            )
            canvas.density += lines * lung.mask * np.float32(0.05 * severity)


def consolidation(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """One dense focal opacity with a ragged edge."""
    lung = _either(canvas, generator)
    x, y = _inside(lung, generator, 0.25, 0.75, 0.30, 0.85)
    radius = generator.uniform(0.24, 0.34)
    shape = ellipse(canvas, x, y, radius, radius * generator.uniform(0.75, 1.1))
    fill(canvas, _ragged(canvas, shape) * lung.mask * np.float32(min(1.4 * severity, 1)))


def pneumonia(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """A segment filled below a straight fissure, with dark air-filled bronchi running through it."""
    lung = _either(canvas, generator)
    x, y = _inside(lung, generator, 0.35, 0.65, 0.60, 0.75)
    shape = ellipse(canvas, x, y + 0.06, 0.30, 0.24)
    filled = _ragged(canvas, shape) * soft(canvas.y - np.float32(y - 0.08), 0.02) * lung.mask
    fill(canvas, filled * np.float32(min(0.5 * severity, 1)))
    for turn in (-0.35, 0.0, 0.35):
        end = (x + 0.25 * lung.outward * np.cos(turn), y + 0.08 + 0.25 * np.sin(turn))
        canvas.density -= (
            line(canvas, (x - 0.1 * lung.outward, y), end, 0.014) * filled * np.float32(0.16 * severity)
        )


def lung_opacity(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Faint patches without a clear shape in one zone."""
    lung = _either(canvas, generator)
    for _ in range(2):
        x, y = _inside(lung, generator, 0.25, 0.8, 0.25, 0.9)
        patch = _ragged(
            canvas, ellipse(canvas, x, y, generator.uniform(0.16, 0.26), generator.uniform(0.10, 0.20))
        )
        fill(canvas, patch * lung.mask * np.float32(min(0.26 * severity, 1)))


def lung_lesion(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """One or two round, sharp nodules."""
    for _ in range(int(generator.integers(1, 3))):
        lung = _either(canvas, generator)
        x, y = _inside(lung, generator, 0.3, 0.8, 0.2, 0.8)
        radius = generator.uniform(0.045, 0.085)
        nodule = soft(1 - ellipse(canvas, x, y, radius, radius), 0.25)
        fill(canvas, nodule * lung.mask * np.float32(min(0.55 * severity, 1)))


def atelectasis(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Plates above a raised diaphragm."""
    lung = _either(canvas, generator)
    lost = 0.10 * severity
    fill(canvas, soft(np.float32(lost) - lung.depth, 0.03) * lung.mask * np.float32(0.9))
    for _ in range(2):
        height = lost + generator.uniform(0.05, 0.16)
        start, end = (lung.middle - 0.22, lung.base - height), (lung.middle + 0.22, lung.base - height - 0.05)
        canvas.density += line(canvas, start, end, 0.020) * lung.mask * np.float32(0.22 * severity)


def pneumothorax(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Air between lung and chest wall: darker, without vessels, behind a fine white line."""
    lung = _either(canvas, generator)
    gap = 0.20 * severity
    rim = np.float32(1 - gap) - lung.u - np.float32(0.35 * gap) * (canvas.y - np.float32(lung.top))
    collapsed = np.minimum(rim, (canvas.y - np.float32(lung.top + 0.5 * gap)) * np.float32(1.2))
    air = soft(-collapsed, 0.02) * lung.mask
    canvas.density -= air * np.float32(0.10)
    canvas.density -= air * np.maximum(canvas.density - np.float32(0.18), 0) * np.float32(0.35)
    canvas.density += bump((collapsed * np.float32(1 / 0.022)) ** 2) * lung.mask * np.float32(0.16)


def pleural_effusion(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Fluid on one or both bases, its upper edge climbing the chest wall."""
    both = generator.random() < 0.4
    first = int(generator.integers(len(canvas.lungs)))
    level = generator.uniform(0.10, 0.30) * severity
    for number, lung in enumerate(canvas.lungs):
        if number != first and not both:
            continue
        fluid = soft(np.float32(level) + np.float32(0.30) * np.maximum(lung.u, 0) ** 3 - lung.depth, 0.05)
        fill(canvas, fluid * lung.mask * np.float32(0.92))
        level *= 0.7


def pleural_other(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Thickened pleura along the chest wall."""
    lung = _either(canvas, generator)
    y = generator.uniform(-0.3, 0.1)
    band = soft(lung.u - np.float32(0.80), 0.05) * bump(
        ((canvas.y - np.float32(y)) * np.float32(1 / 0.45)) ** 2
    )
    fill(canvas, band * lung.mask * np.float32(min(0.9 * severity, 1)))


def fracture(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """Broken neighbouring ribs: a dark gap between dense ends, out of line."""
    lung = _either(canvas, generator)
    x, y = _inside(lung, generator, 0.62, 0.85, 0.30, 0.60)
    for step in range(int(generator.integers(2, 4))):
        at = y + 0.18 * step
        canvas.density -= bump(ellipse(canvas, x, at, 0.022, 0.05)) * np.float32(0.20 * severity)
        for side in (-1, 1):
            end = ellipse(canvas, x + 0.045 * side, at + 0.022 * side, 0.045, 0.035)
            canvas.density += bump(end) * np.float32(0.24 * severity)


def support_devices(canvas: Canvas, severity: float, generator: np.random.Generator) -> None:
    """One to three of: endotracheal tube, central line, pacemaker, monitor leads, stomach tube."""
    drawings = (_endotracheal_tube, _central_line, _pacemaker, _monitor_leads, _stomach_tube)
    count = int(generator.integers(1, 4))
    for number in generator.permutation(len(drawings))[:count]:
        canvas.density += drawings[number](canvas, generator) * np.float32(severity)


def _endotracheal_tube(canvas: Canvas, generator: np.random.Generator) -> Array:
    tip = generator.uniform(-0.35, -0.22)
    walls = [curve(canvas, [(x, -1.0), (x + 0.01, tip)], 0.010) for x in (-0.025, 0.025)]
    return np.maximum(*walls) * np.float32(0.30)


def _central_line(canvas: Canvas, generator: np.random.Generator) -> Array:
    side = -1 if generator.random() < 0.7 else 1
    points = [
        (side * 0.75, -0.62),
        (side * 0.45, -0.72),
        (side * 0.16, -0.55),
        (-0.10, -0.30),
        (-0.12, -0.02),
    ]
    return curve(canvas, points, 0.012) * np.float32(0.32)


def _pacemaker(canvas: Canvas, generator: np.random.Generator) -> Array:
    x, y = generator.uniform(0.50, 0.60), generator.uniform(-0.52, -0.42)
    case = soft(1 - ellipse(canvas, x, y, 0.12, 0.10) ** 2, 0.3) * np.float32(0.75)
    lead = curve(canvas, [(x, y), (0.25, -0.62), (-0.08, -0.35), (-0.10, 0.10), (0.22, 0.36)], 0.012)
    return np.maximum(case, lead * np.float32(0.40))


def _monitor_leads(canvas: Canvas, generator: np.random.Generator) -> Array:
    out = np.zeros_like(canvas.x)
    for side in (-1, 1):
        x, y = side * generator.uniform(0.45, 0.7), generator.uniform(-0.45, 0.3)
        patch = soft(1 - ellipse(canvas, x, y, 0.035, 0.035), 0.3) * np.float32(0.45)
        wire = curve(canvas, [(x, y), (x + 0.1 * side, y + 0.35), (side * 0.95, 0.95)], 0.008) * np.float32(
            0.28
        )
        out = np.maximum(out, np.maximum(patch, wire))
    return out


def _stomach_tube(canvas: Canvas, generator: np.random.Generator) -> Array:
    end = generator.uniform(0.15, 0.35)
    points = [(0.02, -1.0), (0.03, -0.2), (0.04, 0.45), (end, 0.72), (end + 0.1, 0.80)]
    return curve(canvas, points, 0.012) * np.float32(0.26)


def _either(canvas: Canvas, generator: np.random.Generator) -> Lung:
    """A lung at random; one random number is used whatever the view, so that all views use as many."""
    return canvas.lungs[int(generator.random() * len(canvas.lungs))]


def _inside(
    lung: Lung, generator: np.random.Generator, inner: float, outer: float, top: float, bottom: float
) -> tuple[float, float]:
    """A point between shares `inner` and `outer` of the lung's width and `top` and `bottom` of its height."""
    across, down = generator.uniform(inner, outer), generator.uniform(top, bottom)
    x = lung.middle + lung.outward * lung.width * (across - 0.5)
    return x, lung.top + down * (lung.base - lung.top)


def _ragged(canvas: Canvas, squared: Array) -> Array:
    return soft(1 - squared + np.float32(0.28) * canvas.mottle, 0.45)


DRAW: tuple[tuple[str, Draw], ...] = (
    ("Lung Opacity", lung_opacity),
    ("Lung Lesion", lung_lesion),
    ("Edema", edema),
    ("Consolidation", consolidation),
    ("Pneumonia", pneumonia),
    ("Atelectasis", atelectasis),
    ("Pneumothorax", pneumothorax),
    ("Pleural Effusion", pleural_effusion),
    ("Pleural Other", pleural_other),
    ("Fracture", fracture),
    ("Support Devices", support_devices),
)
"""Findings in the order of drawing. Cardiomegaly and Enlarged Cardiomediastinum change the anatomy itself;
No Finding draws nothing."""
