"""Killed drivers and trials, lost nodes: nothing finished is lost, nothing is trained twice, same bits."""

import dataclasses
import signal
import threading
import time

import numpy as np
import pytest
from fault_grid import Grid, Witness, assert_same_bits

from transfusion import phantom
from transfusion.cell import Cell
from transfusion.fitting import Hooks
from transfusion.trial import run_trial

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def grid_of(folder):
    data = phantom.write(folder / "phantom", images=600, size=48)
    return lambda name, seeds=1: Grid(folder / name, data, folder / "cache", seeds)


@pytest.fixture(scope="module")
def undisturbed(grid_of):
    """An undisturbed run, extended to as many seeds as a test has come to."""

    def run(seeds):
        grid = grid_of("undisturbed", seeds)
        done = grid.run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(grid.finished()) >= grid.wanted()
        return grid

    return run


def test_20_kills_of_the_driver(grid_of, undisturbed, record_property):
    draw = np.random.default_rng(1)
    grid, kills = grid_of("drivers", seeds=3), 0
    witness, wasted = Witness(grid), 0
    while kills < 20:
        driver = grid.start()
        began, allowed = witness.look(), draw.uniform(1, 25)
        try:
            assert driver.wait(timeout=allowed) == 0, grid.log()[-3000:]
            grid = dataclasses.replace(grid, seeds=grid.seeds + 2)
            witness.grid = grid
        except Exception as error:
            if type(error).__name__ != "TimeoutExpired":
                raise
            driver.kill()
            driver.wait()
            kills += 1
            wasted += witness.look() == began
    last = grid.run()
    assert last.returncode == 0, last.stdout + last.stderr
    assert witness.look() == grid.wanted()
    assert grid.processes() == [], "no process of ours survives"
    starts = grid.starts()
    reference = undisturbed(grid.seeds)
    assert_same_bits(grid, reference)
    record_property(
        "fault",
        f"20 kills -9 of the driver ({wasted} before anything finished): {grid.wanted()} cells, "
        f"{sum(starts.values()) - grid.wanted()} interrupted attempts, none lost or trained twice, same bits",
    )


def test_20_kills_of_trial_processes(grid_of, undisturbed, record_property):
    draw = np.random.default_rng(2)
    grid = grid_of("trials", seeds=12)
    witness, kills = Witness(grid), 0
    driver = grid.start()
    while kills < 20 and driver.poll() is None:
        finished = witness.look()
        if running := grid.trials():
            time.sleep(draw.uniform(0, 1))
            running[draw.integers(len(running))].kill()
            kills += 1
        patience = time.monotonic() + 60
        while driver.poll() is None and witness.look() == finished and time.monotonic() < patience:
            time.sleep(0.1)
    assert driver.wait(timeout=300) == 0, grid.log()[-3000:]
    assert kills == 20, "the grid ended before all kills; give it more seeds"
    assert witness.look() == grid.wanted()
    assert_same_bits(grid, undisturbed(grid.seeds))
    extra = sum(grid.starts().values()) - grid.wanted()
    record_property(
        "fault",
        f"20 kills -9 of trial processes: {grid.wanted()} cells, {extra} attempts repeated, same bits",
    )


def test_5_losses_of_a_node(grid_of, undisturbed, record_property):
    from ray.cluster_utils import Cluster

    draw = np.random.default_rng(3)
    grid = grid_of("nodes", seeds=24)
    witness, losses = Witness(grid), 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        driver = grid.start("--address", cluster.address)
        while losses < 5 and driver.poll() is None:
            finished, patience = witness.look(), time.monotonic() + 90
            while driver.poll() is None and witness.look() < finished + 3 and time.monotonic() < patience:
                time.sleep(0.1)
            time.sleep(draw.uniform(0, 2))
            cluster.remove_node(node, allow_graceful=False)
            losses += 1
            node = cluster.add_node(num_cpus=1)
        assert driver.wait(timeout=300) == 0, grid.log()[-3000:]
    finally:
        cluster.shutdown()
    assert losses == 5, "the grid ended before all losses; give it more seeds"
    assert witness.look() == grid.wanted()
    assert_same_bits(grid, undisturbed(grid.seeds))
    record_property(
        "fault",
        f"5 losses of one of two nodes: {grid.wanted()} cells, no finished one trained twice, same bits",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_what_runs(grid_of, number, record_property):
    """Long cells, interrupted in the middle, leave their checkpoints."""
    grid = grid_of(f"signal-{number.name}", seeds=1)
    slow = ("--inits", "random", "--seeds", "2", "--train-images", "128")
    driver = grid.start(*slow, "--recipe", "epochs=400")
    patience = time.monotonic() + 400
    while not any(grid.starts().values()) and time.monotonic() < patience:
        time.sleep(0.2)
    time.sleep(6)
    assert driver.poll() is None, grid.log()[-3000:]
    driver.send_signal(number)
    assert driver.wait(timeout=45) == 130, grid.log()[-3000:]
    assert "the same command continues" in grid.log()
    assert "2 left" in grid.log()
    assert grid.processes() == []
    saved = list((grid.out / "cells").glob("*/checkpoint.pt"))
    assert saved, "no running trial saved its state"
    record_property("fault", f"{number.name}: status 130, {len(saved)} checkpoints saved, no process left")


def test_two_signals_stop_at_once(grid_of, record_property):
    grid = grid_of("twice", seeds=2)
    driver = grid.start()
    patience = time.monotonic() + 400
    while not any(grid.starts().values()) and time.monotonic() < patience:
        time.sleep(0.1)
    driver.send_signal(signal.SIGINT)
    driver.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert driver.wait(timeout=30) == 130
    assert grid.processes() == []
    record_property(
        "fault", f"two signals: status 130 after {time.monotonic() - began:.1f} s, no process left"
    )


def test_extending_from_1_seed_to_3_trains_exactly_the_new_cells(grid_of, record_property):
    grid = grid_of("extended", seeds=1)
    assert grid.run().returncode == 0
    before, starts = grid.finished(), grid.starts()
    grid = dataclasses.replace(grid, seeds=3)
    done = grid.run()
    assert done.returncode == 0, done.stdout + done.stderr
    after = grid.finished()
    assert {one: after[one] for one in before} == before
    assert {one: grid.starts()[one] for one in starts} == starts
    assert len(after) - len(before) == 2 * len(before)
    assert all(count == 1 for count in grid.starts().values())
    record_property(
        "fault", f"extended from 1 seed to 3: {len(before)} cells kept, {len(after) - len(before)} trained"
    )


def test_memory_stays_flat_over_200_trials_in_one_process(
    table, image_folder, tmp_path, quick, record_property
):
    """As in an actor that Tune reuses: trial after trial in a thread that is not the main one."""
    recipe = dataclasses.replace(quick, epochs=1, range_test_steps=3)
    used = []

    def trials():
        for seed in range(200):
            cell = Cell(architecture="cbr_tiny", train_images=16, seed=seed)
            record = run_trial(cell, recipe, table, cells=tmp_path, cache=image_folder, hooks=Hooks())
            used.append(record["environment"]["resident_bytes"])

    thread = threading.Thread(target=trials)
    thread.start()
    thread.join()
    assert len(used) == 200
    early, late = np.mean(used[20:70]), np.mean(used[150:])
    record_property(
        "fault", f"200 trials in one process: {early / 2**20:.0f} MiB early, {late / 2**20:.0f} MiB late"
    )
    assert abs(late - early) <= 0.05 * early
