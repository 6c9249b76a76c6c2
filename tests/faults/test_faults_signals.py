"""Ctrl-C once and twice, and SIGTERM as batch systems send it: what can be is saved, nothing survives."""

import os
import signal
import time

import pytest
import torch
from fault_grid import Witness, wait_for
from fault_table import judge

from sweeps.processes.stop import GRACE_SECONDS, LAST_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SPARE = 60
"""Seconds beyond the grace that a slow machine may take to end."""
BETWEEN_SECONDS = 0.3
"""From one Ctrl-C to the next: two at the same instant are one to the system."""


def epochs_saved(grid):
    """Cell -> epochs in its checkpoint."""
    files = (grid.out / "cells").glob("*/checkpoint.pt")
    return {file.parent.name: torch.load(file, weights_only=True)["epoch"] for file in files}


def test_signals_end_a_sweep_that_then_continues_as_if_undisturbed(grid_of, record_property):
    axes = {"seeds": 2, "inits": ("random",), "epochs": 300}
    grid, left_alone = grid_of("signals", **axes), grid_of("no-signals", **axes)
    left_alone.finish()
    witness = Witness(grid)

    def interrupted(*numbers, group=False):
        """Start, send the signals while cells train, and return what was printed until the end."""
        before, printed = grid.attempts(), len(grid.whole_log())
        driver = grid.start()
        assert wait_for(lambda: grid.attempts() > before, driver, grid)
        time.sleep(1.5)
        for place, number in enumerate(numbers):
            time.sleep(BETWEEN_SECONDS if place else 0)
            os.killpg(driver.pid, number) if group else driver.send_signal(number)
        assert driver.wait(timeout=GRACE_SECONDS + LAST_SECONDS + SPARE) == 130, grid.log()
        assert grid.processes() == [], "no process of ours survives"
        said = grid.whole_log()[printed:]
        assert "the same command continues" in said
        witness.look()
        return said

    said = interrupted(signal.SIGINT)
    assert "saving what is running" in said
    assert "0 of 2 cells are finished, 2 left" in said
    first = epochs_saved(grid)
    assert first, "no running trial saved its state"

    interrupted(signal.SIGTERM)
    second = epochs_saved(grid)
    assert all(second[cell] > epoch for cell, epoch in first.items()), "it did not continue where it was"

    assert "stopped at once" in interrupted(signal.SIGINT, signal.SIGINT)
    assert epochs_saved(grid).keys() >= second.keys()

    before = epochs_saved(grid)
    interrupted(signal.SIGTERM, group=True)
    assert all(epochs_saved(grid)[cell] > epoch for cell, epoch in before.items()), "nothing was saved"
    grid.finish()
    assert not epochs_saved(grid)
    judge(record_property, "SIGINT; SIGTERM; SIGINT twice; SIGTERM to all", 4, witness, left_alone)
