"""A specification curve: every claim's effect in every other way to judge the same cells, a row for each."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import PAGE, Absent, Drawing, several
from analysis.figures.palette import VERDICTS

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

ACROSS = 5
"""Claims beside each other."""
LABELS, GAP, LINE, HEAD, FOOT = 2.1, 0.08, 0.125, 0.62, 0.42
"""Inches: width of the labels, between panels; heights of a row, of a title and of a scale."""
REACH = 8.0
"""Greatest reach of the scale, in margins."""
MARKERS = {"supported": "o", "refuted": "s", "undecided": "o"}
TITLE_CHARACTERS = 21


def alternatives(drawn: Drawn) -> Drawing | Absent:
    """A panel for every claim, a row for every alternative, the verdict itself on top."""
    table = drawn.robust
    claims = list(dict.fromkeys(table["claim"]))
    if not claims:
        return Absent("no claim can be estimated yet")
    names = list(dict.fromkeys(table["alternative"]))
    bands = -(-len(claims) // ACROSS)
    columns = -(-len(claims) // bands)
    height = bands * (HEAD + LINE * len(names) + FOOT)
    figure = Figure(figsize=(PAGE, height))
    width = (PAGE - LABELS - 0.1 - GAP * (columns - 1)) / columns
    reach = _reach(table)
    for number, claim in enumerate(claims):
        band, column = divmod(number, columns)
        left = LABELS + column * (width + GAP)
        bottom = height - (band + 1) * (HEAD + LINE * len(names) + FOOT) + FOOT
        box = (left / PAGE, bottom / height, width / PAGE, LINE * len(names) / height)
        axes = figure.add_axes(box)
        rows = table[table["claim"] == claim].set_index("alternative").reindex(names)
        _panel(axes, rows, reach)
        _labels(axes, table, names, shown=column == 0)
    return Drawing(figure, _note(table))


def _reach(table: pd.DataFrame) -> float:
    ends = table[["effect_in_margins", "low_in_margins", "high_in_margins"]].abs().to_numpy(float)
    plain = ends[np.isfinite(ends)]
    return float(np.clip(np.quantile(plain, 0.9) if len(plain) else 2.0, 2.0, REACH))


def _panel(axes: Axes, rows: pd.DataFrame, reach: float) -> None:
    axes.axvspan(-1, 1, color="#000000", alpha=0.07, linewidth=0)
    axes.axvline(0, color="#555555", linewidth=0.7)
    stands = rows["effect_in_margins"].iloc[0]
    if abs(stands) <= reach:
        axes.axvline(stands, color="#333333", linewidth=0.6, linestyle=":")
    for place, row in enumerate(rows.to_dict("records")):
        line = -place
        value, low, high = (row[f"{name}_in_margins"] for name in ("effect", "low", "high"))
        if pd.isna(row["verdict"]) or not np.isfinite(value):
            continue
        colour = VERDICTS[row["verdict"]]
        if np.isfinite(low) and np.isfinite(high):
            axes.plot(np.clip([low, high], -reach, reach), [line, line], color=colour, linewidth=1.2,
                      solid_capstyle="butt")  # fmt: skip
        for end in (value, low, high):
            if np.isfinite(end) and abs(end) > reach:
                marker = "<" if end < 0 else ">"
                axes.plot(np.sign(end) * reach, line, marker, color=colour, markersize=3, clip_on=False)
        if abs(value) <= reach:
            face = "white" if row["verdict"] == "undecided" else colour
            axes.plot(value, line, MARKERS[row["verdict"]], color=colour, markersize=3.6,
                      markerfacecolor=face)  # fmt: skip
    question = f"{rows['conjecture'].dropna().iloc[0]:.0f}  {rows['question'].dropna().iloc[0]}"
    axes.set_title(textwrap.fill(question, TITLE_CHARACTERS), fontsize=5.6, weight="normal", linespacing=1.05)
    axes.set_xlim(-reach * 1.04, reach * 1.04)
    axes.set_ylim(0.4 - len(rows), 0.6)
    step = 1 if reach <= 3 else 2 if reach <= 6 else 4
    axes.set_xticks(
        [mark for mark in range(-int(REACH), int(REACH) + 1) if mark % step == 0 and abs(mark) <= reach]
    )
    axes.tick_params(labelsize=6, length=2)
    axes.grid(visible=False)
    axes.axhline(-0.5, color="#999999", linewidth=0.5)
    axes.set_xlabel("effect, in margins", fontsize=6, labelpad=1)


def _labels(axes: Axes, table: pd.DataFrame, names: list[str], *, shown: bool) -> None:
    """What each row is, with its patients where they are others, or that it is not available."""
    axes.set_yticks([-place for place in range(len(names))])
    axes.tick_params(axis="y", length=0)
    if not shown:
        axes.set_yticklabels([])
        return
    usual = table.loc[table["choice"].isna(), "patients"].max()
    labels = []
    for name in names:
        rows = table[table["alternative"] == name]
        patients = rows["patients"].max()
        other = pd.notna(patients) and patients != usual
        absent = rows["not_available"].notna().all()
        labels.append(f"{name} (n = {int(patients):,})" if other else f"{name}: n/a" if absent else name)
    axes.set_yticklabels(labels, fontsize=5.8)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if table.loc[table["alternative"] == name, "not_available"].notna().all():
            label.set_color("#767676")
    axes.get_yticklabels()[0].set_fontweight("bold")


def _note(table: pd.DataFrame) -> str:
    plain = table[table["choice"].isna()]
    patients, seeds = plain["patients"].dropna(), plain["seeds"].dropna()
    who = f"{int(patients.max()):,} test patients, " if len(patients) else ""
    barred = (table["low_in_margins"].notna() & table["high_in_margins"].notna()).any()
    bars = (
        "Bars: 95 % intervals, triangles where they or an effect lie beyond the scale."
        if barred
        else "There are no intervals yet. Triangles: an effect beyond the scale."
    )
    return (
        f"n = {who}{several(int(seeds.max()) if len(seeds) else 0, 'seed')} where nothing else is said. "
        f"{bars} Shaded: smaller than "
        "that row's margin. Filled circle: supported; filled square: refuted; open circle: undecided. "
        "Dotted: the effect as judged. An empty row does not touch the claim, or cannot be estimated; n/a: "
        "this evidence cannot tell."
    )
