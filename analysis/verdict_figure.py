"""The first page: four conjectures, their verdicts, and every claim's effect with its interval against its
margin."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.canvas import note, styled
from analysis.palette import VERDICTS

REACH = 3.2
"""Margins to either side; what lies beyond ends in an arrow."""

LEFT, RIGHT = 10.6, 8.6
"""Room for the questions on one side, numbers and verdicts on the other."""


@styled
def verdicts_at_a_glance(table: pd.DataFrame) -> Figure:
    """Every claim's estimate in units of its margin, grouped by conjecture, coloured and named by verdict.

    Args:
        table: columns of `analysis.schema.VERDICTS`.
    """
    claims = table[table["claim"] != "overall"]
    overall = table[table["claim"] == "overall"]
    figure = Figure(figsize=(7.2, 0.36 * len(claims) + 0.52 * len(overall) + 0.9), layout="constrained")
    axes = figure.subplots()
    line, places = 0.0, []
    for head in overall.itertuples():
        axes.text(-LEFT, line, f"{head.conjecture}  {head.question}", weight="bold", va="center", fontsize=9)
        axes.text(RIGHT, line, head.verdict.upper(), weight="bold", va="center", ha="right",
                  color=VERDICTS[head.verdict], fontsize=9)  # fmt: skip
        line += 0.95
        for claim in claims[claims["conjecture"] == head.conjecture].itertuples():
            _claim(axes, claim, line)
            places.append(line)
            line += 0.85
        line += 0.35
    low, high = min(places) - 0.6, max(places) + 0.5
    axes.fill_betweenx([low, high], -1, 1, color="#000000", alpha=0.06, linewidth=0)
    axes.vlines(0, low, high, color="#555555", linewidth=0.8)
    axes.vlines([-1, 1], low, high, color="#999999", linewidth=0.7, linestyle=":")
    axes.set_ylim(line, -0.8)
    axes.set_xlim(-LEFT, RIGHT)
    axes.set_yticks([])
    axes.set_xticks([-3, -2, -1, 0, 1, 2, 3])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel("effect, in units of its margin", x=LEFT / (LEFT + RIGHT))
    patients = claims["patients"].dropna()
    who = f"n = {int(patients.max()):,} test patients, " if len(patients) else ""
    seeds = claims["seeds"].dropna()
    note(
        figure,
        f"{who}{int(seeds.max()) if len(seeds) else 0} seed(s). Bars: 95 % intervals. Shaded: smaller "
        f"than the "
        "smallest effect that matters. Filled: claims that the conjecture stands or falls with.",
    )
    return figure


def _claim(axes: Axes, claim: object, line: float) -> None:
    row = pd.Series(claim._asdict())  # type: ignore[attr-defined]
    colour = VERDICTS[row["verdict"]]
    axes.text(-LEFT * 0.98, line, textwrap.fill(row["question"], 54), va="center", fontsize=7)
    axes.text(RIGHT, line, row["verdict"], va="center", ha="right", fontsize=7.5, color=colour)
    if row["estimate"] is None or not np.isfinite(row["estimate"]):
        axes.text(0, line, "not tested", va="center", ha="center", fontsize=7, color="#555555",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        return
    axes.text(REACH * 1.08, line, _number(row), va="center", fontsize=6.5, color="#333333")
    value, low, high = (float(row[key]) / float(row["margin"]) for key in ("estimate", "low", "high"))
    if np.isfinite(low) and np.isfinite(high):
        axes.plot(
            np.clip([low, high], -REACH, REACH),
            [line, line],
            color=colour,
            linewidth=2,
            solid_capstyle="butt",
        )
        for end, side, marker in ((low, -REACH, "<"), (high, REACH, ">")):
            if abs(end) > REACH and np.sign(end) == np.sign(side):
                axes.plot(side, line, marker, color=colour, markersize=4)
    if abs(value) <= REACH:
        axes.plot(
            value, line, "o", color=colour, markersize=5.5, fillstyle="full" if row["needed"] else "none"
        )


def _number(row: pd.Series) -> str:
    """The estimate with its interval, in its own unit."""
    digits = 1 if row["metric"] == "spikes" else 3
    text = f"{row['estimate']:+.{digits}f}"
    if np.isfinite(row["low"]) and np.isfinite(row["high"]):
        text += f" [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
    return f"{text}\n{row['unit']}"
