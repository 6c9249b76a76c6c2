"""Writes folders as a sweep leaves them, with made-up results: what the analysis reads."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion.records.results import write_table

NETWORKS = {  # depth and parameters of the seven networks
    "resnet50": (50, 23_510_081),
    "resnet34": (34, 21_285_185),
    "resnet18": (18, 11_177_025),
    "cbr_large_wide": (5, 8_441_409),
    "cbr_large_tall": (6, 8_537_121),
    "cbr_small": (5, 2_113_313),
    "cbr_tiny": (5, 1_078_817),
}
ARMS = (
    ("random", "none"),
    ("photos", "none"),
    ("photos", "backbone"),
    ("consolidation", "none"),
    ("consolidation", "backbone"),
)
RECIPE = {"epochs": 6, "image_size": 32}


def identity(cell: dict[str, Any], recipe: dict[str, Any] = RECIPE) -> str:
    return hashlib.sha256(json.dumps([cell, recipe], sort_keys=True).encode()).hexdigest()[:16]


def grid(
    architectures: Iterable[str] = tuple(NETWORKS),
    sizes: Iterable[int] = (100, 200, 400, 800),
    arms: Iterable[tuple[str, str]] = ARMS,
    seeds: int = 1,
) -> list[dict[str, Any]]:
    """The cells of a grid, without its upstream cells."""
    return [
        {
            "kind": "grid",
            "finding": "Edema",
            "architecture": a,
            "train_images": n,
            "init": i,
            "freeze": f,
            "seed": s,
        }
        for a, n, (i, f), s in itertools.product(architectures, sizes, arms, range(seeds))
    ]


def write_plan(out: Path, cells: list[dict[str, Any]], recipe: dict[str, Any] = RECIPE) -> None:
    rows = [
        {
            "cell_id": identity(c, recipe),
            **c,
            "upstream": None,
            "parameters": NETWORKS[c["architecture"]][1],
            "depth": NETWORKS[c["architecture"]][0],
            "macs": 1_000_000,
        }
        for c in cells
    ]
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(out / "plan.parquet")


def write_cell(
    out: Path,
    cell: dict[str, Any],
    *,
    recipe: dict[str, Any] = RECIPE,
    status: str = "done",
    failure: str | None = None,
    auroc: float = 0.85,
    test: pd.DataFrame | None = None,
    official: pd.DataFrame | None = None,
    losses: np.ndarray | None = None,
    finished: bool = True,
    rng: np.random.Generator | None = None,
) -> str:
    """One cell's folder; `test` and `official` are frames of predictions (image patient study label
    logit)."""
    rng = rng or np.random.default_rng(int(identity(cell, recipe)[:8], 16))
    name = identity(cell, recipe)
    folder = out / "cells" / name
    folder.mkdir(parents=True, exist_ok=True)
    epochs, steps = recipe["epochs"], 5
    if losses is None:
        losses = 0.65 * np.exp(-0.25 * np.arange(epochs)) + 0.1
    write_table(
        folder,
        "epochs",
        {
            "epoch": np.arange(1, epochs + 1),
            "train_loss": losses,
            "selection_loss": losses + 0.05,
            "selection_auroc": np.linspace(0.6, auroc, epochs),
            "learning_rate": np.full(epochs, 1e-3),
            "seconds": np.full(epochs, 1.5),
        },
    )
    write_table(
        folder,
        "steps",
        {
            "step": np.arange(1, epochs * steps + 1),
            "epoch": np.repeat(np.arange(1, epochs + 1), steps),
            "train_loss": (np.repeat(losses, steps) * np.exp(rng.normal(0, 0.03, epochs * steps))).astype(
                "f4"
            ),
        },
    )
    rates = np.logspace(-6, 0, 20)
    curve = {"step": np.arange(1, 21), "learning_rate": rates, "loss": 0.7 - 0.1 * np.sin(rates)}
    write_table(folder, "range_test", curve)
    parts = [p.assign(split=s) for s, p in (("test", test), ("official", official)) if p is not None]
    if parts:
        write_table(folder, "predictions", dict(pd.concat(parts).items()))
    if finished:
        metrics = {
            "epochs": epochs,
            "train_loss": float(losses[-1]),
            "learning_rate": 1e-3,
            "train_seconds": 9.0,
        }
        if status == "done":
            metrics |= {"test_auroc": auroc, "official_auroc": auroc - 0.01}
        record = {
            "schema": 1,
            "cell_id": name,
            "cell": cell,
            "recipe": recipe,
            "data": "f00d",
            "upstream": None,
            "status": status,
            "failure": failure,
            "error": None if failure is None else f"made-up failure {failure}",
            "metrics": metrics,
            "environment": {"device": "cpu", "host": "here"},
            "started": "2025-01-01T00:00:00+00:00",
            "finished": "2025-01-01T00:01:00+00:00",
        }
        (folder / "result.json").write_text(json.dumps(record))
    return name


def predictions(
    auroc: float, rng: np.random.Generator, patients: int = 100, per_patient: int = 2, prevalence: float = 0.4
) -> pd.DataFrame:
    """Predictions whose labels and names are the same on every call, with about the AUROC asked for."""
    from scipy.stats import norm

    fixed = np.random.default_rng(7)
    n = patients * per_patient
    labels = (fixed.random(n) < prevalence).astype("f4")
    shared = fixed.normal(size=n)
    logits = np.sqrt(2) * norm.ppf(auroc) * labels + np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=n)
    patient = np.repeat(np.arange(patients), per_patient)
    return pd.DataFrame(
        {
            "image": [f"image{i}.jpg" for i in range(n)],
            "patient": [f"patient{p:05d}" for p in patient],
            "study": [f"patient{p:05d}/study1" for p in patient],
            "label": labels,
            "logit": logits.astype("f4"),
        }
    )


MARGINS = ("--margin", "auroc=0.03", "--margin", "loss=0.2")
SWEEP = {
    "preset": "made-up", "natural_images": "photos", "recipe": RECIPE, "wall_seconds": 100.0,
    "data": {"name": "made-up radiographs", "fingerprint": "f00dfeed"}, "versions": {"torch": "2.99.0"},
    "hardware": {"cpus": 2, "gpus": ["no GPU at all"]}, "estimated_seconds": 90.0,
}  # fmt: skip


def write_demo_like(out: Path, seeds: int = 1) -> None:
    """A demo-like grid with a failed and a missing cell, and a hostile error text."""
    rng = np.random.default_rng(0)
    cells = grid(seeds=seeds)
    write_plan(out, cells)
    for k, cell in enumerate(cells[:-1]):
        auroc = 0.75 + 0.03 * np.log2(cell["train_images"] / 100) - 0.04 * (cell["freeze"] == "backbone")
        write_cell(
            out, cell, auroc=auroc, test=predictions(auroc, rng, patients=60),
            official=predictions(auroc, rng, patients=40, per_patient=1),
            status="failed" if k == 7 else "done", failure="<script>alert(1)</script>" if k == 7 else None,
        )  # fmt: skip
