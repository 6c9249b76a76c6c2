"""Figures 1 to 6 of the study: tables -> matplotlib figures. No statistics, no reading of files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.claims.published import Published
from analysis.figures.canvas import (
    area_label,
    area_note,
    empty,
    legend,
    new_figure,
    note,
    several,
    size_axis,
    styled,
)
from analysis.figures.palette import PUBLISHED, arm_style
from analysis.names import arm_name
from analysis.statistics.curves import SPIKE_DEFINITION, Spikes
from analysis.tables.networks import Networks

AUROC = "test_auroc"

ROOM = 0.15
"""Area that an axis shows beyond the lowest and the highest estimate."""


@styled
def training_spikes(
    runs: dict[int, Spikes], *, networks: Networks, architecture: str, train_images: int, epochs: int
) -> Figure:
    """Figure 1: the training loss of one network over training, spikes marked.

    Args:
        runs: seed -> its spikes, with the binned loss.
        epochs: length of the run.
    """
    figure, (axes,) = new_figure(height=2.9)
    style = networks[architecture]
    axes.set_title(f"{style.network} from scratch, {train_images:,} images")
    if not runs:
        empty(axes, f"no training loss of {style.network} yet")
        return figure
    for index, (seed, run) in enumerate(sorted(runs.items())):
        at = run.step / run.step[-1] * epochs
        shade = 1.0 if len(runs) == 1 else 0.85 - 0.5 * index / len(runs)
        axes.plot(at, run.loss, color=style.colour, alpha=shade, linewidth=0.9, label=f"seed {seed}")
        axes.plot(
            at,
            run.trend,
            color="#333333",
            linewidth=0.8,
            alpha=0.7,
            label="running median" if not index else None,
        )
        axes.plot(
            at[run.peak],
            run.loss[run.peak],
            "v",
            color="#000000",
            markersize=5,
            fillstyle="none",
            label=None if index else "spike",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (nats)")
    legend(figure, columns=min(3, len(runs) + 2))
    note(
        figure,
        f"n = {several(len(runs), 'seed')}. {_told(runs)}. {SPIKE_DEFINITION}.",
    )
    return figure


def _told(runs: dict[int, Spikes]) -> str:
    """Count of every run's spikes, and the median of their heights and recoveries."""
    counts = ", ".join(str(len(run.peak)) for _, run in sorted(runs.items()))
    heights = np.concatenate([run.height for run in runs.values()])
    if not len(heights):
        return f"Spikes: {counts}"
    recoveries = np.concatenate([run.recovery for run in runs.values()])
    return (
        f"Spikes: {counts}; median height {np.median(heights):.2f} times the running median, median recovery "
        f"{np.median(recoveries):,.0f} steps"
    )


