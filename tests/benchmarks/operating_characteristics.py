"""Draws how often verdicts on the conjectures are right and wrong, by the effect that was planted.

    python tests/benchmarks/operating_characteristics.py RATES.parquet PNG [--world plain]

`RATES.parquet` is what `python -m analysis.calibration` keeps. A panel for each design of that world with
several seeds: a line per conjecture for the share of grids with the right verdict, a line for those with any
wrong claim; bars are exact 95 % intervals of each point by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import pandas as pd
from matplotlib import pyplot
from matplotlib.axes import Axes

from analysis.calibration.cases import ANY
from analysis.calibration.rates import clopper_pearson
from analysis.figures.canvas import style

LINES = {
    "conjecture 1": ("conjecture 1 right", "#0072B2", "o", "-"),
    "conjecture 2": ("2 right", "#E69F00", "s", "-"),
    "conjecture 3": ("3 right", "#009E73", "^", "-"),
    "conjecture 4": ("4 right", "#CC79A7", "D", "-"),
    ANY: ("any claim wrong", "#000000", "x", "--"),
}
"""Row of the table: label, colour of Okabe and Ito, marker, stroke."""


def draw(axes: Axes, rows: pd.DataFrame) -> None:
    """One design: a line for each of `LINES`."""
    for shift, (name, (label, colour, marker, stroke)) in enumerate(LINES.items()):
        mine = rows[rows["claim"] == name].sort_values("effect")
        share = mine["wrong" if name == ANY else "right"].to_numpy(float)
        grids = mine["grids"].to_numpy(float)
        low, high = clopper_pearson((share * grids).round(), grids, 0.95)
        at = mine["effect"].to_numpy(float) + 0.02 * (shift - 2)
        axes.errorbar(
            at, 100 * share, (100 * (share - low), 100 * (high - share)), color=colour, marker=marker,
            linestyle=stroke, label=label, markersize=4, elinewidth=0.8,
        )  # fmt: skip
    axes.axhline(5, color="#555555", linewidth=0.7, linestyle=":")
    axes.axvline(1, color="#555555", linewidth=0.7, linestyle=":")
    axes.set(xlabel="planted effect (margins)", ylim=(-2, 102), xticks=sorted(rows["effect"].unique()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rates", type=Path)
    parser.add_argument("png", type=Path)
    parser.add_argument("--world", default="plain")
    options = parser.parse_args()
    table = pd.read_parquet(options.rates)
    table = table[(table["world"] == options.world) & (table["seeds"] > 1)]
    designs = list(table.groupby(["preset", "seeds"], sort=False))
    with style():
        figure, panels = pyplot.subplots(
            1, len(designs), figsize=(2.6 * len(designs), 3.1), sharey=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axes, ((preset, seeds), rows) in zip(panels[0], designs, strict=True):
            draw(axes, rows)
            grids = rows["grids"].iloc[0]
            axes.set_title(f"{preset}, {seeds} seeds\nn = {grids:,} grids a point", fontsize=7.5)
        panels[0, 0].set_ylabel("grids (%)")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        figure.savefig(options.png, dpi=200)


if __name__ == "__main__":
    main()
