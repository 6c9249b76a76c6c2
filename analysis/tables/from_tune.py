"""Reads a plain Ray Tune experiment into the tables of evidence, as far as it goes. Needs no Ray.

Tune's own loggers leave, for every trial, `params.json` (its configuration) and `result.json` (one line of
JSON for each report). A configuration carries the axes: `architecture`, `train_images`, `init`, `freeze` and
`seed`, at the top or one level below. Metrics go by the names of `analysis.tables.schema.TRIALS` and
`EPOCHS`, or by others that the user names; what is not there stays null. Predictions are not part of such an
experiment, so there are no intervals over patients.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables.checking import wrong_values
from analysis.tables.schema import EPOCHS, REQUIRED, TRIALS, EvidenceError
from analysis.tables.store import write

AXES = ("architecture", "train_images")
DEFAULTS = {"kind": "grid", "init": "random", "freeze": "none", "seed": 0}
RENAMED = {"time_total_s": "seconds", "hostname": "host"}


MEASURES = (
    "test_auroc", "test_auprc", "official_auroc", "selection_auroc", "selection_loss", "train_loss",
)  # fmt: skip
"""What the claims and figures rest on, the most wanted first."""

OF_TUNE = frozenset(
    {
        *("timestamp", "checkpoint_dir_name", "should_checkpoint", "done", "training_iteration", "trial_id"),
        *("date", "time_this_iter_s", "time_total_s", "pid", "hostname", "node_ip", "config"),
        *("time_since_restore", "iterations_since_restore", "experiment_tag", "experiment_id"),
        *("timesteps_total", "episodes_total", "warmup_time", "timesteps_since_restore"),
    }
)
"""What Tune itself puts into every report."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What was read.

    Attributes:
        trials: how many.
        found: the measures among what was reported.
        absent: the measures that no report has.
        others: what else was reported.
    """

    trials: int
    found: tuple[str, ...]
    absent: tuple[str, ...]
    others: tuple[str, ...]

    def text(self) -> str:
        """All of it in two lines at most."""
        told = f"{self.trials} trials of Tune, with {', '.join(self.found)}"
        if self.absent:
            told += f"\nnot found: {', '.join(self.absent)}"
            told += f" (reported besides: {_listed(self.others)})" if self.others else ""
        return told


def read_experiment(experiment: Path, out: Path, renamed: Mapping[str, str] | None = None) -> Experiment:
    """Write `out/evidence/{trials,epochs}.parquet` from the trials below `experiment`.

    Args:
        renamed: our name of a metric -> the experiment's.

    Raises:
        EvidenceError: `out` holds a sweep's own cells, `experiment` has no trials, a file cannot be read, a
            configuration or a report has a value that cannot be, or no report has any of our measures.
    """
    if (out / "cells").exists() or (out / "plan.parquet").exists():
        raise EvidenceError(
            f"{out}: found a sweep's own cells; expected a new folder for an experiment of Tune"
        )
    if not experiment.is_dir():
        found = "a file" if experiment.exists() else "no such folder"
        raise EvidenceError(
            f"--from-tune {experiment}: found {found}; expected that of a Ray Tune experiment"
        )
    folders = sorted(file.parent for file in experiment.rglob("params.json"))
    if not folders:
        raise EvidenceError(
            f"{experiment}: found no params.json below it; expected the folder of a Ray Tune experiment, "
            "a folder with params.json and result.json in it for each trial; name that folder, or, where "
            "Tune wrote none, unset TUNE_DISABLE_AUTO_CALLBACK_LOGGERS and run Tune again"
        )
    trials: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    problems: list[str] = []
    keys: dict[str, None] = {}
    for folder in folders:
        reports = [_named(report, renamed or {}) for report in _reports(folder / "result.json")]
        for report in reports:
            keys |= dict.fromkeys(report)
        row, curve = _trial(folder, reports), _epochs(folder, reports)
        problems += [f"{folder}: {wrong}" for wrong in wrong_values(row, "trials")]
        problems += [
            f"{folder / 'result.json'}: {why}" for one in curve for why in wrong_values(one, "epochs")
        ]
        trials.append(row)
        epochs += [{**one, "cell_id": row["cell_id"]} for one in curve]
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise EvidenceError("\n".join([*problems[:SHOWN], *more]))
    told = _experiment(len(trials), keys, renamed or {})
    if not told.found and keys:
        raise EvidenceError(_nothing_known(experiment, told))
    write(out, "trials", pd.DataFrame(trials, columns=[c.name for c in TRIALS]))
    write(out, "epochs", pd.DataFrame(epochs, columns=[c.name for c in EPOCHS]))
    return told


SHOWN = 10
"""Names, or problems, that a message lists."""


def _experiment(trials: int, keys: Mapping[str, None], renamed: Mapping[str, str]) -> Experiment:
    """Which measures the reports have.

    Raises:
        EvidenceError: a name that the user gave is in none of them.
    """
    others = tuple(key for key in keys if key not in OF_TUNE and key not in {c.name for c in TRIALS})
    if wrong := [f"{ours}={theirs}" for ours, theirs in renamed.items() if ours not in keys]:
        raise EvidenceError(
            f"--metric {' '.join(wrong)}: found no such metric; name one of those that were reported: "
            f"{_listed(others)}"
        )
    found = tuple(name for name in MEASURES if name in keys)
    return Experiment(trials, found, tuple(name for name in MEASURES if name not in keys), others)


def _nothing_known(experiment: Path, told: Experiment) -> str:
    """What to say where nothing that was reported has one of our names."""
    pairs = ((ours, _near(ours, told.others)) for ours in MEASURES)
    near = [f"--metric {ours}={theirs}" for ours, theirs in pairs if theirs]
    advice = (
        f"say which is which, perhaps {' '.join(near)}"
        if near
        else "say which is which: --metric OURS=THEIRS"
        if told.others
        else 'report one of these in the training function (tune.report({"test_auroc": ...})) '
        "and run Tune again"
    )
    return (
        f"{experiment}: found the metrics {_listed(told.others) or 'of Tune itself only'}; "
        f"looked for {', '.join(MEASURES)}; {advice}"
    )


def _near(ours: str, others: tuple[str, ...]) -> str | None:
    """What was perhaps meant by one of our names: the part of the data and the measure must both fit."""
    part, measure = ours.split("_")
    parts = {"selection": ("val", "valid", "selection", "dev"), "official": ("official",)}.get(part, (part,))
    measures = {"auroc": ("auroc", "auc"), "auprc": ("auprc", "ap", "average_precision")}.get(
        measure, (measure,)
    )
    spelled = {other.lower().replace("/", "_").replace("-", "_").replace(" ", "_"): other for other in others}
    wanted = [f"{one}_{other}" for one in parts for other in measures]
    wanted += [f"{other}_{one}" for one in parts for other in measures]
    close = [spelled[name] for name in wanted if name in spelled]
    close += [spelled[near] for name in wanted for near in get_close_matches(name, spelled, 1, 0.9)]
    return close[0] if close else None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _named(report: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """A report by our names, what is nested by names with a slash."""
    flat: dict[str, Any] = {}
    for key, value in report.items():
        if isinstance(value, dict) and key != "config":
            flat |= {f"{key}/{name}": one for name, one in value.items()}
        else:
            flat[key] = value
    return flat | {ours: flat[theirs] for ours, theirs in renamed.items() if theirs in flat}


def _reports(file: Path) -> list[dict[str, Any]]:
    """The reports of one trial; a last line that was cut off by a kill is left out."""
    if not file.exists():
        return []
    reports = []
    lines = _text(file).splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            report = json.loads(line, parse_int=_whole)
        except ValueError as problem:
            if number < len(lines):
                raise EvidenceError(f"{file}, line {number}: found no valid JSON ({problem})") from problem
            continue
        if not isinstance(report, dict):
            raise EvidenceError(
                f"{file}, line {number}: found {line[:40]!r}; expected one report, a JSON object"
            )
        reports.append(report)
    return reports


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise EvidenceError(f"{file}: found no text that can be read ({problem}); expected JSON") from problem


def _trial(folder: Path, reports: list[dict[str, Any]]) -> dict[str, Any]:
    file = folder / "params.json"
    try:
        config = json.loads(_text(file), parse_int=_whole)
    except ValueError as problem:
        raise EvidenceError(
            f"{file}: found no valid JSON ({problem}); expected the trial's configuration; copy the file "
            "again from where Tune ran"
        ) from problem
    axes = _axes(config) if isinstance(config, dict) else None
    if axes is None:
        keys = _listed(tuple(sorted(config))) if isinstance(config, dict) else f"{str(config)[:40]!r} alone"
        found = keys or "nothing"
        advice = (
            "add them to the params.json of every trial, or put them into the param_space and run Tune again"
            if isinstance(config, dict)
            else "copy the file again from where Tune ran: it looks cut"
        )
        raise EvidenceError(
            f"{file}: found {found}; expected the trial's configuration with {', '.join(AXES)} "
            f"(and {', '.join(REQUIRED['trials'][3:6])}) at the top or one level below; {advice}"
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


def _epochs(folder: Path, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row of `epochs` for each report, without its cell."""
    rows = []
    for number, report in enumerate(reports, start=1):
        row = {c.name: _plain(report.get(c.name)) for c in EPOCHS}
        counts = report.get("epoch"), report.get("training_iteration")
        row |= {"cell_id": folder.name, "epoch": next((at for at in counts if at is not None), number)}
        row["seconds"] = _plain(report.get("seconds", report.get("time_this_iter_s")))
        rows.append(row)
    return rows


def _whole(text: str) -> int | float:
    """A whole number; beyond 64 bits, which no table holds, the nearest floating one."""
    number = float(text)
    return int(text) if abs(number) < 2**63 else number


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
