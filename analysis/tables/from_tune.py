"""Reads a plain Ray Tune experiment into the tables of evidence, as far as it goes. Needs no Ray.

Tune's own loggers leave, for every trial, `params.json` (its configuration) and `result.json` (one line of
JSON for each report). A configuration carries the axes: `architecture`, `train_images`, `init`, `freeze` and
`seed`, at the top or one level below. Metrics go by the names of `analysis.tables.schema.TRIALS` and
`EPOCHS`; what
is not there stays null. Predictions are not part of such an experiment, so there are no intervals over
patients.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables.schema import EPOCHS, REQUIRED, TRIALS, EvidenceError
from analysis.tables.store import write

AXES = ("architecture", "train_images")
DEFAULTS = {"kind": "grid", "init": "random", "freeze": "none", "seed": 0}
RENAMED = {"time_total_s": "seconds", "hostname": "host"}


def read_experiment(experiment: Path, out: Path) -> int:
    """Write `out/evidence/{trials,epochs}.parquet` from the trials below `experiment`; returns their number.

    Raises:
        EvidenceError: `out` holds a sweep's own cells, `experiment` has no trials, or a file cannot be read.
    """
    if (out / "cells").exists() or (out / "plan.parquet").exists():
        raise EvidenceError(
            f"{out}: found a sweep's own cells; expected a new folder for an experiment of Tune"
        )
    folders = sorted(file.parent for file in experiment.rglob("params.json"))
    if not folders:
        raise EvidenceError(
            f"{experiment}: found no params.json below it; expected the folder of a Ray Tune experiment, "
            f"written "
            "with Tune's own JSON logger (which TUNE_DISABLE_AUTO_CALLBACK_LOGGERS=1 turns off)"
        )
    trials, epochs = [], []
    for folder in folders:
        reports = _reports(folder / "result.json")
        row = _trial(folder, reports)
        trials.append(row)
        epochs += _epochs(row["cell_id"], reports)
    write(out, "trials", pd.DataFrame(trials, columns=[c.name for c in TRIALS]))
    write(out, "epochs", pd.DataFrame(epochs, columns=[c.name for c in EPOCHS]))
    return len(trials)


def _reports(file: Path) -> list[dict[str, Any]]:
    """The reports of one trial; a last line that was cut off by a kill is left out."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    reports = []
    for number, line in enumerate(lines, start=1):
        try:
            reports.append(json.loads(line))
        except ValueError as problem:
            if number < len(lines):
                raise EvidenceError(f"{file}, line {number}: found no valid JSON ({problem})") from problem
    return reports


def _trial(folder: Path, reports: list[dict[str, Any]]) -> dict[str, Any]:
    file = folder / "params.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise EvidenceError(
            f"{file}: found no valid JSON ({problem}); expected the trial's configuration"
        ) from problem
    axes = _axes(config)
    if axes is None:
        raise EvidenceError(
            f"{file}: found {', '.join(sorted(config)) or 'nothing'}; expected at least {', '.join(AXES)} "
            f"(and {', '.join(REQUIRED['trials'][3:6])}) at the top or one level below"
        )
    last = reports[-1] if reports else {}
    last = {**last, **{new: last.get(old) for old, new in RENAMED.items() if new not in last}}
    known = {c.name for c in TRIALS}
    row = {name: _plain(value) for name, value in last.items() if name in known}
    row |= {name: value for name, value in (DEFAULTS | axes).items() if name in known}
    failed = (folder / "error.txt").exists()
    row["cell_id"] = str(last.get("trial_id") or folder.name)
    row["status"] = "failed" if failed else "done" if reports else "missing"
    row["epochs"] = row.get("epochs") or len(reports) or None
    if failed:
        row["failure"] = "error"
        row["error"] = (folder / "error.txt").read_text(encoding="utf-8", errors="replace").strip()[-2_000:]
    return row


def _axes(config: dict[str, Any]) -> dict[str, Any] | None:
    for place in (config, *(value for value in config.values() if isinstance(value, dict))):
        if all(axis in place for axis in AXES):
            return {name: value for name, value in place.items() if not isinstance(value, dict)}
    return None


def _epochs(cell_id: str, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for number, report in enumerate(reports, start=1):
        row = {c.name: _plain(report.get(c.name)) for c in EPOCHS}
        counts = report.get("epoch"), report.get("training_iteration")
        row |= {
            "cell_id": cell_id,
            "epoch": next((at for at in counts if at is not None), number),
        }
        row["seconds"] = _plain(report.get("seconds", report.get("time_this_iter_s")))
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
