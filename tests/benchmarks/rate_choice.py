"""Is the rate that the range test chooses a good one? Cells are trained at a third and three times it, too.

    python tests/benchmarks/rate_choice.py OUT [--seeds 0 1 2] [--train-images 192 384]
        [--inits random photos] [--architectures ...] [--factors 0.333 1 3] [--rates 0.001 ...]
        [--orders 2] [--seconds 3000]
    python tests/benchmarks/rate_choice.py OUT --table

Cells are those of the demo that train all weights. A cell has collapsed when a third or three times its rate
would have gained more than 0.05 AUROC. That is measured on all images that no cell of the demo trains on or
chooses an epoch by, several times as many as its test has, since chance would otherwise be taken for a gain.
`--orders` trains in so many other orders of the images and their augmentations: with `--factors 1` what
chance does by itself, with all three what is gained on average. `--rates` trains at these rates instead of
multiples of the chosen one. What is done is kept, a line of `OUT/rate_choice.jsonl` for each training, and
not done again; `--seconds` starts no training after that.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sweeps.presets import STUDIED, demo
from transfusion.cell import Cell, Recipe, upstream_of
from transfusion.data import image_cache
from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom
from transfusion.study import Study
from transfusion.training.evaluation import predict
from transfusion.training.fitting import Hooks, find_learning_rate, fit
from transfusion.training.metrics import auroc
from transfusion.training.module import TrainingModule
from transfusion.training.process_state import clean_slate, release
from transfusion.training.range_test import RangeTest
from transfusion.trial import cell_task, initial_network, run_trial

COLLAPSE = 0.05
IMAGES = 1200
OTHER_ORDER = 1000
"""Between the seeds of two orders."""

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Bench:
    """The data and the recipe that all cells share, and the folder of all that is kept."""

    out: Path
    dataset: Dataset
    recipe: Recipe

    @classmethod
    def of(cls, out: Path) -> Bench:
        """The demo's, its images drawn and decoded below `out` on first use."""
        preset = demo()
        assert preset.phantom is not None
        drawn = preset.phantom
        data = writing.write(
            out / "phantom", Phantom(images=drawn.images, size=drawn.size, difficulty=drawn.difficulty)
        )
        dataset = image_cache.prepare(chexpert.read(data), preset.recipe.image_size, out / "cache")
        return cls(out, dataset, preset.recipe)

    @property
    def file(self) -> Path:
        return self.out / "rate_choice.jsonl"

    def kept(self) -> list[dict[str, Any]]:
        """The trainings that were done."""
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def upstream(self, cell: Cell) -> None:
        """The pretraining of `cell`, done once."""
        if upstream := upstream_of(cell, self.recipe):
            folder = {"cells": self.out / "cells", "cache": self.out / "cache"}
            record = run_trial(upstream, Study(recipe=self.recipe, dataset=self.dataset), **folder)
            if record["status"] != "done":
                raise SystemExit(f"{upstream}: {record['error']}")

    def train(self, cell: Cell, factor: float | None, rate: float | None, order: int = 0) -> dict[str, Any]:
        """One training of `cell`: at `factor` times the rate that its range test chooses, or at `rate`.

        Args:
            order: 0 for the cell's own order of images and augmentations, others for another.
        """
        start = time.process_time()
        with clean_slate(cell.seed, 1), tempfile.TemporaryDirectory() as folder:
            task = cell_task(cell, self.recipe, self.dataset, self.out / "cache")
            network = initial_network(
                cell, self.recipe, self.dataset.fingerprint, self.out / "cells", task.outputs
            ).to(memory_format=torch.channels_last)
            module = TrainingModule(network, task, self.recipe, seed=cell.seed)
            test = find_learning_rate(module, CPU)
            chosen = test.chosen
            used = rate if factor is None else factor * chosen
            assert used is not None
            module.ladder = RangeTest(test.rates, test.losses, used, test.edge)
            module.seed = cell.seed + OTHER_ORDER * order
            fit(module, self.recipe.epochs, CPU, Path(folder) / "checkpoint", Hooks(checkpoint_seconds=1e9))
            module.restore_best()
            unseen = self.dataset.rows("train")[max(demo_sizes()) :][:IMAGES]
            rows = np.concatenate([task.rows["test"], task.rows["official"], unseen])
            logits = predict(network, task, rows, CPU)[:, 0]
            labels = task.targets[rows, 0]
        count = len(task.rows["test"])
        done = {
            **{name: getattr(cell, name) for name in ("architecture", "train_images", "init", "seed")},
            "factor": factor,
            "order": order,
            "rate": used,
            "chosen": chosen,
            "edge": test.edge,
            "rates": test.rates.tolist(),
            "losses": [loss if np.isfinite(loss) else None for loss in test.losses],
            "auroc": auroc(labels, logits),
            "test_auroc": auroc(labels[:count], logits[:count]),
            "images": len(rows),
            "train_losses": [epoch["train_loss"] for epoch in module.epochs],
            "cpu_seconds": time.process_time() - start,
        }
        release()
        return done


