"""How small the study could have been: decisions that a smaller size alone gets right, against its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from analysis.figures.canvas import Absent, Drawing, cut, legend, log_ticks, new_figure, several, size_axis

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

LEAST_SPAN = 2.0
"""Sizes whose training times differ by less than so many times are drawn by their images instead."""

LOOKS: dict[str, dict[str, Any]] = {
    "networks": {"color": "#0072B2", "marker": "o", "label": "between two networks"},
    "arms": {"color": "#D55E00", "marker": "s", "linestyle": "--", "label": "between two initialisations"},
}


def shares(drawn: Drawn) -> Drawing | Absent:
    """A line for each kind of decision, a point per size: share that agrees with the largest size."""
    table = drawn.decisions.astype({"share": float, "low": float, "high": float, "hours": float})
    if table.empty or len(set(table["train_images"])) < 2:
        return Absent("fewer than two sizes have finished")
    hours = table["hours"]
    timed = bool((hours > 0).all() and hours.max() > LEAST_SPAN * hours.min())
    column = "hours" if timed else "train_images"
    figure, (axes,) = new_figure()
    axes.set_title("Decided as at the largest size")
    axes.set_ylim(0, 1.04)
    for compared, look in LOOKS.items():
        rows = table[table["compared"] == compared].sort_values("train_images")
        if rows.empty:
            continue
        low, high = (np.abs(rows[end] - rows["share"]).fillna(0.0) for end in ("low", "high"))
        axes.errorbar(rows[column], rows["share"], yerr=[low, high], capsize=2, elinewidth=0.9, **look)
        cut(axes, list(rows[column]), list(rows["low"]), str(look["color"]))
        for row in rows.itertuples() if timed and compared == "networks" else ():
            axes.annotate(f"{row.train_images:,}", (getattr(row, column), 0.02), fontsize=6, ha="center")
    axes.axhline(0.5, color="#999999", linewidth=0.7, linestyle=":")
    if timed:
        axes.set_xscale("log")
        low, high = table[column].min() / 1.3, table[column].max() * 1.3
        axes.set_xlim(low, high)
        log_ticks(axes.xaxis, low, high)
        axes.set_xlabel("training hours of one seed of that size")
    else:
        size_axis(axes, table["train_images"].astype(int))
    axes.set_ylabel("share of pairs")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    legend(figure, columns=1)
    seeds = int(table["seeds"].max())
    sizes = "Numbers at the bottom: training images. " if timed else ""
    bars = "Bars: 95 % interval over seeds. " if table["low"].notna().any() else ""
    others = " The largest size is judged by its other seeds." if seeds > 1 else ""
    return Drawing(figure, f"n = {several(seeds, 'seed')}. {bars}{sizes}Dotted: tossing a coin.{others}")
