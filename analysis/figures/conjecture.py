"""Further figures, one for each conjecture that the study's own figures leave open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.canvas import (
    area_count,
    area_label,
    empty,
    legend,
    new_figure,
    note,
    several,
    size_axis,
    styled,
    title,
)
from analysis.figures.palette import MEAN
from analysis.names import init_name
from analysis.statistics.power_law import PowerLaw
from analysis.tables.networks import Networks


@styled
def gains(
    estimates: pd.DataFrame,
    *,
    networks: Networks,
    inits: Sequence[str],
    margin: float,
    metric: str = "test_auroc",
) -> Figure:
    """Conjecture 4: what pretraining gains over training from scratch, by size, a line per network.

    Args:
        estimates: rows of the table `estimates`.
        inits: what is pretrained on, a panel each.
        margin: the smallest effect that matters, shaded.
    """
    figure, panels = new_figure(len(inits), height=2.1, sharex=True)
    drawn: list[pd.DataFrame] = []
    for axes, init in zip(panels, inits, strict=True):
        mine = (estimates["contrast"] == f"{init} minus scratch") & (estimates["metric"] == metric)
        rows = estimates[mine & (estimates["sizes"] == "one")]
        title(axes, f"{init_name(init)} minus scratch")
        if rows.empty:
            empty(axes, "no finished pair of cells yet")
            continue
        drawn.append(rows)
        for position, name in enumerate(networks.ordered(set(rows["architecture"].dropna()))):
            line = rows[rows["architecture"] == name].sort_values("train_images")
            style = networks[name]
            axes.plot(
                line["train_images"] * (1 + 0.02 * (position - 3)),
                line["estimate"],
                color=style.colour,
                marker=style.marker,
                linewidth=0.8,
                markersize=4,
                alpha=0.8,
                label=style.network,
            )
        mean = rows[rows["architecture"].isna()].sort_values("train_images")
        axes.axhspan(-margin, margin, color="#000000", alpha=0.06, linewidth=0)
        axes.axhline(0, color="#555555", linewidth=0.8)
        reach = (mean["high"] - mean["estimate"]).fillna(0.0)
        axes.errorbar(
            mean["train_images"], mean["estimate"], yerr=reach, color=MEAN, linewidth=2, elinewidth=1.2,
            capsize=3, label="mean of networks",
        )  # fmt: skip
        axes.set_ylabel("gain in AUROC")
        size_axis(axes, rows["train_images"].dropna().astype(int))
        if axes is not panels[-1]:
            axes.set_xlabel("")
    if drawn:
        legend(figure, *next(found for a in panels if (found := a.get_legend_handles_labels())[0]))
        note(
            figure,
            f"{area_label(metric)}. {area_count(pd.concat(drawn))} Bars: 95 % interval of the mean of "
            f"networks. Shaded: smaller than the margin of {margin:g}.",
        )
    return figure


@styled
def learning_curve(
    levels: pd.DataFrame, *, networks: Networks, law: PowerLaw | None, metric: str = "test_auroc"
) -> Figure:
    """Conjecture 3: AUROC from scratch by size, a line per network, with the power law of their mean."""
    figure, (axes,) = new_figure()
    axes.set_title("From scratch: what more data promises")
    rows = levels[(levels["metric"] == metric) & (levels["init"] == "random")]
    if rows.empty:
        empty(axes, "no finished cell from scratch yet")
        return figure
    for name in networks.ordered(set(rows["architecture"])):
        line, style = rows[rows["architecture"] == name].sort_values("train_images"), networks[name]
        axes.plot(
            line["train_images"],
            line["estimate"],
            color=style.colour,
            marker=style.marker,
            linewidth=0.9,
            markersize=4,
            label=style.network,
        )
    sizes = sorted(set(rows["train_images"].astype(int)))
    if law is not None:
        value, low, high = law.curve
        axes.fill_between(law.images, low, high, color="#000000", alpha=0.12, linewidth=0)
        axes.plot(law.images, value, color="#000000", linestyle="--", label="power law of the mean")
        axes.axvline(sizes[-1], color="#999999", linewidth=0.7, linestyle=":")
        sizes.append(int(law.images[-1]))
    size_axis(axes, sizes)
    axes.set_ylabel(area_label(metric))
    legend(figure)
    text = ""
    if law is not None:
        exponent, promised = (
            f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
            for (value, low, high), digits in ((law.exponent, 2), (law.promised, 3))
        )
        text = f" Power law: exponent {exponent}; at ten times the data {promised}; band: 95 % bootstrap."
    note(figure, area_count(rows) + text)
    return figure


@styled
def range_tests(curves: pd.DataFrame, cells: pd.DataFrame, *, networks: Networks) -> Figure:
    """The learning-rate range tests of the cells from scratch at the largest size, the chosen rates marked.

    Args:
        curves: columns of `analysis.tables.schema.RANGE_TESTS`.
        cells: `cell_id architecture learning_rate` of the cells to draw.
    """
    figure, (axes,) = new_figure()
    axes.set_title("Learning-rate range tests")
    joined = curves.merge(cells[["cell_id", "architecture"]], on="cell_id")
    if joined.empty:
        empty(axes, "no range test yet")
        return figure
    for cell in cells.itertuples():
        line, style = joined[joined["cell_id"] == cell.cell_id], networks[cell.architecture]
        if line.empty:
            continue
        first = cell.Index == cells.index[cells["architecture"] == cell.architecture][0]
        axes.plot(
            line["learning_rate"],
            line["loss"],
            color=style.colour,
            linewidth=1,
            label=style.network if first else None,
        )
        if np.isfinite(cell.learning_rate):
            at = np.interp(np.log(cell.learning_rate), np.log(line["learning_rate"]), line["loss"])
            axes.plot(cell.learning_rate, at, color=style.colour, marker=style.marker, markersize=5)
    axes.set_xscale("log")
    middle = joined["loss"].dropna()
    axes.set_ylim(middle.min() * 0.9, min(middle.max() * 1.05, middle.quantile(0.8) * 2.5))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss of the step's batch (nats)")
    legend(figure)
    note(
        figure,
        f"From scratch at the largest size. n = {several(len(cells), 'cell')}. Marks: the chosen rates.",
    )
    return figure
