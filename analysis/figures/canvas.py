"""What all figures share: their style, panels, the line below them, and axes of sizes and areas."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.statistics.catalogue import MEASURES

COLUMN, PAGE = 3.5, 7.2
"""Widths of a column and of a page in print, in inches. Figures are drawn at the size they are printed at, so
that 7 points are 7 points."""

CHARACTERS_PER_INCH = 21.5
"""Of the line below the panels, which has 6 points."""

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

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with `STYLE`, whatever the user's own settings are."""

    @wraps(draw)
    def styled_draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return styled_draw


def new_figure(rows: int = 1, *, height: float = 2.6, **axes: Any) -> tuple[Figure, list[Axes]]:
    """A figure of a column's width with `rows` panels below each other, each `height` inches high."""
    figure = Figure(figsize=(COLUMN, 0.5 + rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, 1, squeeze=False, **axes)[:, 0])


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


def note(figure: Figure, text: str) -> None:
    """A line below the panels: n, and what bands and bars are."""
    lines = textwrap.fill(text, round(figure.get_figwidth() * CHARACTERS_PER_INCH))
    figure.supxlabel(lines, fontsize=6, color="#444444", x=0.02, ha="left")


def empty(axes: Axes, why: str) -> None:
    """Say in the panel itself why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color="#555555", wrap=True)


def size_axis(axes: Axes, sizes: Iterable[int]) -> None:
    """A logarithmic axis with a tick at every data set size."""
    ticks = sorted(set(sizes))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("training images")
    if len(ticks) == 1:
        axes.set_xlim(ticks[0] / 2, ticks[0] * 2)  # else points that are moved aside would seem far away


def area_label(metric: str) -> str:
    """Name of an area for an axis, with its split."""
    return MEASURES[metric].label


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


def area_note(rows: pd.DataFrame) -> str:
    """The n behind levels of an area, and what their bars and bands hold."""
    count, sources = area_count(rows), set(rows["seed_part"])
    if not rows["patients"].notna().any():
        return f"{count} Dots: single seeds."
    parts = "patients and seeds"
    if sources == {"runs"}:
        parts = "patients and the scatter of single runs around learning curves (one seed)"
    elif "unknown" in sources:
        parts = "patients alone where there is one seed (the between-seed part is unknown)"
    dots = " Dots: single seeds." if (rows["seeds"] > 1).any() else ""
    return f"{count} Bars and bands: 95 % interval over {parts}.{dots}"
