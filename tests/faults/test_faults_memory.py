"""Memory that runs out in a trial, and memory that stays flat over many trials of one process."""

import json
import os

import numpy as np
import pytest
from fault_grid import PATIENCE, Witness, before_training, wait_for
from fault_table import judge, note

from transfusion.records import attempts

pytestmark = [pytest.mark.slow, pytest.mark.faults]

STARVED = """
def before(cell, folder):
    import json, os, time, torch
    share = json.loads((folder / "attempts.jsonl").read_text().splitlines()[-1])["share"]
    if share < 1:
        torch.empty(2**60, dtype=torch.uint8)
    if os.environ.get("HANG_AT_LARGE"):
        time.sleep(600)
"""
"""Refuses memory below a whole device."""


def test_out_of_memory_finishes_at_a_larger_share_also_after_a_kill(
    grid_of, undisturbed, fault_folder, record_property
):
    """Without a GPU a share is one of the cores, and memory is refused by the host's allocator."""
    grid = grid_of("memory", inits=("random",))
    witness, starved = Witness(grid), before_training(fault_folder / "starved", STARVED)
    driver = grid.start(env={**starved, "HANG_AT_LARGE": "1"})

    def log():
        return [line for cell in (grid.out / "cells").glob("*") for line in attempts.read(cell)]

    assert wait_for(lambda: len(log()) == 3, driver, grid)
    assert [line["event"] for line in log()] == ["started", "out_of_memory", "started"]
    small, _, large = (line["share"] for line in log())
    assert small < large == 1.0
    driver.kill()
    driver.wait()
    grid.finish(env=starved)
    assert [(line["event"], line["share"]) for line in log()[3:]] == [("started", 1.0)]
    judge(record_property, f"out of memory at a share of {small:g}, kill -9", 2, witness, undisturbed(1))


def test_memory_stays_flat_over_200_trials_of_one_actor(grid_of, record_property):
    """One core, so one slot and one process of Ray, reused; two networks, trained whole and frozen."""
    grid, core = grid_of("long", seeds=25, epochs=1), {min(os.sched_getaffinity(0))}
    driver = grid.start(
        "--architectures", "cbr_tiny", "resnet18", preexec_fn=lambda: os.sched_setaffinity(0, core)
    )
    assert driver.wait(9 * PATIENCE) == 0, grid.log()
    folders = [file.parent for file in (grid.out / "cells").glob("*/result.json")]
    records = sorted((json.loads((one / "result.json").read_text()) for one in folders), key=finished)
    assert len(records) == 200
    assert {record["cell"]["architecture"] for record in records} == {"cbr_tiny", "resnet18"}
    assert {record["cell"]["freeze"] for record in records} == {"none", "backbone"}
    processes = {line["pid"] for one in folders for line in attempts.read(one)}
    used = [record["environment"]["resident_bytes"] for record in records]
    early, late = np.mean(used[20:70]), np.mean(used[150:])
    fault = f"200 trials in one actor: {early / 2**20:.0f} MiB, then {late / 2**20:.0f} MiB"
    note(record_property, fault, "-", len(records))
    assert len(processes) == 1, "Tune did not reuse its actor"
    assert abs(late - early) <= 0.05 * early


def finished(record):
    return record["finished"]
