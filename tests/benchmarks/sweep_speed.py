"""A whole sweep against the peer (`peer.py`): the same cells, recipe, images, machine, one after the other.

    python tests/benchmarks/sweep_speed.py --preset smoke
    python tests/benchmarks/sweep_speed.py --preset demo [--every 10 | --whole]

Whole, both commands are timed from start to exit, ours with its report, from the same folder of JPEGs. Else
every Nth cell in the order of expected cost is run by both, a cell that starts from a pretraining outside of
the sample from stand-in weights; the times are then also scaled to all cells, after the start of the first
cell, and marked as extrapolated. Times are wall-clock seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.execution import executor, ray_session
from sweeps.execution.cell_queue import Control
from sweeps.inputs.data import prepare
from sweeps.planning import cost, history, plan, resources
from sweeps.presets import PRESETS
from sweeps.processes.stop import Stop
from sweeps.running.progress import SweepProgress
from sweeps.spaces import Preset
from sweeps.storage.places import Places
from transfusion.cell import Cell, cell_id, upstream_of
from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert
from transfusion.networks.initialization import save_stages
from transfusion.networks.network import build
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom
from transfusion.records import results
from transfusion.study import Study

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(Path(__file__).parent))

from slot_use import use  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=("smoke", "demo"), default="smoke")
    parser.add_argument("--every", type=int, default=10, help="every Nth cell of demo")
    parser.add_argument("--whole", action="store_true", help="all cells of demo")
    parser.add_argument("--sample", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    preset = PRESETS[options.preset]()
    if options.sample:
        run_sample(preset, options.data, options.out, options.sample)
        return
    with tempfile.TemporaryDirectory() as name:
        compare(preset, Path(name), None if options.whole or preset.name == "smoke" else options.every)


def compare(preset: Preset, folder: Path, every: int | None) -> None:
    """Run both, print both."""
    data = folder / "phantom"
    embedded = preset.phantom
    assert embedded is not None
    writing.write(data, Phantom(images=embedded.images, size=embedded.size, difficulty=embedded.difficulty))
    dataset = chexpert.read(data, views=preset.recipe.views)
    order = by_cost(preset, dataset)
    script = ROOT / "sweeps" / "full_grid.py"
    ours = [script, "--preset", preset.name, "--data", data, "--out", folder / "ours"]
    theirs = [Path(__file__).parent / "peer.py", "--preset", preset.name, "--data", data]
    theirs += ["--out", folder / "peer"]
    chosen = order
    if every:
        chosen = order[every // 2 :: every]
        sample = folder / "sample.json"
        sample.write_text(json.dumps([{n: getattr(cell, n) for n in cell.__slots__} for cell in chosen]))
        ours = [Path(__file__), "--preset", preset.name, "--sample", sample, "--data", data]
        ours += ["--out", folder / "ours"]
        theirs += ["--cells", sample]
    began = time.time()
    our_seconds, _ = timed(ours)
    found = use(folder / "ours")
    our_first = found.first - began
    their_seconds, line = timed(theirs)
    report = json.loads(line)
    if report["errors"]:
        raise SystemExit(f"the peer failed in {report['errors']} cells; nothing to compare")
    their_first = their_seconds - report["seconds"] + report["first"]
    print(f"| {preset.name} | cells | first cell starts after, s | ours, s | peer, s | times as fast |")
    print("|---|---|---|---|---|---|")
    what = f"every {every}th cell by cost" if every else "whole, ours with its report"
    print(
        f"| {what} | {len(chosen)} | {our_first:.1f}, {their_first:.1f} | {our_seconds:.0f} "
        f"| {their_seconds:.0f} | {their_seconds / our_seconds:.1f} |"
    )
    if every:
        scale = len(order) / len(chosen)
        one, two = (
            first + (seconds - first) * scale
            for first, seconds in ((our_first, our_seconds), (their_first, their_seconds))
        )
        print(f"| extrapolated to all | {len(order)} | | {one:.0f} | {two:.0f} | {two / one:.1f} |")
    print(
        f"\nour slots: {found.work:.2f} of their time in training or evaluation, "
        f"{found.in_cells:.2f} in cells, idle tail {found.tail:.2f}"
    )


def by_cost(preset: Preset, dataset: Dataset) -> list[Cell]:
    """All cells of the preset, upstream ones included, by expected cost."""
    wanted = preset.cells()
    upstreams = dict.fromkeys(up for cell in wanted if (up := upstream_of(cell, preset.recipe)))
    model = cost.CostModel("cpu", len(dataset.rows("test")) + len(dataset.rows("official")), 0)
    return sorted([*upstreams, *wanted], key=lambda cell: model.seconds(cell, preset.recipe))


def timed(command: list[Any]) -> tuple[float, str]:
    """Wall-clock seconds of a Python command, and its last line."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout.strip().splitlines()[-1]


def run_sample(preset: Preset, data: Path, out: Path, sample: Path) -> None:
    """Our executor on chosen cells, in a process of its own."""
    recipe = preset.recipe
    dataset = chexpert.read(data, views=recipe.views)
    chosen = [Cell(**cell) for cell in json.loads(sample.read_text())]
    for cell in chosen:
        upstream = upstream_of(cell, recipe)
        if upstream is not None and upstream not in chosen:
            stand_in(upstream, preset, dataset, out / "cells")
    at_hand = resources.of_machine(1, None)
    model = cost.CostModel(at_hand.device, len(dataset.rows("test")), len(dataset.rows("selection")))
    work = plan.make(
        chosen, recipe, dataset.fingerprint, history.read(out / "cells"), model,
        share_of=lambda cell: at_hand.share(),
    )  # fmt: skip
    console = Console(quiet=True)
    prepare(dataset, recipe, out / "cache", console)
    last = ExitStack()
    ray_session.start(None, last)
    with SweepProgress(console, work.missing()) as progress:
        executor.execute(
            work, Study(recipe=recipe, dataset=dataset), Places(out, out / "cache"), at_hand,
            Control(watcher=progress, stop=Stop()),
        )  # fmt: skip
    for path in out.glob("cells/*/stand-in"):  # they are no part of what was run
        (path.parent / results.RESULT).unlink()
    if progress.failed:
        raise SystemExit(f"{progress.failed} cells failed")
    print("done")


def stand_in(upstream: Cell, preset: Preset, dataset: Dataset, folder: Path) -> None:
    """A finished pretraining that nobody ran: random weights."""
    place = folder / cell_id(upstream, preset.recipe, dataset.fingerprint)
    place.mkdir(parents=True, exist_ok=True)
    (place / "stand-in").touch()
    save_stages(build(upstream.architecture), place / results.WEIGHTS)
    results.write_result(
        place,
        results.Origin(cell=upstream, recipe=preset.recipe, fingerprint=dataset.fingerprint),
        results.Outcome(status="done", metrics={}),
        environment={},
        started="",
        finished="",
    )


if __name__ == "__main__":
    main()
