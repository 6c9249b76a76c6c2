"""A small grid for the fault suite: its command, and what can be asked of its folder from outside."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil

from sweeps.processes import MARK
from transfusion import results
from transfusion.attempts import read

ROOT = Path(__file__).parent.parent
TIMES = {"seconds", "train_seconds", "images_per_second"}
RECIPE = ("epochs=3", "range_test_steps=6", "upstream_images=32", "upstream_epochs=2", "batch_size=8")


@dataclasses.dataclass(frozen=True)
class Grid:
    """The command of a grid of cbr_tiny on a phantom, `seeds` times (one upstream and three cells) big."""

    out: Path
    data: Path
    cache: Path
    seeds: int = 1

    def command(self, *options):
        return [
            sys.executable, "sweeps/full_grid.py", "--preset", "smoke", "--architectures", "cbr_tiny",
            "--train-images", "16", "--inits", "random", "photos", "--seeds", str(self.seeds),
            "--data", str(self.data), "--cache", str(self.cache), "--out", str(self.out),
            "--recipe", *RECIPE, *options,
        ]  # fmt: skip

    def start(self, *options, **popen):
        """The driver in a session of its own, as a terminal or a batch system would start it."""
        log = (self.out.parent / f"{self.out.name}.log").open("a")
        return subprocess.Popen(
            self.command(*options), cwd=ROOT, stdout=log, stderr=log, start_new_session=True, **popen
        )

    def run(self, *options, timeout=300, **popen):
        return subprocess.run(
            self.command(*options),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **popen,
        )

    def wanted(self):
        """4 cells a seed: random, photos, photos frozen, and the upstream cell on photographs."""
        return 4 * self.seeds

    def finished(self):
        """cell_id -> identity of its result on disk; it changes if the cell is ever written again."""
        found = {}
        for file in (self.out / "cells").glob("*/result.json"):
            status = file.stat()
            found[file.parent.name] = (status.st_ino, status.st_mtime_ns)
        return found

    def starts(self):
        """cell_id -> how often it was started."""
        folders = (self.out / "cells").glob("*")
        return {f.name: sum(line["event"] == "started" for line in read(f)) for f in folders}

    def log(self):
        return (self.out.parent / f"{self.out.name}.log").read_text()

    def tables(self):
        """Every number of every finished cell, times and provenance apart."""
        found = {}
        for file in sorted((self.out / "cells").glob("*/result.json")):
            record = json.loads(file.read_text())
            kept = {
                name: record[name] for name in ("cell", "recipe", "data", "upstream", "status", "failure")
            }
            kept["metrics"] = {k: v for k, v in record["metrics"].items() if k not in TIMES}
            frames = {}
            for name in results.TABLES:
                if (file.parent / f"{name}.parquet").exists():
                    frame = pd.read_parquet(file.parent / f"{name}.parquet")
                    frames[name] = frame.drop(columns=["seconds"], errors="ignore")
            found[file.parent.name] = (kept, frames)
        return found

    def processes(self):
        """Living processes that carry the mark of a driver of this OUT."""
        found = []
        for process in psutil.process_iter():
            try:
                mark = process.environ().get(MARK, "")
                if mark.endswith(f":{self.out.resolve()}") and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def trials(self):
        """The processes that run trials now."""
        found = []
        for process in self.processes():
            try:
                if " ".join(process.cmdline()).startswith("ray::ImplicitFunc"):
                    found.append(process)
            except psutil.Error:
                continue
        return found


def assert_same_bits(one, undisturbed):
    """Every cell of a grid has the numbers of the undisturbed one, which may be larger, to the last bit."""
    ours, theirs = one.tables(), undisturbed.tables()
    assert ours.keys() <= theirs.keys()
    assert len(ours) == one.wanted()
    for cell_id, (record, frames) in ours.items():
        assert record == theirs[cell_id][0]
        assert frames.keys() == theirs[cell_id][1].keys()
        for name, frame in frames.items():
            pd.testing.assert_frame_equal(frame, theirs[cell_id][1][name], check_exact=True)


class Witness:
    """Watches that what has once finished is never written or started again."""

    def __init__(self, grid):
        self.grid, self.results, self.counts = grid, {}, {}

    def look(self):
        """Compare with all that was seen before; returns how many cells have finished."""
        now, starts = self.grid.finished(), self.grid.starts()
        for cell_id, identity in self.results.items():
            assert now.get(cell_id) == identity, f"finished cell {cell_id} was lost or written again"
            assert starts[cell_id] == self.counts[cell_id], f"finished cell {cell_id} was started again"
        self.results = now
        self.counts = {cell_id: starts[cell_id] for cell_id in now}
        return len(now)


def python_path(folder):
    """An environment in which every Python process first runs `sitecustomize.py` from `folder`."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}
