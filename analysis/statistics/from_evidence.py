"""All measures of the grid's cells from the tables of evidence: areas, learning curves, spikes and flags."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.statistics import areas, curves, flags
from analysis.statistics.catalogue import AREAS, MEASURES
from analysis.statistics.measures import Measures
from analysis.tables.conditions import filled
from analysis.tables.origins import origins
from analysis.tables.store import Evidence, evidence_folder, read

STEP_ROWS_AT_ONCE = 20_000_000


def measure(evidence: Evidence) -> Measures:
    """All measures of the grid cells of `evidence`."""
    trials = evidence.trials
    found = origins(trials)
    told = trials.assign(
        init=found.arms,
        in_domain=found.arms.isin(found.in_domain),
        other_weights=found.arms.isin(found.others),
    )
    told = filled(told)
    cells = told[told["kind"] == "grid"].reset_index(drop=True)
    for name in MEASURES:
        if name in AREAS or name in trials:
            known = cells[name] if name in cells else pd.Series(np.nan, cells.index)
            cells[name] = known.where(cells["status"] == "done").astype(float)
    converged = (
        evidence.epochs.sort_values("epoch")
        .groupby("cell_id")["train_loss"]
        .agg(lambda losses: curves.convergence_epochs(losses.to_numpy(float)))
    )
    cells["convergence_epochs"] = (
        cells["cell_id"].map(converged).where(cells["status"] == "done").astype(float)
    )
    _add_curves(evidence, cells)
    measures = Measures(cells)
    _add_areas(evidence, measures)
    cells["collapsed"] = flags.collapsed(cells)
    return measures


def _add_curves(evidence: Evidence, cells: pd.DataFrame) -> None:
    """Spikes per run, their median height and recovery, and how the run ended.

    A run that diverged has one spike more, without an end.
    """
    found: dict[str, curves.Spikes | None] = {}
    done = cells[cells["status"] == "done"]
    ends = {
        str(cell_id): flags.late_fall(losses.to_numpy(np.float64), flags.FEWEST_EPOCHS)
        for cell_id, losses in evidence.epochs.sort_values("epoch").groupby("cell_id")["train_loss"]
    }
    equal: dict[str, float] = {}
    shortest = _shortest(evidence, done)
    for batch in _batches(evidence, cells):
        for cell_id, losses in _losses_by_cell(evidence, batch):
            found[cell_id] = curves.spikes(losses)
            ends[cell_id] = flags.late_fall(losses)
            equal[cell_id] = curves.loss_at(losses, shortest)
    known = [ends.get(name) if name in set(done["cell_id"]) else None for name in cells["cell_id"]]
    cells["late_fall"] = [np.nan if end is None else end.fall for end in known]
    cells["still_falling"] = pd.array([pd.NA if end is None else end.still for end in known], "boolean")
    cells["equal_steps_loss"] = cells["cell_id"].map(equal).where(cells["status"] == "done").astype(float)
    runs = [found.get(cell_id) for cell_id in cells["cell_id"]]
    counts = np.array([np.nan if run is None else len(run.peak) for run in runs])
    cells["spikes"] = counts + (cells["failure"] == "diverged").to_numpy()
    cells["spike_height"] = [_median(run.height) if run else np.nan for run in runs]
    cells["spike_recovery_steps"] = [_median(run.recovery) if run else np.nan for run in runs]


def _losses_by_cell(evidence: Evidence, names: list[str]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The training loss of every step of the named cells, in order."""
    if not names:
        return
    steps = read(evidence.out, "steps", filters=[("cell_id", "in", names)]).to_pandas()
    for cell_id, rows in steps.sort_values(["cell_id", "step"]).groupby("cell_id", sort=False):
        yield str(cell_id), rows["train_loss"].to_numpy(np.float64)


