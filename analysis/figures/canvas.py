"""What all figures share: their style, panels, the line below them, and axes of sizes and areas."""

from __future__ import annotations

import itertools
import textwrap
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.numbers import one_seed

COLUMN, PAGE = 3.5, 7.2
"""Widths of a column and of a page in print, in inches. Figures are drawn at the size they are printed at, so
that 7 points are 7 points."""

CHARACTERS_PER_INCH = 21.5
"""Of the line below the panels, which has 6 points."""

NOTE_LINE = 0.11
"""Height of one of its lines, in inches."""

AXIS, DIGIT = 2.6, 0.062
"""Inches: the length of an axis below a column's panel; of a digit of its ticks, which have 7 points."""

ONE_SEED = "No intervals: with one seed one would be of patients alone, and say nothing of another seed."

TITLE_CHARACTERS, LEGEND_CHARACTERS = 38, 46
"""That a column's width holds."""

STYLE: dict[str, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure, and the line that belongs below it: n, and what bands and bars are."""

    figure: Figure
    note: str


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure that there is nothing to draw for, and why, as half a sentence."""

    why: str


_STYLED = threading.RLock()


@contextmanager
def style() -> Iterator[None]:
    """Draw and save with `STYLE` over matplotlib's own defaults, whatever the user's settings are.

    One thread at a time: settings are the process's, and two that end in another order would mix them up.
    """
    with _STYLED, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]
        yield


def new_figure(rows: int = 1, *, height: float = 2.6, **axes: Any) -> tuple[Figure, list[Axes]]:
    """A figure of a column's width with `rows` panels below each other, each `height` inches high."""
    figure = Figure(figsize=(COLUMN, 0.5 + rows * height), layout="constrained")
    panels = list(figure.subplots(rows, 1, squeeze=False, **axes)[:, 0])
    for one in panels:
        one.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10], min_n_ticks=4))
    return figure, panels


def legend(figure: Figure, handles: Any = None, labels: Any = None, *, columns: int = 2) -> None:
    """A legend above the panels, where it hides nothing."""
    if handles is None:
        handles, labels = figure.axes[0].get_legend_handles_labels()
    if any(len(label) > LEGEND_CHARACTERS // columns for label in labels):
        columns, labels = 1, [textwrap.fill(label, LEGEND_CHARACTERS) for label in labels]
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, borderaxespad=0.2)


def title(axes: Axes, text: str) -> None:
    """A title above a panel, on as many lines as it needs: names of weights are long."""
    axes.set_title(textwrap.fill(text, TITLE_CHARACTERS))


def as_written(figure: Figure) -> None:
    """Show names with dollars as they are, not as formulas; ticks, which come later, keep theirs."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if "$" in text.get_text() and r"\math" not in text.get_text():
            text.set_parse_math(False)


def with_note(drawing: Drawing) -> Figure:
    """The figure of `drawing`, grown by the lines of its note."""
    figure = drawing.figure
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(drawing.note, round(width * CHARACTERS_PER_INCH))
    if not lines:
        return figure
    extra = 0.08 + NOTE_LINE * len(lines)
    share = extra / (height + extra)
    figure.set_size_inches(width, height + extra)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, share, 1, 1 - share))
    else:
        for axes in figure.axes:
            box = axes.get_position()
            axes.set_position((box.x0, share + box.y0 * (1 - share), box.width, box.height * (1 - share)))
    figure.text(0.02, share * 0.97, "\n".join(lines), va="top", fontsize=6, color="#444444", linespacing=1.15)
    return figure


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 times powers of ten on a logarithmic axis, so that a short one has several."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))


def short_count(value: float) -> str:
    """`500`, `20k`, `5M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def apart(values: Iterable[float], least: float) -> list[float]:
    """Those of `values`, ascending, that are `least` times apart or more, the largest among them."""
    kept: list[float] = []
    for value in sorted(set(values), reverse=True):
        if not kept or kept[-1] / value >= least:
            kept.append(value)
    return kept[::-1]


def cut(axes: Axes, at: Sequence[float], ends: Sequence[float], colour: str) -> None:
    """A triangle at the edge of the panel wherever something ends beyond it."""
    bottom, top = axes.get_ylim()
    for x, y in zip(at, ends, strict=True):
        if y < bottom or y > top:
            edge, marker = (bottom, "v") if y < bottom else (top, "^")
            axes.plot([x], [edge], marker, color=colour, markersize=4, clip_on=False, zorder=5)


def crowded(ticks: Sequence[int]) -> bool:
    """Whether the sizes, written out, would run into each other on a logarithmic axis of a column's width."""
    span = np.log(ticks[-1] / ticks[0]) if len(ticks) > 1 else 1.0
    return any(
        np.log(high / low) / span * AXIS < (len(f"{low:,}") + len(f"{high:,}")) / 2 * DIGIT
        for low, high in itertools.pairwise(ticks)
    )


def size_axis(axes: Axes, sizes: Iterable[int]) -> None:
    """A logarithmic axis with a tick at every data set size, in short where neighbours stand close."""
    ticks = sorted(set(sizes))
    told = short_count if crowded(ticks) else "{:,.0f}".format
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: told(value)))
    axes.set_xlabel("training images")
    if len(ticks) == 1:
        axes.set_xlim(ticks[0] / 2, ticks[0] * 2)  # else points that are moved aside would seem far away


def several(count: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def area_count(rows: pd.DataFrame) -> str:
    """The n behind levels of an area."""
    seeds = several(int(rows["seeds"].max()) if rows["seeds"].notna().any() else 0, "seed")
    if not rows["patients"].notna().any():
        return f"n = {seeds}; no predictions, so no intervals over patients."
    patients, positives = int(rows["patients"].max()), int(rows["positives"].max())
    return f"n = {patients:,} patients, {positives:,} positive images, {seeds}."


def of_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the intervals of those alone that rest on several seeds."""
    one = one_seed(rows["seeds"])
    return rows.assign(low=rows["low"].mask(one), high=rows["high"].mask(one))


def area_note(rows: pd.DataFrame) -> str:
    """The n behind levels of an area, and what their bars and bands hold."""
    count = area_count(rows)
    if not rows["patients"].notna().any():
        return f"{count} Dots: single seeds."
    if not (rows["seeds"] > 1).any():
        return f"{count} {ONE_SEED}"
    alone = " None where there is one seed." if one_seed(rows["seeds"]).any() else ""
    return f"{count} Bars and bands: 95 % interval over patients and seeds.{alone} Dots: single seeds."
