"""AUROC against the size of the data set: figures 4 and 6, learning curves, gains of pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.canvas import (
    ONE_SEED,
    Absent,
    Drawing,
    area_count,
    area_note,
    cut,
    legend,
    new_figure,
    of_seeds,
    size_axis,
    title,
)
from analysis.figures.palette import MEAN, arm_style
from analysis.names import arm_name, init_name

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

FOCUS = "cbr_large_wide"
ROOM = 0.15
"""Area that an axis shows beyond the lowest and the highest estimate."""
MARKER = 0.03
"""Share of an axis above an area of 1, so that its marker is whole."""
CUT = " Triangles: the bar goes on beyond the panel."

Arm = tuple[str, str]


def pretrained(drawn: Drawn) -> Drawing | Absent:
    """Figure 4: CBR-Large-Wide from scratch and pretrained on natural images."""
    return _by_size(drawn, [(init, "none") for init in drawn.pretrained], "data and pretraining")


def in_domain(drawn: Drawn) -> Drawing | Absent:
    """Figure 6: CBR-Large-Wide from scratch, fine-tuned and frozen from the same domain."""
    arms = [(drawn.in_domain, "none"), (drawn.in_domain, "backbone")]
    return _by_size(drawn, arms, "in-domain pretraining")


def _by_size(drawn: Drawn, others: list[Arm], name: str) -> Drawing | Absent:
    """A line per arm: from scratch, then `others`."""
    style = drawn.networks[FOCUS]
    mine = drawn.cells[drawn.cells["architecture"] == FOCUS]
    planned = set(zip(mine["init"], mine["freeze"], strict=True))
    others = [arm for arm in others if arm in planned]
    if mine.empty:
        return Absent(f"the grid has no {style.network}")
    if not others:
        return Absent(f"the grid plans no {style.network} that is pretrained so")
    rows = of_seeds(drawn.levels[drawn.levels["architecture"] == FOCUS])
    lines = {arm: _line(rows, arm) for arm in [("random", "none"), *others]}
    if not any(len(lines[arm]) for arm in others):
        return Absent(f"no {style.network} that is pretrained so has finished")
    seen = pd.concat(lines.values())
    if (why := _no_curve(drawn, seen)) is not None:
        return why
    figure, (axes,) = new_figure()
    axes.set_title(f"{style.network}: {name}")
    axes.set_ylim(*room(seen))
    for position, (arm, line) in enumerate(lines.items()):
        shift = 1 + 0.025 * (position - (len(lines) - 1) / 2)
        _arm(axes, drawn, arm, line, shift)
    size_axis(axes, seen["train_images"].astype(int))
    axes.set_ylabel(drawn.area)
    legend(figure, columns=min(2, len(axes.get_legend_handles_labels()[0])))
    absent = [arm_name(*arm) for arm, line in lines.items() if line.empty]
    note = area_note(seen) + (f" Not finished: {', '.join(absent)}." if absent else "")
    return Drawing(figure, note + (CUT if beyond(axes, seen) else ""))


def _line(rows: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    return rows[(rows["init"] == arm[0]) & (rows["freeze"] == arm[1])].sort_values("train_images")


def _arm(axes: Axes, drawn: Drawn, arm: Arm, line: pd.DataFrame, shift: float) -> None:
    """One arm's line with its intervals, and a dot for every seed where there are several."""
    if line.empty:
        return
    style = drawn.networks[FOCUS]
    at = line["train_images"].to_numpy(float) * shift
    low, high = (np.abs(line[end] - line["estimate"]).to_numpy(float) for end in ("low", "high"))
    bars = [np.nan_to_num(low), np.nan_to_num(high)] if np.isfinite(low).any() else None
    axes.fill_between(at, line["low"], line["high"], color=style.colour, alpha=0.07, linewidth=0)
    axes.errorbar(
        at, line["estimate"], yerr=bars, color=style.colour,
        marker=style.marker, capsize=2, elinewidth=0.9, label=arm_name(*arm),
        **arm_style(*arm, natural=drawn.natural, in_domain=drawn.in_domain),
    )  # fmt: skip
    for end in ("low", "high"):
        cut(axes, list(at), list(line[end]), style.colour)
    if (line["seeds"] > 1).any():
        cells = drawn.cells[drawn.cells["architecture"] == FOCUS]
        cells = cells[(cells["init"] == arm[0]) & (cells["freeze"] == arm[1])]
        axes.plot(
            cells["train_images"] * shift * 1.012, cells[drawn.metric], ".", color=style.colour, alpha=0.45,
            markersize=3,
        )  # fmt: skip


