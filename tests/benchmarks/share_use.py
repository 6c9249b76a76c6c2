"""How well cells of mixed shares use GPUs: a real Ray that was told of GPUs, stand-ins that sleep.

    python tests/benchmarks/share_use.py [--gpus 1 2 8] [--seconds 60]

Prints, for every number of GPUs: the share of them in use from the first start until too little is left to
fill them, and how long a ready cell of a whole GPU waited for smaller ones, in durations of the longest cell.
Both are counted twice: from when a cell is handed out, which is what the queue decides; and from when its
stand-in sleeps, which a process of Ray comes before, of seconds of a core.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import ray
from ray import cloudpickle

from sweeps.execution import executor, ray_session
from sweeps.execution.cell_queue import Control
from sweeps.execution.devices import Devices
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.planning.resources import Resources
from sweeps.processes.stop import Stop
from sweeps.storage.places import Places
from transfusion.cell import Cell
from transfusion.study import Study


def stand_in(config, *, places, **_):
    """Sleeps as long as the cell's name says, and writes down when."""
    from ray import tune

    tune.report(executor._place())
    start = time.time()
    time.sleep(float(config["cell_id"].split("-")[1]))
    event = {"cell": config["cell_id"], "share": config["share"], "start": start, "end": time.time()}
    with (places.out / "events").open("a") as file:
        file.write(json.dumps(event) + "\n")
    tune.report({"status": "done"})


HANDED: dict[str, float] = {}
"""When each cell was handed out."""


class Told(Devices):
    """Writes down when a cell is handed out."""

    def start(self, attempt, planned, place):
        HANDED[planned.id] = time.time()
        super().start(attempt, planned, place)


class Silent:
    def epoch(self, cell_id, done, of): ...
    def finished(self, cell_id, status): ...
    def waits(self, text): ...


def grid(gpus, seconds, generator):
    """Cells by shares of 1/4, 1/2 and 1; each second whole one waits for an upstream cell of a quarter."""
    cell = Cell(architecture="cbr_tiny", train_images=1)
    planned = []
    for n in range(12 * gpus):
        share = (0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0.25, 0.25, 0.5, 1.0, 0.25, 1.0)[n % 12]
        length = round(float(generator.uniform(0.5, 1)) * seconds, 2)
        upstream = planned[-5].id if n % 12 == 11 else None
        planned.append(PlannedCell(f"{n}-{length}", cell, upstream, length, share))
    return planned


def measure(gpus, seconds):
    planned = grid(gpus, seconds, np.random.default_rng(gpus))
    out = Path(tempfile.mkdtemp())
    (out / "cells").mkdir()
    cores = 4 * gpus + 2
    ray.init(
        address="local", num_cpus=cores, num_gpus=gpus, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR, _node_ip_address="127.0.0.1",
    )  # fmt: skip
    try:
        executor.execute(
            Plan(tuple(planned), {}, frozenset(), {}, None), Study(recipe=None, dataset=None),
            Places(out, out),
            Resources(device="cuda", cpus=1, cores=(cores,), gpus=(float(gpus),), gpu_memory=2**34),
            Control(watcher=Silent(), stop=Stop()),
        )  # fmt: skip
    finally:
        ray.shutdown()
    events = [json.loads(line) for line in (out / "events").read_text().splitlines()]
    return planned, [{**event, "handed": HANDED.pop(event["cell"])} for event in events]


def used(events, gpus, begin):
    """Share of the GPUs in use from the first start until what has not started could not fill them, and for
    how many seconds; `begin` names the moment from which a cell counts."""
    events = sorted(events, key=lambda event: event[begin])
    left, until, first = sum(event["share"] for event in events), 0.0, events[0][begin]
    for event in events:
        until = event[begin] if left >= gpus else until
        left -= event["share"]
    busy = sum(e["share"] * max(0.0, min(e["end"], until) - e[begin]) for e in events)
    return busy / (gpus * max(until - first, 1e-9)), until - first


def waits(planned, events, begin):
    """Seconds that ready cells of a whole GPU waited for smaller ones; they also wait for one another."""
    events = sorted(events, key=lambda event: event[begin])
    upstream = {one.id: one.upstream for one in planned}
    ends = {event["cell"]: event["end"] for event in events}
    before, found = events[0][begin], []
    for event in events:
        if event["share"] == 1:
            ready = ends[upstream[event["cell"]]] if upstream[event["cell"]] else events[0][begin]
            found.append(event[begin] - max(ready, before))
            before = event[begin]
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--seconds", type=float, default=60.0, help="of the longest cell (60)")
    options = parser.parse_args()
    executor.trainable, executor.Devices = stand_in, Told
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    for name, value in ray_session.SETTINGS.items():
        os.environ.setdefault(name, value)
    print("| GPUs | cells | handed out | asleep | for seconds | longest wait: handed out | asleep |")
    print("|---|---|---|---|---|---|---|")
    for gpus in options.gpus:
        planned, events = measure(gpus, options.seconds)
        longest = max(event["end"] - event["start"] for event in events)
        (handed, seconds), (asleep, _) = (used(events, gpus, begin) for begin in ("handed", "start"))
        worst = [max(waits(planned, events, begin)) / longest for begin in ("handed", "start")]
        print(
            f"| {gpus} | {len(planned)} | {handed:.2f} | {asleep:.2f} | {seconds:.0f} | {worst[0]:.2f} | "
            f"{worst[1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
