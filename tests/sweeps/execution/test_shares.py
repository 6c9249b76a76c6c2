"""Shares of one GPU, scheduled by a real Ray that was told of a GPU; the trials stand in for training."""

import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import ray
from ray import cloudpickle
from test_cell_queue import Watcher

from sweeps.execution import executor, ray_session
from sweeps.execution.cell_queue import Control
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.planning.resources import Resources
from sweeps.processes.stop import Stop
from sweeps.storage.places import Places
from transfusion.cell import Cell
from transfusion.study import Study

pytestmark = pytest.mark.slow

GPU = Resources(device="cuda", cpus=1, cores=(8,), gpus=(1.0,), gpu_memory=16 * 2**30)
SHARES = {"q0": 0.25, "q1": 0.25, "q2": 0.25, "q3": 0.25, "h0": 0.5, "h1": 0.5, "w0": 1.0, "q4": 0.25}
HUNGRY = {"q0", "h0"}
"""These run out of memory at their first share."""


def write(log, **event):
    with Path(log).open("a") as file:
        file.write(json.dumps({**event, "time": time.time()}) + "\n")


def read(log):
    return [json.loads(line) for line in Path(log).read_text().splitlines()]


def running(events):
    """What ran after each event: shares by cell."""
    now = {}
    for event in events:
        now = {cell: share for cell, share in now.items() if cell != event["cell"]}
        if event["event"] == "starts":
            now[event["cell"]] = event["share"]
        yield now


def stand_in(config, *, places, machine, **_):
    """Takes its share until the device is full, or for a while where nothing more comes."""
    from ray import tune

    cell, share, log = config["cell_id"], config["share"], places.out / "events"
    write(log, cell=cell, share=share, event="starts", gpus=os.environ.get("CUDA_VISIBLE_DEVICES"))
    patience = time.monotonic() + 15
    while time.monotonic() < patience and sum(list(running(read(log)))[-1].values()) < 1:
        time.sleep(0.1)
    write(log, cell=cell, share=share, event="ends")
    assert machine.device == "cuda"
    tune.report({"status": "out_of_memory" if cell in HUNGRY and share == SHARES[cell] else "done"})


@pytest.fixture
def events(tmp_path, monkeypatch):
    """What happened, in order: (cell, share) that start and end on one GPU."""
    monkeypatch.setattr(executor, "trainable", stand_in)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's workers cannot import this file
    for name, value in ray_session.SETTINGS.items():
        monkeypatch.setenv(name, value)
    cell = Cell(architecture="cbr_tiny", train_images=1)
    wanted = [PlannedCell(name, cell, None, 1.0, share) for name, share in SHARES.items()]
    watcher, stop = Watcher(), Stop()
    (tmp_path / "cells").mkdir()
    before = ExitStack()
    before.enter_context(ray_session.as_before())
    ray.init(address="local", num_cpus=8, num_gpus=1, include_dashboard=False, _node_ip_address="127.0.0.1")
    try:
        executor.execute(
            Plan(tuple(wanted), {}, frozenset(), {}, None),
            Study(recipe=None, dataset=None),
            Places(tmp_path, tmp_path),
            GPU,
            Control(watcher=watcher, stop=stop),
        )
    finally:
        ray.shutdown()
        before.close()
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert sorted(watcher.events) == [(name, "done") for name in sorted(SHARES)]
    return read(tmp_path / "events")


def test_trials_share_a_gpu_as_their_shares_allow(events):
    together = [list(now.values()) for now in running(events)]
    assert max(sum(shares) for shares in together) == 1.0, "full, and never more than full"
    assert max(len(shares) for shares in together) >= 3, "small trials run side by side"
    starts = [(event["cell"], event["share"]) for event in events if event["event"] == "starts"]
    shares = dict(starts)  # of the last attempt
    assert {cell: shares[cell] for cell in HUNGRY} == {"q0": 0.5, "h0": 1.0}, "the next larger share"
    assert {cell: shares[cell] for cell in SHARES.keys() - HUNGRY} == {
        cell: share for cell, share in SHARES.items() if cell not in HUNGRY
    }
    assert starts[0] == ("w0", 1.0), "the largest first"
    assert {event["gpus"] for event in events if event["event"] == "starts"} == {"0"}
