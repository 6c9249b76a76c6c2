"""Training from scratch: figures 1 to 3 of the study, and the range tests that chose the learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.figures.canvas import Absent, Drawing, cut, legend, log_ticks, new_figure, several

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

FOCUS, TALL = "cbr_large_wide", "cbr_large_tall"
RESNETS = ("resnet50", "resnet34", "resnet18")
BAND_ROOM = 1.3
"""Height of a panel of losses, in their largest: with two seeds a band would hide the curves."""
DECADES = 2.5
"""From this many on a logarithmic axis is labelled by powers of ten."""


def spikes(drawn: Drawn) -> Drawing | Absent:
    """Figure 1: the training loss of ResNet-50 over training, spikes marked."""
    training = drawn.training
    if training is None:
        planned = (drawn.cells["architecture"] == "resnet50").any()
        return Absent(
            "no cell of ResNet-50 has finished training" if planned else "the grid has no ResNet-50"
        )
    figure, (axes,) = new_figure()
    style = drawn.networks["resnet50"]
    axes.set_title(f"{style.network} from scratch, {training.train_images:,} images")
    seeds = sorted(training.points["seed"].unique())
    for index, seed in enumerate(seeds):
        run = training.points[training.points["seed"] == seed]
        shade = 1.0 if len(seeds) == 1 else 0.85 - 0.5 * index / len(seeds)
        first = index == 0
        axes.plot(
            run["epoch"], run["loss"], color=style.colour, alpha=shade, linewidth=0.9, label=f"seed {seed}"
        )
        axes.plot(
            run["epoch"], run["trend"], color="#333333", linewidth=0.8, alpha=0.7,
            label="running median" if first else None,
        )  # fmt: skip
        peaks = run[run["spike"]]
        axes.plot(peaks["epoch"], peaks["loss"], "v", color="#000000", markersize=5, fillstyle="none")
    if training.points["spike"].any():
        axes.plot([], [], "v", color="#000000", markersize=5, fillstyle="none", label="spike")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (nats)")
    legend(figure, columns=min(3, len(axes.get_legend_handles_labels()[0])))
    return Drawing(figure, f"n = {several(len(seeds), 'seed')}. {training.told}. {training.definition}.")


def wide_and_resnets(drawn: Drawn) -> Drawing | Absent:
    """Figure 2: training loss by epoch of CBR-Large-Wide and the ResNets."""
    return _losses(drawn, (FOCUS, *RESNETS), "Training loss from scratch")


def large(drawn: Drawn) -> Drawing | Absent:
    """Figure 3: training loss by epoch of the five large networks."""
    if TALL not in set(drawn.losses["architecture"]):
        return Absent("it would be figure 2 again, without CBR-Large-Tall")
    return _losses(drawn, (FOCUS, TALL, *RESNETS), "Training loss from scratch")


def _losses(drawn: Drawn, wanted: tuple[str, ...], title: str) -> Drawing | Absent:
    there = [name for name in drawn.networks.ordered(set(drawn.losses["architecture"])) if name in wanted]
    planned = set(drawn.cells["architecture"]) & set(wanted)
    if not planned:
        return Absent("the grid has none of these networks")
    if not there:
        return Absent("none of these networks has finished training from scratch")
    figure, (axes,) = new_figure()
    axes.set_title(title)
    for name in there:
        style, rows = drawn.networks[name], drawn.losses[drawn.losses["architecture"] == name]
        seeds = int(rows["seeds"].max())
        if seeds > 1:
            lines = drawn.loss_lines[drawn.loss_lines["architecture"] == name]
            for _, one in lines.groupby("cell_id"):
                axes.plot(one["epoch"], one["train_loss"], color=style.colour, linewidth=0.5, alpha=0.5)
            axes.fill_between(
                rows["epoch"], rows["low"].clip(lower=0), rows["high"], color=style.colour, alpha=0.15,
                linewidth=0,
            )  # fmt: skip
        axes.plot(
            rows["epoch"], rows["mean"], color=style.colour, marker=style.marker,
            markevery=max(1, len(rows) // 10), label=f"{style.network} (n = {seeds})",
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (nats)")
    legend(figure)
    absent = [drawn.networks[name].network for name in drawn.networks.ordered(planned) if name not in there]
    band = " Band: 95 % interval over seeds." if (drawn.losses["seeds"] > 1).any() else ""
    shown = drawn.loss_lines[drawn.loss_lines["architecture"].isin(there)]["train_loss"]
    top = BAND_ROOM * float(shown.max())
    if drawn.losses[drawn.losses["architecture"].isin(there)]["high"].max() > top:
        axes.set_ylim(0, top)
        band = f"{band[:-1]}; it goes on above the panel."
    size = int(drawn.scratch["train_images"].iloc[0])
    return Drawing(
        figure,
        f"From scratch, {size:,} training images. n: seeds.{band}"
        + (f" Not finished: {', '.join(absent)}." if absent else ""),
    )


def range_tests(drawn: Drawn) -> Drawing | Absent:
    """The learning-rate range tests from scratch at the largest size, the chosen rates marked."""
    table = drawn.range_tests
    if table.empty:
        return Absent("no range test was recorded")
    figure, (axes,) = new_figure()
    axes.set_title("Learning-rate range tests")
    curves = table[~table["chosen"].astype(bool)]
    starts = curves.groupby("cell_id")["loss"].first()
    axes.set_ylim(0.9 * curves["loss"].min(), min(1.05 * curves["loss"].max(), 2.5 * starts.max()))
    top = axes.get_ylim()[1]
    shown: set[str] = set()
    for _, rows in table.groupby("cell_id", sort=False):
        name = str(rows["architecture"].iloc[0])
        line, style = rows[~rows["chosen"].astype(bool)], drawn.networks[name]
        axes.plot(line["learning_rate"], line["loss"], color=style.colour, linewidth=1,
                  label=None if name in shown else style.network)  # fmt: skip
        shown.add(name)
        mark = rows[rows["chosen"].astype(bool)]
        axes.plot(mark["learning_rate"], mark["loss"], color=style.colour, marker=style.marker, markersize=5)
        beyond = line[line["loss"] > top].head(1)
        cut(axes, list(beyond["learning_rate"]), list(beyond["loss"]), style.colour)
    axes.set_xscale("log")
    low, high = curves["learning_rate"].min(), curves["learning_rate"].max()
    if np.log10(high / low) < DECADES:
        log_ticks(axes.xaxis, low, high)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss of the step's batch (nats)")
    legend(figure)
    cells = several(table["cell_id"].nunique(), "cell")
    tested = drawn.cells[drawn.cells["cell_id"].isin(table["cell_id"])]
    size = int(tested["train_images"].iloc[0])
    beyond_top = " Triangles: the curve goes on above." if (curves["loss"] > top).any() else ""
    return Drawing(
        figure, f"From scratch, {size:,} training images. n = {cells}. Marks: the chosen rates.{beyond_top}"
    )
