"""The first page: four conjectures, their verdicts, and every claim's effect with its interval against its
margin. On a page's width with everything on one line, or on a column's width with the questions above."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import COLUMN, PAGE, Absent, Drawing, several
from analysis.figures.palette import VERDICTS
from analysis.names import FOUND
from analysis.numbers import digits_seen, signed

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

NEAREST, FURTHEST = 2.0, 20.0
"""Least and greatest reach of the scale in margins; what lies beyond ends in an arrow."""
TICKS = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths and heights in inches; `left` and `right` are the ends of the scale, numbers begin at `number`.

    Attributes:
        question: characters on a line of a question.
        above: the question's height above the bar; 0 puts it on the bar's own line.
    """

    width: float
    left: float
    right: float
    number: float
    question: int
    claim: float
    head: float
    above: float


WIDE = Layout(PAGE, 2.85, 5.0, 5.15, 50, 0.30, 0.40, 0.0)
NARROW = Layout(COLUMN, 0.12, 1.33, 1.40, 66, 0.46, 0.40, 0.22)
HEAD_CHARACTERS = {PAGE: 80, COLUMN: 42}
LINES, LINE = 2, 0.1
"""Lines of a question that a claim has room for, and the height of each further one."""
FOOT = 0.36
"""Height of the scale below the claims."""


def wide(drawn: Drawn) -> Drawing | Absent:
    """Every claim's estimate in units of its margin, grouped by conjecture, coloured and named by verdict."""
    return _at_a_glance(drawn, WIDE)


def narrow(drawn: Drawn) -> Drawing | Absent:
    """The same for a column of print or a phone."""
    return _at_a_glance(drawn, NARROW)


def _at_a_glance(drawn: Drawn, layout: Layout) -> Drawing | Absent:
    table = drawn.verdicts
    claims, overall = (table[(table["claim"] == "overall") == flag] for flag in (False, True))
    if not claims["estimate"].notna().any():
        return Absent("no claim can be estimated yet")
    tested = claims[claims["estimate"].notna()]
    overall = overall[overall["conjecture"].isin(tested["conjecture"])]
    further = {
        name: _further(layout, question)
        for name, question in zip(tested["claim"], tested["question"], strict=True)
    }
    height = layout.claim * len(tested) + sum(further.values()) + layout.head * len(overall) - 0.08 + FOOT
    figure = Figure(figsize=(layout.width, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, layout.width), ylim=(height, 0))
    axes.set_axis_off()
    scale = _Scale(layout, _reach(tested), " (no interval)" if _barred(tested) else "")
    line = -0.16
    for head in overall.itertuples():
        line += layout.head
        title = textwrap.fill(f"{head.conjecture}  {head.question}", HEAD_CHARACTERS[layout.width])
        axes.text(0.05, line - 0.09, title, weight="bold", va="center", fontsize=8)
        axes.text(layout.width - 0.05, line - 0.09, head.verdict, weight="bold", va="center", ha="right",
                  color=VERDICTS[head.verdict], fontsize=8)  # fmt: skip
        for claim in tested[tested["conjecture"] == head.conjecture].to_dict("records"):
            line += further[claim["claim"]]
            _claim(axes, claim, scale, line + (layout.claim + layout.above) / 2)
            line += layout.claim
    _ticks(axes, scale, height - FOOT + 0.06)
    return Drawing(figure, _note(tested))


