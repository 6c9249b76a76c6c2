"""How small the study could have been: which decisions one small size alone would have got right.

DataDecide (Magnusson et al. 2025, arXiv 2504.11393) asks it of language models: the ranking at one small size
gets about 80 % of the pairwise decisions at the largest right. Here a decision is which of two networks (of
the same initialisation), or of two initialisations (of the same network), has the higher AUROC; right is
what the mean over seeds at the largest size says.

The table `decisions` is drawn as share against hours, with the interval over seeds as bars: one line for
`networks`, one for `arms`, a point per size; the largest size judged by its other seeds is the ceiling.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.statistics.measures import Measures
from analysis.tables.conditions import CONDITION
from analysis.tables.schema import DECISIONS

METRIC = "test_auroc"
SECONDS = "train_seconds"
COMPARED = {"networks": ["architecture"], "arms": ["init", "freeze"]}
"""What is decided between -> the axes that the two differ in."""

DECIDED = {"networks": "networks", "arms": "initialisations"}
"""The same in words."""


def decision_table(measures: Measures) -> pd.DataFrame:
    """The table `decisions`: a row for each kind of decision and size that has any."""
    cells = (
        measures.cells[np.isfinite(measures.values(METRIC))] if METRIC in measures.cells else pd.DataFrame()
    )
    rows = [row for compared in COMPARED for row in _rows(cells, compared)] if len(cells) else []
    return pd.DataFrame(rows, columns=[c.name for c in DECISIONS])


def _rows(cells: pd.DataFrame, compared: str) -> Iterator[dict[str, object]]:
    differ = COMPARED[compared]
    same = [axis for axis in CONDITION if axis not in ("train_images", *differ) and axis in cells]
    sizes = sorted(cells["train_images"].unique())
    largest = cells[cells["train_images"] == sizes[-1]]
    for size in sizes:
        shares, pairs = [], 0
        mine = cells[cells["train_images"] == size]
        for seed, found in mine.groupby("seed"):
            target = largest if size != sizes[-1] else largest[largest["seed"] != seed]
            agreed = _agreed(found, target, same, differ)
            pairs = max(pairs, len(agreed))
            if len(agreed):
                shares.append(float(np.mean(agreed)))
        if not shares:
            continue
        share, reach = float(np.mean(shares)), float("nan")
        if len(shares) > 1:
            error = float(np.std(shares, ddof=1)) / np.sqrt(len(shares))
            reach = float(stdtrit(len(shares) - 1, 0.975)) * error
        seconds = mine.groupby("seed")[SECONDS].sum(min_count=1).mean() if SECONDS in mine else float("nan")
        yield {
            "compared": compared,
            "train_images": size,
            "pairs": pairs,
            "share": share,
            "low": max(share - reach, 0.0) if np.isfinite(reach) else None,
            "high": min(share + reach, 1.0) if np.isfinite(reach) else None,
            "seeds": len(shares),
            "hours": float(seconds) / 3600,
        }


def _agreed(found: pd.DataFrame, target: pd.DataFrame, same: list[str], differ: list[str]) -> list[float]:
    """For every pair 1 where both have the same order, 0 where they do not, 0.5 at a tie."""
    agreed = []
    values, right = (frame.groupby([*same, *differ])[METRIC].mean() for frame in (found, target))
    both = pd.concat([values, right], axis=1, join="inner", keys=["found", "right"]).reset_index()
    for _, group in both.groupby(same) if same else [((), both)]:
        pairs = group[["found", "right"]].to_numpy(float)
        for one, other in itertools.combinations(pairs, 2):
            sign = np.sign(one - other)
            agreed.append(0.5 if 0 in sign else float(sign[0] == sign[1]))
    return agreed


def sentences(table: pd.DataFrame) -> list[str]:
    """What the smallest size alone would have decided, a sentence for each kind of decision."""
    said = []
    for compared, rows in table.groupby("compared", sort=False):
        small, large = rows.iloc[0], rows["train_images"].max()
        if small["train_images"] == large or not small["pairs"]:
            continue
        share, low, high = 100 * small[["share", "low", "high"]].astype(float)
        interval = f", {low:.0f} to {high:.0f} % over seeds" if pd.notna(low) and low < high else ""
        hours = rows.set_index("train_images")["hours"].dropna()
        cost = [
            f" and {_hours(hours[size])}" if size in hours else "" for size in (small["train_images"], large)
        ]
        said.append(
            f"{int(small['train_images']):,} images{cost[0]} choose between two {DECIDED[compared]} as "
            f"{int(large):,} images{cost[1]} do in {share:.0f} % of {int(small['pairs'])} pairs{interval}."
        )
    return said


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} seconds"
    return f"{hours:.1f} hours" if hours >= 0.1 else f"{60 * hours:.1f} minutes"
