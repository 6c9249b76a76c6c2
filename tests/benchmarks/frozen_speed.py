"""A cell with a frozen backbone against one that is fine-tuned, of the same epochs.

    python tests/benchmarks/frozen_speed.py [--architectures cbr_tiny resnet18] [--epochs 100] [--views 10]

Whole trials in one process, each way once on two epochs to warm up, then measured in turn: seconds of both
and their ratio. The recipe is that of `demo` but for the epochs and the views.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import torch

from sweeps.presets import demo
from transfusion.cell import Cell, Recipe, upstream_of
from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom
from transfusion.study import Machine, Study
from transfusion.trial import run_trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", default=["cbr_tiny", "resnet18"])
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--views", type=int, default=10)
    options = parser.parse_args()
    recipe = dataclasses.replace(
        demo().recipe,
        epochs=options.epochs,
        frozen_views=options.views,
        upstream_epochs=1,
        upstream_images=64,
    )
    print(f"| {options.images} images, {options.epochs} epochs, {options.views} views ", end="")
    print("| fine-tuned, s | frozen, s | times as cheap |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = chexpert.read(writing.write(folder / "phantom", Phantom(images=1500, size=64)))
        for architecture in options.architectures:
            tuned, frozen = (
                Cell(architecture=architecture, train_images=options.images, init="photos", freeze=freeze)
                for freeze in ("none", "backbone")
            )
            for cell in (tuned, frozen):
                seconds(cell, dataclasses.replace(recipe, epochs=2), dataset, folder)
            one, other = (seconds(cell, recipe, dataset, folder) for cell in (tuned, frozen))
            print(f"| {architecture} | {one:.1f} | {other:.1f} | {one / other:.1f} |", flush=True)


def seconds(cell: Cell, recipe: Recipe, dataset: Dataset, folder: Path) -> float:
    """Of one trial, its upstream cell run before."""
    where = {"cells": folder / "cells", "cache": folder / "cache"}
    machine = Machine(device="cuda" if torch.cuda.is_available() else "cpu")
    study = Study(recipe=recipe, dataset=dataset)
    upstream = upstream_of(cell, recipe)
    assert upstream is not None
    run_trial(upstream, study, machine=machine, **where)
    record = run_trial(cell, study, machine=machine, **where)
    if record["status"] != "done":
        raise SystemExit(f"{cell}: {record['error']}")
    return float(record["metrics"]["seconds"])


if __name__ == "__main__":
    main()
