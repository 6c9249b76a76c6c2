"""Measures per cell: what each finished cell of the grid says, and how each patient moves it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.names import IN_DOMAIN
from analysis.statistics.catalogue import MEASURES
from analysis.statistics.run_scatter import RunNoise, run_noise
from analysis.tables.columns import is_true
from analysis.tables.conditions import CONDITION, Condition, conditions, filled
from analysis.tables.networks import Networks, networks

CHANCE, FAR = 1.645, 3.0
"""Standard errors above 0.5, and below its peers, between which a cell has collapsed to chance."""


@dataclass(frozen=True)
class Measures:
    """Every measure of every cell of the grid that has one.

    Attributes:
        cells: one row per wanted cell of the grid: axes (`init` is the arm, see `analysis.tables.origins`),
            status, network, and a column per measure (NaN where undefined), and the flags `still_falling` and
            `collapsed` (null where undefined; `analysis.statistics.flags`). The index is 0, 1, 2, ...
        covariance: measure -> sampling covariance over patients [cells, cells], NaN where undefined.
        patients: measure -> number of patients behind it.
        positives: measure -> number of positive images (studies, per study) behind it.
        freedom: measure -> degrees of freedom of what patients contribute: those with an image of the rarer
            class, less one. Where it is not said, all patients less one.
    """

    cells: pd.DataFrame
    covariance: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    patients: dict[str, int] = field(default_factory=dict)
    positives: dict[str, int] = field(default_factory=dict)
    freedom: dict[str, int] = field(default_factory=dict)

    @cached_property
    def rows(self) -> dict[tuple[Condition, int], int]:
        """(condition, seed) -> row in `cells`."""
        seeds = self.cells["seed"].tolist()
        return {key: row for row, key in enumerate(zip(conditions(self.cells), seeds, strict=True))}

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that are planned, ascending."""
        return sorted(int(seed) for seed in self.cells["seed"].unique())

    @cached_property
    def subsets(self) -> tuple[int, ...]:
        """The orders that nested subsets are cut from, ascending."""
        if "subset" not in self.cells:
            return (0,)
        return tuple(sorted({int(order) for order in self.cells["subset"].astype(float).fillna(0)})) or (0,)

    @cached_property
    def other_weights(self) -> list[str]:
        """The arms of weights that are neither natural images nor pretraining here."""
        if "other_weights" not in self.cells:
            return []
        return list(self.cells.loc[self.cells["other_weights"], "init"].unique())

    @cached_property
    def in_domain(self) -> str:
        """The arm of pretraining on another finding of the same data."""
        arms = self.cells.loc[self.cells["in_domain"], "init"] if "in_domain" in self.cells else []
        return next(iter(arms), IN_DOMAIN)

    @cached_property
    def networks(self) -> pd.DataFrame:
        """`depth` and `parameters` of every network, by name, in the order of the cells."""
        return self.cells.groupby("architecture", sort=False)[["depth", "parameters"]].first().astype(float)

    @cached_property
    def looks(self) -> Networks:
        """What every network is called."""
        return networks(self.cells)

    @cached_property
    def architectures(self) -> list[str]:
        """The networks of the grid."""
        return list(self.networks.index)

    @cached_property
    def planned_rows(self) -> dict[Hashable, NDArray[np.intp]]:
        """Of every contrast that was asked for, the rows of its cells (see `paired`)."""
        return {}

    @cached_property
    def network_weights(self) -> dict[Hashable, NDArray[np.float64] | None]:
        """Of every way to put networks together that was asked for, their weights (see `paired`)."""
        return {}

    @cached_property
    def levels(self) -> dict[bytes, tuple[NDArray[np.float64], int, NDArray[np.intp], bool]]:
        """What levels of the axes leave of some planned cells, by these cells (see `seeds`)."""
        return {}

    @cached_property
    def blocks(self) -> dict[Hashable, Any]:
        """Of every contrast that was asked for, its paired sums in these results (see `paired`)."""
        return {}

    @cached_property
    def projections(self) -> dict[Hashable, tuple[NDArray[np.float64], int]]:
        """What designs of the planned cells leave of them, and its rank, by their cells (see `seeds`)."""
        return {}

    def with_results(
        self,
        cells: pd.DataFrame,
        covariance: dict[str, NDArray[np.float64]],
        patients: dict[str, int],
        positives: dict[str, int],
        freedom: dict[str, int] | None = None,
    ) -> Measures:
        """Other results of the same planned cells; what follows from the plan alone is not found again."""
        other = Measures(cells, covariance, patients, positives, freedom or {})
        shared = ("rows", "seeds", "in_domain", "other_weights", "networks", "architectures", "arms", "peers")
        for name in (*shared, "subsets", "looks", "planned_rows", "network_weights", "projections", "levels"):
            other.__dict__[name] = getattr(self, name)
        return other

    @cached_property
    def _noise(self) -> dict[str, dict[tuple[str, str], RunNoise]]:
        return {}

    def noise(self, metric: str) -> dict[tuple[str, str], RunNoise]:
        """(init, freeze) -> scatter of single runs around smooth learning curves (see `run_scatter`)."""
        if metric not in self._noise:
            self._noise[metric] = run_noise(self.cells, metric, self.covariance.get(metric), self.projections)
        return self._noise[metric]

    @cached_property
    def arms(self) -> list[tuple[str, str]]:
        """(init, freeze) of every cell."""
        return list(zip(self.cells["init"], self.cells["freeze"], strict=True))

    @cached_property
    def peers(self) -> NDArray[np.intp]:
        """A code for every cell [cells], shared by all networks and seeds of one arm and size."""
        axes = [axis for axis in CONDITION if axis != "architecture"]
        return filled(self.cells).groupby(axes, dropna=False).ngroup().to_numpy(np.intp)

    @cached_property
    def failed(self) -> NDArray[np.bool_]:
        """Cells that ended without a result, by divergence or otherwise [cells]; not those still to come."""
        if "status" not in self.cells:
            return np.zeros(len(self.cells), dtype=bool)
        return (self.cells["status"] == "failed").to_numpy(bool)

    @cached_property
    def collapsed(self) -> NDArray[np.bool_]:
        """Cells with the flag `collapsed`, and those with an AUROC at chance though their peers' is not
        [cells].

        At chance: not above 0.5 by a one-sided test at 5 %. Though their peers' is: three
        standard errors below the median of all networks and seeds of the same arm and size.
        """
        flagged = np.zeros(len(self.cells), dtype=bool)
        if "collapsed" in self.cells:
            flagged |= is_true(self.cells["collapsed"]).to_numpy()
        metric = "test_auroc"
        if metric not in self.cells:
            return flagged
        values = self.values(metric)
        covariance = self.covariance.get(metric)
        error = np.zeros(len(values)) if covariance is None else np.sqrt(np.diag(covariance))
        low = values < 0.5 + CHANCE * error
        if not low.any():
            return flagged
        median = np.full(len(values), np.nan)
        for code in np.unique(self.peers[low]):
            mine = self.peers == code
            median[mine] = np.nanmedian(values[mine])
        return flagged | (low & (median - values > FAR * error))

    def readings(self, metric: str) -> tuple[Measures, ...]:
        """The same grid without its doubtful cells, and with them at their worst; itself if there are none.

        A cell that failed has no result, one that collapsed one that training does not usually have: neither
        is left out by chance. At its worst a failed cell knows nothing: AUROC 0.5, loss ln 2.
        """
        if metric not in self._readings:
            self._readings[metric] = self._two_readings(metric)
        return self._readings[metric]

    @cached_property
    def _readings(self) -> dict[str, tuple[Measures, ...]]:
        return {}

    def _two_readings(self, metric: str) -> tuple[Measures, ...]:
        worst = MEASURES[metric].worst
        if worst is None or not self.doubtful.any():
            return (self,)
        values, covariance = self.values(metric), self.covariance.get(metric)
        empty = self.failed & ~np.isfinite(values)
        without = self._read(
            metric, np.where(self.collapsed, np.nan, values), self.collapsed, np.nan, covariance
        )
        return without, self._read(metric, np.where(empty, worst, values), empty, 0.0, covariance)

    def read_as(self, *, worst: bool) -> Measures:
        """One reading of all measures alone, in which no cell is doubtful any more.

        Args:
            worst: failed cells at their worst and collapsed ones as they are; else both left out.
        """
        found = self
        for metric, measure in MEASURES.items():
            if measure.worst is not None and metric in self.cells:
                readings = self.readings(metric)
                chosen = readings[-1 if worst else 0]
                cells = found.cells.assign(**{metric: chosen.cells[metric]})
                covariance = {**found.covariance}
                if metric in chosen.covariance:
                    covariance[metric] = chosen.covariance[metric]
                found = self.with_results(cells, covariance, self.patients, self.positives, self.freedom)
        found.__dict__["doubtful"] = np.zeros(len(self.cells), dtype=bool)
        return found

    def where(self, axis: str, kept: Callable[[Any], bool]) -> Measures:
        """The grid as it were with some values of one axis alone."""
        rows = [kept(value) for value in self.cells[axis]]
        return self._cut(np.flatnonzero(rows))

    def _cut(self, kept: NDArray[np.intp]) -> Measures:
        covariance = {name: matrix[np.ix_(kept, kept)] for name, matrix in self.covariance.items()}
        cells = self.cells.iloc[kept].reset_index(drop=True)
        return Measures(cells, covariance, self.patients, self.positives, self.freedom)

    @cached_property
    def alike(self) -> NDArray[np.intp] | None:
        """A code for every cell [cells], the same for cells of one loss and one AUROC to the last digit; None
        where each has its own. One that collapsed, or has no loss, is like no other."""
        if not {"train_loss", "test_auroc"} <= set(self.cells.columns):
            return None
        both = np.column_stack([self.values("train_loss"), self.values("test_auroc")])
        told = np.flatnonzero(np.isfinite(both).all(axis=1) & ~self.doubtful)
        found, codes = np.unique(both[told], axis=0, return_inverse=True)
        if len(found) == len(told):
            return None
        alike = len(found) + np.arange(len(self.cells))
        alike[told] = codes
        return alike

    @cached_property
    def doubtful(self) -> NDArray[np.bool_]:
        """Cells that failed or collapsed [cells]."""
        return self.failed | self.collapsed

    def _read(
        self,
        metric: str,
        values: NDArray[np.float64],
        changed: NDArray[np.bool_],
        variance: float,
        covariance: NDArray[np.float64] | None,
    ) -> Measures:
        """These results with other values of one measure, and that (co)variance of those that changed."""
        matrices = dict(self.covariance)
        if covariance is not None and changed.any():
            covariance = covariance.copy()
            covariance[changed], covariance[:, changed] = variance, variance
            matrices[metric] = covariance
        cells = self.cells.assign(**{metric: values})
        return self.with_results(cells, matrices, self.patients, self.positives, self.freedom)

    def values(self, metric: str) -> NDArray[np.float64]:
        """One measure of all cells [cells]."""
        return self.cells[metric].to_numpy(np.float64)