def demo_sizes() -> list[int]:
    """The demo's sizes, ascending."""
    return sorted({cell.train_images for cell in demo().cells()})


def wanted(options: argparse.Namespace) -> Iterator[Cell]:
    """The cells in the order of seeds, so that whatever time allows is whole seeds."""
    for seed in options.seeds:
        for init in options.inits:
            for architecture in options.architectures:
                for size in options.train_images:
                    yield Cell(architecture=architecture, train_images=size, init=init, seed=seed)


def table(kept: list[dict[str, Any]]) -> str:
    """A row for each cell of which all three rates were trained at, and the count of the collapsed."""
    rows, collapsed, partly = [], 0, 0
    by_cell: dict[tuple[Any, ...], dict[float, dict[str, Any]]] = {}
    for one in kept:
        if one["factor"] is not None and not one.get("order"):
            key = (one["architecture"], one["train_images"], one["init"], one["seed"])
            by_cell.setdefault(key, {})[round(one["factor"], 2)] = one
    for (architecture, size, init, seed), found in by_cell.items():
        if set(found) != {0.33, 1.0, 3.0}:
            partly += 1
            continue
        low, same, high = (found[factor]["auroc"] for factor in (0.33, 1.0, 3.0))
        gain = max(low, high) - same
        collapsed += gain > COLLAPSE
        word = " **collapsed**" if gain > COLLAPSE else ""
        rows.append(
            f"| {architecture} | {size} | {init} | {seed} | {found[1.0]['chosen']:.2g} "
            f"| {found[1.0]['edge']} | {low:.3f} | {same:.3f} | {high:.3f} | {gain:+.3f}{word} |"
        )
    head = (
        "| network | images | start | seed | rate | at edge | AUROC at a third | at the rate "
        "| at three times | most gained |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    last = f"{len(rows)} cells measured, {collapsed} collapsed" + (f", {partly} in part" if partly else "")
    return "\n".join([head, *rows, "", last])


def averaged(kept: list[dict[str, Any]]) -> str:
    """What is gained on average: a row for each cell trained at all three rates in several orders."""
    runs: dict[tuple[Any, ...], dict[float, dict[int, float]]] = {}
    for one in kept:
        if one["factor"] is not None:
            key = (one["architecture"], one["train_images"], one["init"], one["seed"])
            runs.setdefault(key, {}).setdefault(round(one["factor"], 2), {})[one.get("order", 0)] = one[
                "auroc"
            ]
    rows, collapsed = [], 0
    for (architecture, size, init, seed), found in runs.items():
        if set(found) != {0.33, 1.0, 3.0} or len(orders := set.intersection(*map(set, found.values()))) < 2:
            continue
        aurocs = {
            factor: np.array([by_order[o] for o in sorted(orders)]) for factor, by_order in found.items()
        }
        low, same, high = (aurocs[factor] for factor in (0.33, 1.0, 3.0))
        better = low if low.mean() > high.mean() else high
        gain, error = (better - same).mean(), (better - same).std(ddof=1) / np.sqrt(len(orders))
        collapsed += gain > COLLAPSE
        rows.append(
            f"| {architecture} | {size} | {init} | {seed} | {len(orders)} | {low.mean():.3f} "
            f"| {same.mean():.3f} | {high.mean():.3f} | {gain:+.3f} ± {error:.3f} |"
        )
    head = (
        "| network | images | start | seed | runs | at a third | at the rate | at three times "
        "| most gained, standard error |\n|---|---|---|---|---|---|---|---|---|"
    )
    last = f"{len(rows)} cells, on average {collapsed} collapsed"
    return "\n".join([head, *rows, "", last]) if rows else ""


def chance(kept: list[dict[str, Any]]) -> str:
    """How far apart a cell's AUROCs lie at one and the same rate, a row for each network and size."""
    runs: dict[tuple[Any, ...], dict[int, float]] = {}
    for one in kept:
        if one["factor"] == 1:
            key = (one["architecture"], one["train_images"], one["init"], one["seed"])
            runs.setdefault(key, {})[one.get("order", 0)] = one["auroc"]
    groups: dict[tuple[str, int], list[list[float]]] = {}
    for (architecture, size, _init, _seed), found in runs.items():
        if len(found) > 2:
            groups.setdefault((architecture, size), []).append([found[order] for order in sorted(found)])
    rows = ["| network | images | cells | spread of one run | best of two others gains over 0.05 |",
            "|---|---|---|---|---|"]  # fmt: skip
    for (architecture, size), cells in groups.items():
        spread = np.sqrt(np.mean([np.var(cell, ddof=1) for cell in cells]))
        gains = [
            max(cell[:i] + cell[i + 1 :]) - cell[i] > COLLAPSE for cell in cells for i in range(len(cell))
        ]
        rows.append(
            f"| {architecture} | {size} | {len(cells)} | {spread:.3f} | {sum(gains)} of {len(gains)} |"
        )
    return "\n".join(rows) if groups else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train-images", type=int, nargs="+", default=demo_sizes()[-2:])
    parser.add_argument("--inits", nargs="+", default=["random", "photos", "consolidation"])
    parser.add_argument("--architectures", nargs="+", default=list(STUDIED))
    parser.add_argument("--factors", type=float, nargs="+", default=[1, 3, 1 / 3])
    parser.add_argument("--rates", type=float, nargs="+", default=[])
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--recipe", nargs="+", default=[], help="other settings, NAME=NUMBER")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true", help="print what is kept, train nothing")
    options = parser.parse_args()
    bench = Bench.of(options.out)
    changes = {name: float(value) if "." in value or "e" in value else int(value)
               for name, value in (text.split("=") for text in options.recipe)}  # fmt: skip
    bench = dataclasses.replace(bench, recipe=dataclasses.replace(bench.recipe, **changes))
    start = time.monotonic()
    names = ("architecture", "train_images", "init", "seed")
    done = {
        (
            *(one[name] for name in names),
            one["factor"],
            None if one["factor"] else one["rate"],
            one.get("order", 0),
        )
        for one in bench.kept()
    }
    asked: list[tuple[float | None, float | None, int]] = [(None, rate, 0) for rate in options.rates]
    orders = range(1, 1 + options.orders) if options.orders else (0,)
    asked = asked or [(round(factor, 4), None, order) for order in orders for factor in options.factors]
    for cell in () if options.table else wanted(options):
        for factor, rate, order in asked:
            if (*(getattr(cell, name) for name in names), factor, rate, order) in done:
                continue
            if time.monotonic() - start > options.seconds:
                break
            bench.upstream(cell)
            one = bench.train(cell, factor, rate, order)
            with bench.file.open("a") as stream:
                stream.write(json.dumps(one) + "\n")
            print(f"{cell.architecture} {cell.train_images} {cell.init} {cell.seed}: rate {one['rate']:.2g}, "
                  f"AUROC {one['auroc']:.3f}, {one['cpu_seconds']:.1f} CPU s", flush=True)  # fmt: skip
    print(table(bench.kept()))
    print(averaged(bench.kept()))
    print(chance(bench.kept()))


if __name__ == "__main__":
    main()
