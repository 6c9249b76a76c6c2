"""A driver killed at random moments, and a grid that grows: nothing finished is lost or trained twice."""

import dataclasses
import time

import numpy as np
import pytest
from fault_grid import Witness, wait_for
from fault_table import judge, note

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def test_extending_from_1_seed_to_3_trains_exactly_the_new_cells(grid_of, record_property):
    grid = grid_of("extended")
    grid.finish()
    before, starts = grid.finished(), grid.starts()
    grid = dataclasses.replace(grid, seeds=3)
    grid.finish()
    after = grid.finished()
    assert {one: after[one] for one in before} == before
    assert len(after) - len(before) == 2 * len(before) == 8
    assert {one: grid.starts()[one] for one in starts} == starts
    assert all(count == 1 for count in grid.starts().values())
    note(record_property, f"1 seed extended to 3: {len(before)} cells kept", 1, len(after))


def test_kills_of_the_driver(grid_of, undisturbed, kills, record_property):
    """Two of five while Ray starts, the others while cells train or while the report is written."""
    draw = np.random.default_rng(1)
    grid = grid_of("drivers", seeds=2)
    witness, killed = Witness(grid), 0
    while killed < kills:
        began = grid.attempts()
        driver = grid.start()
        if killed % 5 < 2:
            time.sleep(draw.uniform(0, 12))
        else:
            wait_for(lambda one=grid, before=began: one.attempts() > before, driver, grid)
            time.sleep(draw.uniform(0, 5))
        if driver.poll() is None:
            driver.kill()
            killed += 1
        else:
            assert driver.returncode == 0, grid.log()
        driver.wait()
        if witness.look() == grid.wanted():
            witness.grid = grid = dataclasses.replace(grid, seeds=grid.seeds + 2)
    grid.finish()
    assert grid.processes() == [], "no process of ours survives"
    judge(record_property, "kill -9 of the driver", killed, witness, undisturbed(grid.seeds))
