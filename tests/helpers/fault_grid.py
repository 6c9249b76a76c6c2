"""A small grid for the fault suite: its command, what its folder tells from outside, and a witness."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil

from sweeps.processes.marked import MARK
from transfusion.records import results
from transfusion.records.attempts import read

ROOT = Path(__file__).parents[2]
TIMES = ("seconds", "per_second")
"""How the names of measured times end."""
PATIENCE = 400
"""Seconds that a slow machine is given for any one step."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """The command of a grid of cbr_tiny on a phantom: four cells a seed, of a second each.

    They are random, photos, photos frozen, and the upstream cell on photographs.
    """

    out: Path
    data: Path
    cache: Path
    seeds: int = 1
    inits: tuple[str, ...] = ("random", "photos")
    epochs: int = 3

    def command(self, *options):
        return [
            sys.executable, "sweeps/full_grid.py", "--preset", "smoke", "--architectures", "cbr_tiny",
            "--train-images", "16", "--inits", *self.inits, "--seeds", str(self.seeds),
            "--data", str(self.data), "--cache", str(self.cache), "--out", str(self.out),
            "--recipe", f"epochs={self.epochs}", "range_test_steps=6", "upstream_images=32",
            "upstream_epochs=2", "batch_size=8", *options,
        ]  # fmt: skip

    def start(self, *options, **popen):
        """The driver in a session of its own, as a terminal or a batch system would start it."""
        with (self.out.parent / f"{self.out.name}.log").open("a") as log:
            return subprocess.Popen(
                self.command(*options), cwd=ROOT, stdout=log, stderr=log, start_new_session=True, **popen
            )

    def run(self, *options, timeout=2 * PATIENCE, **popen):
        return subprocess.run(
            self.command(*options),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **popen,
        )

    def finish(self, *options, **popen):
        """Run to the end, which must be a good one; returns what was printed."""
        done = self.run(*options, **popen)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wanted(self):
        return (len(self.inits) + 2 * ("photos" in self.inits)) * self.seeds

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

    def attempts(self):
        """How often any cell was started."""
        return sum(self.starts().values())

    def whole_log(self):
        """All that the drivers of `start` have printed."""
        file = self.out.parent / f"{self.out.name}.log"
        return file.read_text() if file.exists() else ""

    def log(self):
        """The end of it."""
        return self.whole_log()[-3000:]

    def tables(self):
        """Every number of every finished cell, times and provenance apart."""
        found = {}
        for file in sorted((self.out / "cells").glob("*/result.json")):
            record = json.loads(file.read_text())
            kept = {
                name: record[name] for name in ("cell", "recipe", "data", "upstream", "status", "failure")
            }
            kept["metrics"] = {k: v for k, v in record["metrics"].items() if not k.endswith(TIMES)}
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
        return [process for process in self.processes() if is_trial(process)]


def is_trial(process):
    """Whether a process is a worker of Ray that runs trials."""
    try:
        return " ".join(process.cmdline()).startswith("ray::ImplicitFunc")
    except psutil.Error:
        return False


def wait_for(condition, driver, grid, seconds=PATIENCE):
    """Wait for a condition on a sweep that runs; True, or False where the sweep ended before."""
    patience = time.monotonic() + seconds
    while not condition():
        if driver.poll() is not None:
            return False
        assert time.monotonic() < patience, f"waited for {seconds} s\n{grid.log()}"
        time.sleep(0.05)
    return True


def different_cells(one, undisturbed):
    """The cells of a grid that differ, in any bit, from the undisturbed one, which may have more of them."""
    ours, theirs = one.tables(), undisturbed.tables()
    assert len(ours) == one.wanted(), f"{len(ours)} cells finished, expected {one.wanted()}"
    return [cell_id for cell_id, cell in ours.items() if not _same(cell, theirs[cell_id])]


def _same(one, other):
    (record, frames), (other_record, other_frames) = one, other
    return (
        record == other_record
        and frames.keys() == other_frames.keys()
        and all(frame.equals(other_frames[name]) for name, frame in frames.items())
    )


class Witness:
    """Watches that what has once finished is never lost, written or started again.

    Attributes:
        lost, twice: cells that had finished, and were gone or trained again later.
    """

    def __init__(self, grid):
        self.grid, self.results, self.counts = grid, {}, {}
        self.lost, self.twice = set(), set()

    def look(self):
        """Compare with all that was seen before; returns how many cells have finished."""
        now, starts = self.grid.finished(), self.grid.starts()
        for cell_id, identity in self.results.items():
            if cell_id not in now:
                self.lost.add(cell_id)
            elif now[cell_id] != identity or starts[cell_id] != self.counts[cell_id]:
                self.twice.add(cell_id)
        self.results = now
        self.counts = {cell_id: starts[cell_id] for cell_id in now}
        return len(now)


HOOK = '''
import importlib.abc, importlib.util, sys

class Patch(importlib.abc.MetaPathFinder):
    """As soon as a process has imported the trial, do something before it trains."""
    def find_spec(self, name, path, target=None):
        if name != "transfusion.trial":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            train = module._train
            def hooked(cell, *rest):
                before(cell, next(one.folder for one in rest if hasattr(one, "folder")))
                return train(cell, *rest)
            module._train = hooked
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Patch())
'''


def before_training(folder, code):
    """An environment in which every trial first calls the `before` of `code`.

    Args:
        folder: is made, and holds the `sitecustomize.py` that does it.
        code: defines `before(cell, folder)`, the folder being the cell's own.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code + HOOK)
    return python_path(folder)


def python_path(folder):
    """An environment in which every Python process first runs `sitecustomize.py` from `folder`."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}
