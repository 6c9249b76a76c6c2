"""What one more seed of the cells that a claim asks for costs, from the times of the trials that finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.conjectures import Claim, contrast_of, grid_of
from analysis.statistics.measures import Measures
from analysis.statistics.paired import planned_rows
from analysis.tables.conditions import conditions


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of training, and of what: `GPU` where it is a share of a GPU times its time, else `core`."""

    count: float
    unit: str

    def times(self, factor: float) -> Hours:
        """So many times as long."""
        return Hours(self.count * factor, self.unit)

    def __str__(self) -> str:
        """`12 GPU-hours`; below ten with two digits, never 0."""
        count = self.count
        text = f"{count:,.0f}" if count >= 10 else f"{max(count, 0.01):.2g}"
        return f"{text} {self.unit}-hours"


def hours_of_trials(trials: pd.DataFrame) -> pd.Series:
    """Device hours of every trial: seconds of training times its share of a GPU, or its cores.

    Null where a trial did not finish; a share or a number of cores that is not recorded is 1.
    """
    on_gpu = trials["device"].fillna("cpu").str.startswith("cuda")
    part = trials["device_share"].where(on_gpu, trials["threads"]).astype(float).fillna(1.0)
    done = trials["train_seconds"].where(trials["status"] == "done").astype(float)
    return done * part / 3600


def a_seed(
    measures: Measures, trials: pd.DataFrame, claims: Sequence[Claim], natural: str | None
) -> dict[str, Hours]:
    """Claim -> hours of one seed of all cells that it asks for, pretraining included.

    Every condition costs the mean of its seeds, and every pretraining the mean of its own; a claim with a
    condition of which nothing has finished is left out.
    """
    hours = hours_of_trials(trials)
    unit = "GPU" if trials["device"].fillna("").str.startswith("cuda").any() else "core"
    by_id = dict(zip(trials["cell_id"], hours, strict=True))
    cells = measures.cells
    own = pd.Series([by_id.get(name, np.nan) for name in cells["cell_id"]], cells.index)
    condition = pd.Series(conditions(cells), cells.index)
    mean = own.groupby(condition).transform("mean")
    upstream = cells["upstream"] if "upstream" in cells else pd.Series(None, cells.index, dtype=object)
    before = pd.Series([by_id.get(name, np.nan) for name in upstream], cells.index)
    grid, found = grid_of(measures, natural), {}
    for claim in claims:
        contrast = contrast_of(claim, grid)
        rows = np.unique(planned_rows(measures, contrast)) if contrast is not None else np.empty(0, int)
        rows = rows[rows >= 0]
        first = pd.Index(rows)[~condition[rows].duplicated()]
        total = float(mean[first].sum(skipna=False)) if len(first) else np.nan
        pretrained = pd.DataFrame({"id": upstream[rows], "hours": before[rows], "seed": cells["seed"][rows]})
        pretrained = pretrained.dropna().drop_duplicates("id")
        if len(pretrained):
            total += float(pretrained["hours"].sum()) / pretrained["seed"].nunique()
        if np.isfinite(total):
            found[claim.name] = Hours(total, unit)
    return found
