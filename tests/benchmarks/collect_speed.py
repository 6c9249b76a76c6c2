"""python tests/benchmarks/collect_speed.py: cells into Parquet, against Tune's own files with
ExperimentAnalysis.

Writes CELLS finished cells of 100 epochs as a sweep leaves them, and the same records as Ray Tune's JSON
logger leaves them; collects both; adds ten cells and collects again. Prints seconds and peak memory. Aim:
10,000 cells within 60 seconds and 1 GB on two cores, at least ten times as fast as ExperimentAnalysis.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

sys.path[:0] = [str(Path(__file__).parents[1] / "helpers"), str(Path(__file__).parent.parent.parent)]

import cell_folders as folders  # noqa: E402
from ray.train._internal.storage import StorageContext  # noqa: E402
from ray.tune import ExperimentAnalysis  # noqa: E402
from ray.tune.experiment import Trial  # noqa: E402

from analysis.tables.collect import collect  # noqa: E402

RECIPE = {"epochs": 100, "image_size": 224}


def cell_of(number: int) -> dict[str, object]:
    cells = folders.grid()
    return {**cells[number % len(cells)], "seed": number // len(cells)}


def write_cells(out: Path, numbers: range) -> None:
    """Finished cells, all from one template: only identity and seed differ."""
    template = out / "template"
    folders.write_cell(template, cell_of(0), recipe=RECIPE, losses=np.linspace(0.7, 0.2, 100))
    source = next((template / "cells").iterdir())
    record = json.loads((source / "result.json").read_text())
    for number in numbers:
        cell = cell_of(number)
        name = folders.identity(cell, RECIPE)
        target = out / "cells" / name
        shutil.copytree(source, target)
        (target / "result.json").write_text(json.dumps({**record, "cell_id": name, "cell": cell}))
    shutil.rmtree(template)


def write_tune(folder: Path, count: int) -> None:
    """The same epochs as lines of Tune's `result.json`, with the keys that Tune adds."""
    folder.mkdir(parents=True)
    (folder / "experiment_state-2025-01-01_00-00-00.json").write_text("{}")
    losses = np.linspace(0.7, 0.2, 100)
    for number in range(count):
        trial = folder / f"train_{number:05d}"
        trial.mkdir(parents=True)
        config = {**cell_of(number), "recipe": RECIPE}
        (trial / "params.json").write_text(json.dumps(config))
        lines = [
            json.dumps(
                {
                    "epoch": n + 1, "train_loss": float(loss), "selection_loss": float(loss) + 0.05,
                    "selection_auroc": 0.8, "learning_rate": 1e-3, "seconds": 1.5,
                    "timestamp": 1_700_000_000 + n,
                    "checkpoint_dir_name": None, "done": n == 99, "training_iteration": n + 1,
                    "trial_id": f"{number:05d}", "date": "2025-01-01_00-00-00", "time_this_iter_s": 1.5,
                    "time_total_s": 1.5 * n, "pid": 1, "hostname": "node", "node_ip": "127.0.0.1",
                    "config": config,
                    "time_since_restore": 1.5 * n, "iterations_since_restore": n + 1,
                }
            )
            for n, loss in enumerate(losses)
        ]  # fmt: skip
        (trial / "result.json").write_text("\n".join(lines) + "\n")


def read_tune(folder: Path) -> None:
    """What Tune's user would do: `ExperimentAnalysis` over the experiment's trials, every history joined."""
    trials = []
    for path in sorted(folder.glob("train_*")):
        storage = StorageContext(str(folder.parent), folder.name, trial_dir_name=path.name)
        config = json.loads((path / "params.json").read_text())
        trial = Trial("train", stub=True, trial_id=path.name[-5:], config=config, storage=storage)
        trial.run_metadata.last_result = {"train_loss": 0.2, "done": True}
        trials.append(trial)
    found = ExperimentAnalysis(str(folder / "experiment_state-2025-01-01_00-00-00.json"), trials=trials)
    joined = pd.concat(found.trial_dataframes.values())
    if len(joined) != 100 * len(trials):
        raise RuntimeError(f"Tune's files: found {len(joined)} epochs, expected {100 * len(trials)}")


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds and peak memory in MB of `work`, in a process of its own."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        start = time.perf_counter()
        work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        send.send((time.perf_counter() - start, peak))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the measured work ended with status {process.exitcode}")
    found: tuple[float, float] = receive.recv()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument(
        "--tune-cells", type=int, default=1_000, help="cells for ExperimentAnalysis, scaled up"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        out, tune = Path(name) / "out", Path(name) / "tune"
        write_cells(out, range(options.cells))
        first = measured(lambda: collect(out))
        again = measured(lambda: collect(out))
        write_cells(out, range(options.cells, options.cells + 10))
        more = measured(lambda: collect(out))
        for file in [*out.glob("cells/*/steps.parquet"), *out.glob("cells/*/range_test.parquet")]:
            file.unlink()
        shutil.rmtree(out / "evidence")
        epochs = measured(lambda: collect(out))
        rows = pq.read_metadata(out / "evidence" / "epochs.parquet").num_rows
        if rows != 100 * (options.cells + 10):
            raise RuntimeError(
                f"collected {rows:,} epochs of {options.cells + 10:,} cells, expected 100 each"
            )
        write_tune(tune, options.tune_cells)
        theirs = measured(lambda: read_tune(tune))
    scale = options.cells / options.tune_cells
    print(f"| {options.cells:,} cells of 100 epochs | seconds | peak memory, MB |\n|---|---|---|")
    for label, (seconds, memory) in (
        ("first", first),
        ("again, nothing new", again),
        ("again, ten new", more),
    ):
        print(f"| {label} | {seconds:.1f} | {memory:.0f} |")
    print(f"| ExperimentAnalysis, {options.tune_cells:,} scaled | {theirs[0] * scale:.1f} | |")
    print(f"\nepochs alone, times as fast as Tune's own files: {theirs[0] * scale / epochs[0]:.1f}")


if __name__ == "__main__":
    main()
