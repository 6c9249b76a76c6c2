"""Draws cells of `rate_choice.py`: their range tests before and after a change, and AUROC against the rate.

    python tests/benchmarks/rate_curves.py BEFORE.jsonl AFTER.jsonl PNG ARCHITECTURE:IMAGES:INIT:SEED ...

Both files have a line for each training, as `rate_choice.py` keeps them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

BEFORE, AFTER = ("before", "#D55E00", "s", "--"), ("after", "#0072B2", "o", "-")
"""Okabe and Ito's vermilion and blue; markers and lines differ, too."""


def lines(file: Path, cell: str) -> list[dict[str, Any]]:
    """The trainings of one cell."""
    architecture, images, init, seed = cell.split(":")
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    wanted = (architecture, int(images), init, int(seed))
    return [
        one for one in kept if (one["architecture"], one["train_images"], one["init"], one["seed"]) == wanted
    ]


def draw(curve: Axes, score: Axes, found: list[dict[str, Any]], style: tuple[str, str, str, str]) -> None:
    """One version's range test above, and what it reached at the rates that were trained below."""
    _, colour, marker, stroke = style
    if not found:
        return
    losses = [float("nan") if loss is None else loss for loss in found[0]["losses"]]
    curve.plot(found[0]["rates"], losses, stroke, color=colour, marker=marker, markersize=4)
    for axes in (curve, score):
        axes.axvline(found[0]["chosen"], color=colour, linestyle=stroke, linewidth=1)
    reached = sorted((one["rate"], one["auroc"]) for one in found)
    score.plot(*zip(*reached, strict=True), stroke, color=colour, marker=marker, markersize=5)


def main() -> None:
    before, after, target, *cells = sys.argv[1:]
    figure, grid = pyplot.subplots(
        2,
        len(cells),
        figsize=(3 * len(cells), 5),
        squeeze=False,
        sharex=True,
        sharey="row",
        layout="constrained",
    )
    for column, cell in enumerate(cells):
        curve, score = grid[0][column], grid[1][column]
        draw(curve, score, lines(Path(before), cell), BEFORE)
        draw(curve, score, lines(Path(after), cell), AFTER)
        architecture, images, init, _ = cell.split(":")
        start = "from scratch" if init == "random" else f"from {init}"
        curve.set_title(f"{architecture}\n{start}, {images} images", fontsize=10)
        curve.set_xscale("log")
        curve.set_yscale("log")
        curve.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
        curve.yaxis.set_minor_locator(NullLocator())
        score.set_xlabel("learning rate")
    grid[0][0].set_ylabel("loss in the range test, nats")
    grid[1][0].set_ylabel("AUROC")
    figure.legend(
        handles=[
            Line2D([], [], color=colour, marker=marker, linestyle=stroke, label=f"{name}, upright: chosen")
            for name, colour, marker, stroke in (BEFORE, AFTER)
        ],
        loc="outside lower center", ncols=2, frameon=False,
    )  # fmt: skip
    figure.savefig(target)


if __name__ == "__main__":
    main()
