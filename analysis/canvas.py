"""What all figures share: their style, panels, the line below them, and axes of sizes and areas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

COLUMN = 5.2
"""Width of a figure in inches; legible at a column's width in print."""

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
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


def new_figure(
    columns: int = 1, *, width: float = COLUMN, height: float = 3.6, **axes: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with `columns` panels side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False, **axes)[0])


def note(figure: Figure, text: str) -> None:
    """A line below the panels: n, and what bands and bars are."""
    figure.supxlabel(text, fontsize=7, color="#555555", x=0.01, ha="left", wrap=True)


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


def area_label(metric: str) -> str:
    """Name of an area for an axis, with its split."""
    split = "official validation split" if metric.startswith("official") else "hold-out test split"
    return f"{'AUPRC' if metric.endswith('auprc') else 'AUROC'}, {split}"


def area_note(rows: pd.DataFrame) -> str:
    """The n behind levels of an area, and what their bars hold."""
    seeds = int(rows["seeds"].max()) if rows["seeds"].notna().any() else 0
    if not rows["patients"].notna().any():
        return f"n = {seeds} seed(s); no predictions, so no intervals over patients. Dots: single seeds."
    sources = set(rows["seed_part"])
    parts = "patients and seeds"
    if sources == {"runs"}:
        parts = "patients and the scatter of runs around learning curves (one seed)"
    elif "unknown" in sources:
        parts = "patients alone where there is one seed (the between-seed part is unknown)"
    return (
        f"n = {int(rows['patients'].max()):,} patients, {int(rows['positives'].max()):,} positive images, "
        f"{seeds} seed(s). Bars and bands: 95 % interval over {parts}. Dots: single seeds."
    )
