"""What a trial takes: memory of its own beside the shared cache, and disk, per architecture.

    python tests/benchmarks/trial_memory.py [--sizes 24 224] [--trials 3]

Every architecture in a fresh process: private memory (RssAnon; the cache's pages are shared and not in it)
after the imports, its peak over a trial, and what is left after the first and after the last of some trials,
which must not grow. Disk: bytes of a finished cell's folder, and of an upstream cell's, with its weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from sweeps.presets import demo
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import Cell, upstream_of
from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom

MB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 224])
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--trials", type=int, default=3)
    options = parser.parse_args()
    print(
        "| pixels | architecture | imports, MB | peak of a trial, MB | left after 1, MB "
        f"| after {options.trials}, MB | a cell on disk, KB | an upstream cell, MB |\n" + "|---" * 8 + "|"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = chexpert.read(writing.write(folder / "phantom", Phantom(images=1500, size=64)))
        for size in options.sizes:
            for architecture in options.architectures:
                place = folder / f"{architecture}-{size}"
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    row = pool.apply(measure, (architecture, size, dataset, place, options.trials))
                print(
                    f"| {size} | {architecture} | " + " | ".join(f"{value:.0f}" for value in row) + " |",
                    flush=True,
                )


def measure(
    architecture: Architecture, size: int, dataset: Dataset, folder: Path, trials: int
) -> list[float]:
    """The columns of one row."""
    from transfusion.study import Study
    from transfusion.trial import run_trial

    recipe = dataclasses.replace(
        demo().recipe, image_size=size, epochs=1, upstream_epochs=1, range_test_steps=1,
        batch_size=32 if size <= 64 else 8, upstream_images=8,
    )  # fmt: skip
    imports = private()
    where: dict[str, Any] = {"cells": folder / "cells", "cache": folder.parent / "cache"}
    upstream = upstream_of(Cell(architecture=architecture, train_images=8, init="photos"), recipe)
    assert upstream is not None
    folders, left, peak = [], [], 0.0
    cells = [
        Cell(architecture=architecture, train_images=8 if size > 64 else 32, seed=seed)
        for seed in range(trials)
    ]
    for cell in (*cells, upstream):
        with Peak() as found:
            record = run_trial(cell, Study(recipe=recipe, dataset=dataset), **where)
        if record["status"] != "done":
            raise RuntimeError(record["error"])
        left.append(private())
        peak = max(peak, found.highest)
        folders.append(sum(file.stat().st_size for file in (where["cells"] / record["cell_id"]).iterdir()))
    return [
        imports / MB, (peak - imports) / MB, (left[0] - imports) / MB, (left[trials - 1] - imports) / MB,
        folders[0] / 1024, folders[-1] / MB,
    ]  # fmt: skip


def private() -> float:
    """Bytes of this process's own memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024.0 * int(line.split()[1])
    raise RuntimeError("/proc/self/status: found no RssAnon; this needs Linux")


class Peak:
    """The highest private memory while it is entered, looked at every few milliseconds."""

    def __enter__(self) -> Peak:
        self.highest, self.over = private(), threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.over.is_set():
            self.highest = max(self.highest, private())
            time.sleep(0.003)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


if __name__ == "__main__":
    main()