def learning_curve(drawn: Drawn) -> Drawing | Absent:
    """AUROC from scratch by size, a line per network, with the power law of their mean where there is one."""
    rows = drawn.levels[drawn.levels["init"] == "random"]
    if rows.empty:
        return Absent("no cell from scratch has an AUROC yet")
    if (why := _no_curve(drawn, rows)) is not None:
        return why
    figure, (axes,) = new_figure()
    axes.set_title("From scratch: what more data promises")
    for name in drawn.networks.ordered(set(rows["architecture"])):
        line, style = rows[rows["architecture"] == name].sort_values("train_images"), drawn.networks[name]
        axes.plot(
            line["train_images"], line["estimate"], color=style.colour, marker=style.marker, linewidth=0.9,
            markersize=4, label=style.network,
        )  # fmt: skip
    sizes = sorted(set(rows["train_images"].astype(int)))
    law, text = drawn.law, ""
    if law is not None:
        value, low, high = law.curve
        several = bool(np.isfinite(low).any())
        if several:
            axes.fill_between(law.images, low, high, color="#000000", alpha=0.12, linewidth=0)
        axes.plot(law.images, value, color="#000000", linestyle="--", label="power law of the mean")
        axes.axvline(sizes[-1], color="#999999", linewidth=0.7, linestyle=":")
        sizes.append(int(law.images[-1]))
        exponent, promised = (
            f"{value:.{digits}f}" + (f" ({low:.{digits}f} to {high:.{digits}f})" if several else "")
            for (value, low, high), digits in ((law.exponent, 2), (law.promised, 3))
        )
        band = "; band: 95 % bootstrap" if several else " (one seed: no interval)"
        text = f" Power law: exponent {exponent}; at ten times the data {promised}{band}."
    size_axis(axes, sizes)
    axes.set_ylabel(drawn.area)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.005))
    legend(figure)
    return Drawing(figure, area_count(rows) + text)


def gains(drawn: Drawn) -> Drawing | Absent:
    """What pretraining gains over training from scratch, by size, a line per network; a panel per origin."""
    planned = set(drawn.cells["init"])
    inits = [init for init in [*drawn.pretrained, drawn.in_domain] if init in planned]
    found = {init: of_seeds(rows) for init in inits if len(rows := drawn.gains(init))}
    if not inits:
        return Absent("the grid plans no pretrained cells")
    if not found:
        return Absent("no pair of a pretrained cell and one from scratch has finished")
    if (why := _no_curve(drawn, pd.concat(found.values()))) is not None:
        return why
    figure, panels = new_figure(len(found), height=2.1 if len(found) > 1 else 2.6, sharex=True)
    for axes, (init, rows) in zip(panels, found.items(), strict=True):
        title(axes, f"{init_name(init)} minus scratch")
        names = drawn.networks.ordered(set(rows["architecture"].dropna()))
        for position, name in enumerate(names):
            line = rows[rows["architecture"] == name].sort_values("train_images")
            style = drawn.networks[name]
            at = line["train_images"] * (1 + 0.02 * (position - (len(names) - 1) / 2))
            axes.plot(
                at, line["estimate"], color=style.colour, marker=style.marker, linewidth=0.8,
                markersize=4, alpha=0.8, label=style.network,
            )  # fmt: skip
        mean = rows[rows["architecture"].isna()].sort_values("train_images")
        axes.axhspan(-drawn.margin, drawn.margin, color="#000000", alpha=0.06, linewidth=0)
        axes.axhline(0, color="#555555", linewidth=0.8)
        reach = mean["high"] - mean["estimate"]
        bars = reach.fillna(0.0) if reach.notna().any() else None
        axes.errorbar(
            mean["train_images"], mean["estimate"], yerr=bars, color=MEAN, linewidth=2, elinewidth=1.2,
            capsize=3, label="mean of networks",
        )  # fmt: skip
        axes.set_ylabel("gain in AUROC")
        size_axis(axes, rows["train_images"].dropna().astype(int))
        if axes is not panels[-1]:
            axes.set_xlabel("")
    legend(figure, *next(each for a in panels if (each := a.get_legend_handles_labels())[0]))
    absent = [init_name(init) for init in inits if init not in found]
    return Drawing(
        figure,
        f"{drawn.area}. {area_count(pd.concat(found.values()))} {_bars(pd.concat(found.values()))} "
        f"Shaded: smaller than the margin of {drawn.margin:g}."
        + (f" Not finished: {', '.join(absent)}." if absent else ""),
    )


def _bars(rows: pd.DataFrame) -> str:
    """What the bars are, or why there are none."""
    return "Bars: 95 % interval of the mean of networks." if rows["low"].notna().any() else ONE_SEED


def _no_curve(drawn: Drawn, rows: pd.DataFrame) -> Absent | None:
    """Why `rows` make no curve over sizes, if they do not."""
    if len(set(rows["train_images"])) > 1:
        return None
    if len(drawn.sizes) == 1:
        return Absent("the grid has one size, so there is no curve; its numbers stand in the tables")
    return Absent("only one size has finished, so there is no curve yet")


def room(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits of an axis of areas that show every estimate; very long bars are cut off at the panel's edge."""
    lowest, highest = rows["estimate"].min(), rows["estimate"].max()
    ends = np.nanmin([*rows["low"], lowest]), np.nanmax([*rows["high"], highest])
    low, high = max(ends[0], lowest - ROOM) - 0.02, min(ends[1], highest + ROOM) + 0.02
    low = max(0.0, float(low))
    return low, min(1.0 + MARKER * (1.0 - low), float(high))


def beyond(axes: Axes, rows: pd.DataFrame) -> bool:
    """Whether a bar ends beyond the panel."""
    bottom, top = axes.get_ylim()
    return bool((rows["low"] < bottom).any() or (rows["high"] > top).any())