def _further(layout: Layout, question: object) -> float:
    """Inches for the lines of a question beyond those that a claim has room for."""
    return LINE * max(0, len(textwrap.wrap(str(question), layout.question)) - LINES)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Places of effects, in margins, on the page, in inches.

    Attributes:
        reach: of the scale, in margins.
        lacking: said of an effect without an interval.
    """

    layout: Layout
    reach: float
    lacking: str

    def at(self, effect: float) -> float:
        """Inches from the left; beyond the reach, its end."""
        share = (float(np.clip(effect, -self.reach, self.reach)) / self.reach + 1) / 2
        return self.layout.left + share * (self.layout.right - self.layout.left)


def _reach(claims: pd.DataFrame) -> float:
    ends = claims[["estimate", "low", "high"]].astype(float).div(claims["margin"].astype(float), axis=0)
    known = ends.abs().to_numpy()[np.isfinite(ends.to_numpy())]
    return float(np.clip(np.max(known, initial=NEAREST) * 1.05, NEAREST, FURTHEST))


def _note(claims: pd.DataFrame) -> str:
    """What n is, and how to read the bars."""
    patients, seeds = claims["patients"].dropna(), claims["seeds"].dropna()
    who = f"{int(patients.max()):,} test patients, " if len(patients) else ""
    return (
        f"n = {who}{several(int(seeds.max()) if len(seeds) else 0, 'seed')}. "
        + ("Bars: 95 % intervals. " if _barred(claims) else "There are no intervals yet. ")
        + "Shaded: smaller than the margin, the smallest effect that matters. Filled: claims that the "
        "conjecture stands or falls with."
        + (" Verdicts are corrected for the number of claims, intervals are not." if _barred(claims) else "")
    )


def _barred(claims: pd.DataFrame) -> bool:
    """Whether any claim has an interval."""
    return bool((claims["low"].notna() & claims["high"].notna()).any())


def _shade(axes: Axes, scale: _Scale, line: float) -> None:
    """The margins and zero, behind one claim."""
    half = (scale.layout.claim - scale.layout.above) / 2
    ends = [line - half, line + half]
    axes.fill_betweenx(ends, scale.at(-1), scale.at(1), color="#000000", alpha=0.07, linewidth=0)
    axes.vlines(scale.at(0), ends[0], ends[1], color="#555555", linewidth=0.7)


def _ticks(axes: Axes, scale: _Scale, at: float) -> None:
    step = max(1, int(np.ceil(2 * scale.reach / TICKS)))
    marks = [mark for mark in range(-int(FURTHEST), int(FURTHEST) + 1) if mark % step == 0]
    axes.hlines(at, scale.at(-scale.reach), scale.at(scale.reach), color="#555555", linewidth=0.6)
    for mark in marks:
        if abs(mark) <= scale.reach:
            axes.vlines(scale.at(mark), at, at + 0.04, color="#555555", linewidth=0.6)
            axes.text(scale.at(mark), at + 0.11, f"{mark:+d}" if mark else "0", ha="center", va="center",
                      fontsize=6.5)  # fmt: skip
    axes.text(scale.at(0), at + 0.23, "effect, in margins", ha="center", va="center", fontsize=6.5)


def _claim(axes: Axes, row: dict[str, object], scale: _Scale, line: float) -> None:
    layout, verdict = scale.layout, str(row["verdict"])
    colour = VERDICTS[verdict]
    _shade(axes, scale, line)
    question = textwrap.fill(str(row["question"]), layout.question)
    middle = line - layout.above - _further(layout, row["question"]) / 2
    axes.text(0.12, middle, question, va="center", fontsize=6.5, linespacing=1.05)
    effect = FOUND.get(str(row["effect"]), "")
    found = f"{effect}\n{verdict}" if effect else verdict
    axes.text(
        layout.width - 0.05,
        line,
        found,
        va="center",
        ha="right",
        fontsize=6.5,
        color=colour,
        linespacing=1.05,
    )
    value, low, high = (_in_margins(row, key) for key in ("estimate", "low", "high"))
    number = _number(row, scale.lacking, margin=not layout.above)
    axes.text(layout.number, line, number, va="center", fontsize=6, color="#333333", linespacing=1.05)
    if np.isfinite(low) and np.isfinite(high):
        axes.plot([scale.at(low), scale.at(high)], [line, line], color=colour, linewidth=1.8,
                  solid_capstyle="butt")  # fmt: skip
        for beyond, end, marker in ((low < -scale.reach, low, "<"), (high > scale.reach, high, ">")):
            if beyond:
                axes.plot(scale.at(end), line, marker, color=colour, markersize=4.5)
    if abs(value) <= scale.reach:
        fill = "full" if row["needed"] else "none"
        axes.plot(scale.at(value), line, "o", color=colour, markersize=5, fillstyle=fill,
                  markerfacecolor=colour if row["needed"] else "white")  # fmt: skip
    elif np.isfinite(value) and not np.isfinite(low):  # off the scale, and no bar that says so
        axes.plot(scale.at(value), line, ">" if value > 0 else "<", color=colour, markersize=5)


def _in_margins(row: dict[str, object], key: str) -> float:
    value = row[key]
    return float(value) / float(row["margin"]) if isinstance(value, float) else float("nan")  # type: ignore[arg-type]


def _signed(value: object, digits: int) -> str:
    """A difference with its sign; nothing where it is missing."""
    return signed(value, digits) if isinstance(value, float) and np.isfinite(value) else ""


def _number(row: dict[str, object], lacking: str, *, margin: bool) -> str:
    """The estimate with its interval, and below its unit and, if there is room, its margin."""
    digits = digits_seen(float(str(row["estimate"])), int(str(row["digits"])))
    value, low, high = (_signed(row[name], digits) for name in ("estimate", "low", "high"))
    if isinstance(row["low"], float) and row["low"] == row["high"]:
        low, lacking = "", " (no variation)"
    text = f"{value} ({low} to {high})" if low and high else f"{value}{lacking}"
    return f"{text}\n{row['unit']}" + (f"; margin {row['margin']:g}" if margin else "")
