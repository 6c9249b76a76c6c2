"""Evidence, cells and experiments that cannot be used, one for each way to be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import cell_folders
import numpy as np
import pandas as pd

from analysis.__main__ import main
from analysis.tables.collect import collect

CELLS = cell_folders.grid(("cbr_tiny",), (100, 200), (("random", "none"),))


def told(*arguments: str | Path) -> str:
    """What `python -m analysis` with these arguments prints of its error, without the usage."""
    with redirect_stderr(StringIO()) as stream:
        try:
            status = main([str(one) for one in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    text = stream.getvalue()
    return text[text.index("analysis: ") :].strip() if status == 2 else ""


def sound() -> dict[str, pd.DataFrame]:
    """Tables of evidence of three cells."""
    ids = ["a", "b", "c"]
    trials = pd.DataFrame({"cell_id": ids, "architecture": "cbr_tiny", "train_images": [10, 20, 40]})
    trials = trials.assign(
        init="random", freeze="none", seed=0, status="done", test_auroc=0.7, finding="Edema"
    )
    epochs = pd.DataFrame({"cell_id": np.repeat(ids, 2), "epoch": [1, 2] * 3, "train_loss": 0.5})
    predictions = pd.DataFrame({"cell_id": np.repeat(ids, 4), "split": "test", "image": list("wxyz") * 3})
    predictions = predictions.assign(patient=list("ppqr") * 3, label=[1.0, 0.0, 0.0, 1.0] * 3, logit=0.0)
    return {"trials": trials, "epochs": epochs, "predictions": predictions}


def evidence(change: Callable[[dict[str, pd.DataFrame]], object]) -> Callable[[Path], str]:
    """What is said of the tables after a change in place."""

    def make(folder: Path) -> str:
        tables = sound()
        change(tables)
        (folder / "evidence").mkdir()
        for name, frame in tables.items():
            frame.to_parquet(folder / "evidence" / f"{name}.parquet")
        return told(folder)

    return make


def column(table: str, name: str, value: object) -> Callable[[Path], str]:
    return evidence(lambda tables: tables[table].__setitem__(name, value))


def cut(folder: Path) -> str:
    (folder / "evidence").mkdir()
    (folder / "evidence" / "trials.parquet").write_bytes(b"PAR1")
    return told(folder)


def cell(file: str, content: bytes) -> Callable[[Path], str]:
    """What stands in `trials` of a cell with this file in it."""

    def make(folder: Path) -> str:
        cell_folders.write_plan(folder, CELLS)
        names = [cell_folders.write_cell(folder, one) for one in CELLS]
        (folder / "cells" / names[0] / file).write_bytes(content)
        found = collect(folder)
        return "" if found is None else "\n".join(found.unreadable.values()) or found.note

    return make


def plan(folder: Path) -> str:
    cell_folders.write_plan(folder, CELLS)
    (folder / "plan.parquet").write_bytes(b"PAR1")
    found = collect(folder)
    return "" if found is None else found.note


CONFIG = {"architecture": "resnet18", "train_images": 100, "init": "random", "freeze": "none", "seed": 0}


def experiment(
    report: Mapping[str, object], config: object = CONFIG, options: tuple[str, ...] = ()
) -> Callable[[Path], str]:
    """What is said of an experiment of Tune with one trial and one report."""

    def make(folder: Path) -> str:
        trial = folder / "tune" / "trial"
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps(config))
        (trial / "result.json").write_text(json.dumps(report) + "\n")
        return told(folder / "out", "--from-tune", folder / "tune", *options)

    return make


def to_cells(folder: Path) -> str:
    for name in ("out", "to"):
        cell_folders.write_plan(folder / name, CELLS)
        cell_folders.write_cell(folder / name, CELLS[0])
    return told(folder / "out", "--to", folder / "to")


RESULTS: dict[str, Callable[[Path], str]] = {
    "no such OUT": lambda folder: told(folder / "out"),
    "an OUT misspelled": lambda folder: ((folder / "results").mkdir(), told(folder / "result"))[1],
    "a folder above OUT": lambda folder: ((folder / "demo" / "cells").mkdir(parents=True), told(folder))[1],
    "an empty OUT": lambda folder: told(folder),
    "a cut table": cut,
    "a column missing": evidence(lambda tables: tables["trials"].__delitem__("freeze")),
    "a word of another vocabulary": column("trials", "status", "completed"),
    "true for frozen": column("trials", "freeze", True),
    "AUROC in per cent": column("trials", "test_auroc", 87.0),
    "a number as text": column("trials", "train_images", ["10", "20", "all"]),
    "a network spelled otherwise": column("trials", "architecture", "CBR-Tiny"),
    "the same condition and seed twice": column("trials", "train_images", 10),
    "the same cell twice": column("trials", "cell_id", "a"),
    "the same image twice": column("predictions", "image", "w"),
    "labels of -1": column("predictions", "label", -1.0),
    "another split": column("predictions", "split", "valid"),
    "a loss below 0": column("epochs", "train_loss", -0.1),
    "cells with other names": column("epochs", "cell_id", list("uuvvww")),
    "two findings": column("trials", "finding", ["Edema", "Edema", "Fracture"]),
    "labels that contradict each other": column(
        "predictions", "label", [1.0, 0.0, 0.0, 1.0] * 2 + [0.0, 1.0] * 2
    ),
    "a cut result": cell("result.json", b'{"schema": 1, "cell": {'),
    "a result of another program": cell("result.json", b'{"accuracy": 0.9}'),
    "a cut table of a cell": cell("epochs.parquet", b"PAR1"),
    "a cut plan": plan,
    "a margin without a number": lambda folder: told(folder, "--margin", "auroc"),
    "a margin of another measure": lambda folder: told(folder, "--margin", "accuracy=0.1"),
    "--metric alone": lambda folder: told(folder, "--metric", "test_auroc=auc"),
    "--metric of no measure": lambda folder: told(folder, "--metric", "accuracy=acc"),
    "--to a sweep's own folder": to_cells,
    "Tune: no such folder": lambda folder: told(folder / "out", "--from-tune", folder / "tune"),
    "Tune: no trials": lambda folder: told(folder / "out", "--from-tune", folder),
    "Tune: other names of metrics": experiment({"test/auc": 0.8, "val_loss": 0.4, "acc": 0.9}),
    "Tune: no metrics": experiment({"training_iteration": 1}),
    "Tune: no such metric": experiment({"auc": 0.8}, options=("--metric", "test_auroc=auroc")),
    "Tune: no axes": experiment({"test_auroc": 0.8}, {"lr": 0.1, "model": "resnet18"}),
    "Tune: an axis in words": experiment({"test_auroc": 0.8}, {**CONFIG, "train_images": "all"}),
    "Tune: a cut configuration": experiment({"test_auroc": 0.8}, "resnet18"),
}
"""Name of wrong results -> what makes them in a folder and says what the error is."""