def _shortest(evidence: Evidence, done: pd.DataFrame) -> int:
    """Steps of the shortest finished run, which is one at the smallest size; 0 without any."""
    smallest = done.loc[done["train_images"] == done["train_images"].min(), "cell_id"]
    lengths = [len(losses) for _, losses in _losses_by_cell(evidence, sorted(smallest))]
    return min(lengths, default=0)


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _batches(evidence: Evidence, cells: pd.DataFrame) -> list[list[str]]:
    """The cells in batches that hold few enough steps to be in memory together."""
    file = evidence_folder(evidence.out) / "steps.parquet"
    if not file.exists():
        return []
    names = sorted(cells["cell_id"])
    parts = pq.read_metadata(file).num_rows // STEP_ROWS_AT_ONCE + 1
    size = -(-len(names) // parts)
    return [names[i : i + size] for i in range(0, len(names), max(1, size))]


def _add_areas(evidence: Evidence, measures: Measures) -> None:
    """Areas from the predictions, where there are any, with their covariance over patients."""
    frame, cells = evidence.predictions, measures.cells
    done = cells[cells["status"] == "done"]
    row_of = pd.Series(done.index, index=done["cell_id"])
    known = np.isfinite(frame["label"].to_numpy(np.float64)) & frame["cell_id"].isin(row_of.index).to_numpy()
    for split, study in (("test", False), ("test", True), ("official", False), ("official", True)):
        part = frame[known & (frame["split"] == split).to_numpy()]
        if study:
            part = part[part["study"].notna().to_numpy()]
        if part.empty:
            continue
        rows = (
            row_of.reindex(part["cell_id"].cat.categories)
            .to_numpy()[part["cell_id"].cat.codes]
            .astype(np.intp)
        )
        _, patients = np.unique(part["patient"].cat.codes, return_inverse=True)
        add_split(
            measures,
            f"{split}_study" if study else split,
            rows=rows,
            patients=patients,
            labels=part["label"].to_numpy(),
            logits=part["logit"].to_numpy(),
            studies=part["study"].cat.codes.to_numpy() if study else None,
        )


def add_split(
    measures: Measures,
    split: str,
    *,
    rows: NDArray[np.integer],
    patients: NDArray[np.integer],
    labels: NDArray[np.floating],
    logits: NDArray[np.floating],
    studies: NDArray[np.integer] | None = None,
) -> None:
    """Add `{split}_auroc` and `{split}_auprc` with their covariance over patients to `measures`.

    Args:
        rows: the cell of each prediction, as a row of `measures.cells` [N].
        patients: codes 0 ... P-1, the same patient for all cells [N].
        labels, logits: [N], labels 0 or 1.
        studies: codes of the studies for areas per study (maximum over views), or None [N].
    """
    cells = measures.cells
    count = int(patients.max()) + 1
    names = (f"{split}_auroc", f"{split}_auprc")
    influence = {name: np.full((len(cells), count), np.nan) for name in names}
    values = {name: cells[name].to_numpy(np.float64, copy=True) for name in names}
    positives, freedom = 0, count - 1
    order = np.argsort(rows, kind="stable")
    for block in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1):
        row, one, y, z = int(rows[block[0]]), patients[block], labels[block], logits[block]
        if studies is not None:
            views, y, z = areas.study_maximum(studies[block], y, z)
            one = one[views]
        positives = max(positives, int((y == 1).sum()))
        ranked = areas.rank(y, z) if np.isfinite(z).all() else None
        factors, degrees = areas.class_factors(y, one, count)
        for name, area in zip(names, (areas.auroc, areas.average_precision), strict=True):
            values[name][row] = np.nan
            if ranked is not None:
                values[name][row], moved = area(ranked)
                with np.errstate(invalid="ignore"):  # infinite times 0 where one patient is all of a class
                    influence[name][row] = areas.by_patient(factors * moved, one, count)
                freedom = min(freedom, degrees)
    for name in names:
        cells[name] = values[name]
        measures.covariance[name] = areas.patient_covariance(influence[name])
        measures.patients[name] = count
        measures.positives[name] = positives
        measures.freedom[name] = max(freedom, 1)
