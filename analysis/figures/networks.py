"""Figure 5 of the study: AUROC from scratch against the networks' parameters and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures.areas import CUT, beyond, room
from analysis.figures.canvas import (
    Absent,
    Drawing,
    apart,
    area_note,
    cut,
    legend,
    log_ticks,
    new_figure,
    of_seeds,
)
from analysis.figures.palette import PUBLISHED

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

STAR = 0.01
"""Area that an axis shows beyond a published one."""
LEAST_APART = 1.12
"""Ratio of neighbouring depths that have a tick each."""


def by_network(drawn: Drawn) -> Drawing | Absent:
    """Figures 5a and 5b: AUROC from scratch by parameters and depth, at the largest and smallest size."""
    rows = of_seeds(drawn.levels[drawn.levels["init"] == "random"])
    networks = drawn.cells.drop_duplicates("architecture").set_index("architecture")
    networks = networks[["parameters", "depth"]].astype(float).dropna()
    rows = rows[rows["architecture"].isin(networks.index)]
    if len(networks) < 2:
        return Absent("the grid has fewer than two networks of known size")
    if rows["architecture"].nunique() < 2:
        return Absent("fewer than two networks have finished from scratch")
    sizes = sorted({int(rows["train_images"].max()), int(rows["train_images"].min())}, reverse=True)
    rows = rows[rows["train_images"].isin(sizes)]
    figure, panels = new_figure(2, height=2.2, sharey=True)
    stars = [value.auroc for value in _published(drawn, networks)]
    low, high = room(rows)
    panels[0].set_ylim(min([low, *(star - STAR for star in stars)]), max([high, *(s + STAR for s in stars)]))
    for axes, column, label, letter in zip(
        panels, ("parameters", "depth"), ("parameters", "depth (layers with weights)"), "ab", strict=True
    ):
        _points(axes, drawn, rows, networks[column], sizes[0])
        for value in _published(drawn, networks):
            axes.plot(
                networks.loc[value.architecture, column], value.auroc, "*", color=PUBLISHED, markersize=8
            )
        axes.set_xscale("log")
        low, high = networks[column].min() / 1.25, networks[column].max() * 1.25
        axes.set_xlim(low, high)
        if column == "parameters":
            log_ticks(axes.xaxis, low, high)
        else:
            axes.xaxis.set_major_locator(FixedLocator(apart(networks[column], LEAST_APART)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        axes.set_xlabel(label)
        axes.set_ylabel(drawn.area)
        axes.set_title(f"5{letter}: AUROC by {column}")
    handles = _handles(drawn, rows, networks, sizes)
    legend(figure, handles, [handle.get_label() for handle in handles])
    return Drawing(figure, area_note(rows) + (CUT if beyond(panels[0], rows) else ""))


def _points(axes: Axes, drawn: Drawn, rows: pd.DataFrame, at: pd.Series, largest: int) -> None:
    """A point with its bar for every network and size, and a dot for every seed where there are several."""
    names = drawn.networks.ordered(set(rows["architecture"]))
    moved = {name: 1.035 ** (k - (len(names) - 1) / 2) for k, name in enumerate(names)}
    for one in rows.itertuples():
        style, x = drawn.networks[one.architecture], at[one.architecture] * moved[one.architecture]
        low, high = (abs(end - one.estimate) if np.isfinite(end) else 0.0 for end in (one.low, one.high))
        bar = [[low], [high]] if low or high else None
        axes.errorbar(
            [x], [one.estimate], yerr=bar, color=style.colour, marker=style.marker, markersize=5,
            fillstyle="full" if one.train_images == largest else "none", capsize=2, elinewidth=0.9,
        )  # fmt: skip
        cut(axes, [x, x], [one.low, one.high], style.colour)
        cells = drawn.cells
        mine = (cells["architecture"] == one.architecture) & (cells["train_images"] == one.train_images)
        dots = cells.loc[mine & (cells["init"] == "random"), drawn.metric].dropna()
        if len(dots) > 1:
            axes.plot([x * 1.04] * len(dots), dots, ".", color=style.colour, alpha=0.5, markersize=4)


def _published(drawn: Drawn, networks: pd.DataFrame) -> list:
    return [one for one in drawn.published if one.architecture in networks.index and one.init == "random"]


def _handles(drawn: Drawn, rows: pd.DataFrame, networks: pd.DataFrame, sizes: list[int]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, linestyle="", label=one.network)
        for one in map(drawn.networks.__getitem__, drawn.networks.ordered(set(rows["architecture"])))
    ]
    handles += [
        Line2D([], [], color="#333333", marker="o", linestyle="", label=f"{size:,} images",
               fillstyle="full" if size == sizes[0] else "none")
        for size in sizes
    ]  # fmt: skip
    if published := _published(drawn, networks):
        label = f"published ({published[0].data})"
        handles.append(Line2D([], [], color=PUBLISHED, marker="*", linestyle="", markersize=8, label=label))
    return handles