@styled
def training_losses(
    bands: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    networks: Networks,
    title: str,
    train_images: int,
    wanted: Iterable[str],
) -> Figure:
    """Figures 2 and 3: training loss by epoch, a line per network.

    Args:
        bands: `architecture epoch mean low high seeds`, as from `analysis.statistics.curves.bands`.
        curves: `cell_id architecture epoch train_loss`, one thin line per seed.
        wanted: networks in the figure.
    """
    figure, (axes,) = new_figure()
    axes.set_title(title)
    wanted = set(wanted)
    there = [name for name in networks.ordered(set(bands["architecture"])) if name in wanted]
    if not there:
        empty(axes, "no finished training yet")
        return figure
    for name in there:
        style, rows = networks[name], bands[bands["architecture"] == name]
        seeds = int(rows["seeds"].max())
        if seeds > 1:
            for _, one in curves[curves["architecture"] == name].groupby("cell_id"):
                axes.plot(one["epoch"], one["train_loss"], color=style.colour, linewidth=0.5, alpha=0.5)
            axes.fill_between(
                rows["epoch"], rows["low"], rows["high"], color=style.colour, alpha=0.15, linewidth=0
            )
        every = max(1, len(rows) // 10)
        axes.plot(
            rows["epoch"],
            rows["mean"],
            color=style.colour,
            marker=style.marker,
            markevery=every,
            label=f"{style.network} (n = {seeds})",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (nats)")
    legend(figure)
    absent = [networks[name].network for name in networks.ordered(wanted) if name not in there]
    note(
        figure,
        f"From scratch, {train_images:,} training images. n: seeds. Band: 95 % interval over seeds; one seed "
        "has none." + (f" Not there yet: {', '.join(absent)}." if absent else ""),
    )
    return figure


@styled
def auroc_by_size(
    levels: pd.DataFrame,
    points: pd.DataFrame,
    *,
    networks: Networks,
    architecture: str,
    arms: list[tuple[str, str]],
    natural: str | None,
    title: str,
) -> Figure:
    """Figures 4 and 6: one network's AUROC against the size of the data set, a line per arm.

    Args:
        levels: rows of `estimates` that are levels (with `train_images init freeze`).
        points: the cells, one row per seed, with their AUROC.
        arms: (init, freeze) in the figure.
    """
    figure, (axes,) = new_figure()
    style = networks[architecture]
    axes.set_title(f"{style.network}: {title}")
    rows = levels[(levels["metric"] == AUROC) & (levels["architecture"] == architecture)]
    seen, sizes, absent = pd.DataFrame(), set(), []
    for position, (init, freeze) in enumerate(arms):
        line = rows[(rows["init"] == init) & (rows["freeze"] == freeze)].sort_values("train_images")
        if line.empty:
            absent.append(arm_name(init, freeze))
            continue
        seen, drawn = line, arm_style(init, freeze, natural=natural)
        shift = 1 + 0.025 * (position - (len(arms) - 1) / 2)
        at = line["train_images"].to_numpy(float) * shift
        sizes |= set(line["train_images"])
        low, high = (np.abs(line[end] - line["estimate"]).to_numpy(float) for end in ("low", "high"))
        axes.fill_between(at, line["low"], line["high"], color=style.colour, alpha=0.07, linewidth=0)
        axes.errorbar(
            at,
            line["estimate"],
            yerr=[np.nan_to_num(low), np.nan_to_num(high)],
            color=style.colour,
            marker=style.marker,
            capsize=2,
            elinewidth=0.9,
            label=arm_name(init, freeze),
            **drawn,
        )
        one = points[
            (points["architecture"] == architecture) & (points["init"] == init) & (points["freeze"] == freeze)
        ]
        if (line["seeds"] > 1).any():
            at = one["train_images"] * shift * 1.012
            axes.plot(at, one[AUROC], ".", color=style.colour, alpha=0.45, markersize=3)
    if seen.empty:
        empty(axes, f"no finished cell of {style.network} yet")
        return figure
    size_axis(axes, sizes)
    axes.set_ylabel(area_label(AUROC))
    axes.set_ylim(
        *_room(rows[pd.Series(zip(rows["init"], rows["freeze"], strict=True), rows.index).isin(arms)])
    )
    legend(figure, columns=min(2, len(axes.get_legend_handles_labels()[0])))
    note(figure, area_note(rows) + (f" Not there yet: {', '.join(absent)}." if absent else ""))
    return figure


@styled
def auroc_by_network(
    levels: pd.DataFrame,
    points: pd.DataFrame,
    *,
    networks: Networks,
    published: list[Published],
    metric: str = "test_auroc",
) -> Figure:
    """Figures 5a and 5b: AUROC from scratch against parameters and against depth, largest and smallest size.

    Args:
        levels: rows of `estimates` that are levels.
        points: the cells, with `parameters`, `depth` and the metric.
        published: drawn in gray at their network's place.
    """
    figure, panels = new_figure(2, height=2.3, sharey=True)
    rows = levels[(levels["metric"] == metric) & (levels["init"] == "random")]
    if rows.empty:
        for axes in panels:
            empty(axes, "no finished cell from scratch yet")
        return figure
    facts = points.drop_duplicates("architecture").set_index("architecture")
    sizes = sorted({int(rows["train_images"].max()), int(rows["train_images"].min())}, reverse=True)
    names = networks.ordered(set(rows["architecture"]))
    apart = {name: 1.035 ** (k - (len(names) - 1) / 2) for k, name in enumerate(names)}
    for axes, column, label, letter in zip(
        panels, ("parameters", "depth"), ("parameters", "depth (layers with weights)"), "ab", strict=True
    ):
        for size in sizes:
            largest = size == sizes[0]
            for one in rows[rows["train_images"] == size].itertuples():
                style = networks[one.architecture]
                at = facts.loc[one.architecture, column] * apart[one.architecture]
                low, high = (
                    abs(end - one.estimate) if np.isfinite(end) else 0.0 for end in (one.low, one.high)
                )
                axes.errorbar(
                    [at],
                    [one.estimate],
                    yerr=[[low], [high]],
                    color=style.colour,
                    marker=style.marker,
                    fillstyle="full" if largest else "none",
                    markersize=5,
                    capsize=2,
                    elinewidth=0.9,
                )
                dots = points.query(
                    "architecture == @one.architecture and train_images == @size and init == 'random'"
                )[metric].dropna()
                if len(dots) > 1:
                    axes.plot([at * 1.04] * len(dots), dots, ".", color=style.colour, alpha=0.5, markersize=4)
        for value in published:
            if value.architecture in facts.index and value.init == "random":
                axes.plot(
                    facts.loc[value.architecture, column], value.auroc, "*", color=PUBLISHED, markersize=8
                )
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_title(f"5{letter}: AUROC by {column}")
    panels[0].set_ylim(*_room(rows[rows["train_images"].isin(sizes)]))
    panels[1].xaxis.set_major_locator(FixedLocator(sorted(set(facts["depth"].dropna().astype(float)))[::2]))
    panels[1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    panels[1].xaxis.set_minor_locator(NullLocator())
    for axes in panels:
        axes.set_ylabel(area_label(metric))
    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, linestyle="", label=one.network)
        for one in (networks[name] for name in names)
    ]
    handles += [
        Line2D(
            [],
            [],
            color="#333333",
            marker="o",
            linestyle="",
            label=f"{size:,} images",
            fillstyle="full" if size == sizes[0] else "none",
        )
        for size in sizes
    ]
    if any(value.architecture in facts.index for value in published):
        handles.append(
            Line2D(
                [],
                [],
                color=PUBLISHED,
                marker="*",
                linestyle="",
                markersize=8,
                label=f"published ({published[0].data})",
            )
        )
    legend(figure, handles, [handle.get_label() for handle in handles])
    note(figure, area_note(rows))
    return figure


def _room(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits of an axis of areas that show every estimate; very long bars are cut off at the panel's edge."""
    lowest, highest = rows["estimate"].min(), rows["estimate"].max()
    ends = np.nanmin([*rows["low"], lowest]), np.nanmax([*rows["high"], highest])
    return float(max(ends[0], lowest - ROOM) - 0.02), float(min(ends[1], highest + ROOM) + 0.02)
