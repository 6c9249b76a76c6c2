"""Killed trial processes and lost nodes under a driver that lives: same bits, nothing trained twice."""

import dataclasses
import time

import numpy as np
import psutil
import pytest
from fault_grid import PATIENCE, Witness, is_trial, wait_for
from fault_table import judge

from sweeps.execution.stopper import Stopper
from sweeps.processes.stop import Stop

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def grown(witness, driver):
    """The grid ended before all faults were caused: give it more seeds."""
    assert driver.wait() == 0, witness.grid.log()
    witness.grid = dataclasses.replace(witness.grid, seeds=witness.grid.seeds + 6)
    return witness.grid


def test_kills_of_trial_processes(grid_of, undisturbed, kills, record_property):
    """One or both of the running trials at a time, once the last kill has been got over."""
    draw = np.random.default_rng(2)
    grid = grid_of("trials", seeds=12)
    witness, killed = Witness(grid), 0
    driver = grid.start()
    while killed < kills:
        finished = witness.look()
        if not wait_for(lambda one=grid, seen=finished: witness.look() > seen and one.trials(), driver, grid):
            grid = grown(witness, driver)
            driver = grid.start()
            continue
        time.sleep(draw.uniform(0, 1))
        running = grid.trials()
        for victim in draw.permutation(len(running))[: min(draw.integers(1, 3), kills - killed)]:
            running[victim].kill()
            killed += 1
    assert driver.wait(2 * PATIENCE) == 0, grid.log()
    judge(record_property, "kill -9 of a trial's process", killed, witness, undisturbed(grid.seeds))


def test_losses_of_a_node(grid_of, undisturbed, kills, record_property):
    """The second of two nodes, each time while it runs a trial."""
    from ray.cluster_utils import Cluster

    draw = np.random.default_rng(3)
    grid = grid_of("nodes", seeds=18)
    witness, losses = Witness(grid), 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        driver = grid.start("--address", cluster.address)
        while 4 * losses < kills:
            finished = witness.look()
            hit = wait_for(lambda on=node, seen=finished: witness.look() > seen and trains(on), driver, grid)
            if not hit:
                grid = grown(witness, driver)
                driver = grid.start("--address", cluster.address)
                continue
            time.sleep(draw.uniform(0, 2))
            cluster.remove_node(node, allow_graceful=False)
            losses += 1
            node = cluster.add_node(num_cpus=1)
        assert driver.wait(2 * PATIENCE) == 0, grid.log()
    finally:
        cluster.shutdown()
    judge(record_property, "loss of one of two nodes", losses, witness, undisturbed(grid.seeds))


def test_the_last_node_with_a_core_leaves_and_is_waited_for_with_words(grid_of, undisturbed, record_property):
    from ray.cluster_utils import Cluster

    grid = grid_of("no-node", seeds=2)
    witness = Witness(grid)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        driver = grid.start("--address", cluster.address)
        assert wait_for(lambda: witness.look() and trains(node), driver, grid), grid.log()
        cluster.remove_node(node, allow_graceful=False)
        waiting = "no trial can run: waiting for a node with 1 core to join the cluster, for 10 s so far"
        assert wait_for(lambda: waiting in grid.whole_log(), driver, grid, 120), grid.log()
        cluster.add_node(num_cpus=1)
        assert driver.wait(PATIENCE) == 0, grid.log()
    finally:
        cluster.shutdown()
    assert "a node has joined after" in grid.whole_log()
    judge(record_property, "loss of the only node", 1, witness, undisturbed(grid.seeds))


def test_the_flag_that_ends_trials_stands_on_the_drivers_node():
    """Wherever else it stood, a lost node would take it, and every trial after that would fail."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        flags = [Stopper(Stop()).flag for _ in range(5)]
        where = lambda _: ray.get_runtime_context().get_node_id()  # noqa: E731 (a lambda travels by value)
        places = {ray.get(flag.__ray_call__.remote(where)) for flag in flags}
        assert places == {ray.get_runtime_context().get_node_id()}
    finally:
        ray.shutdown()
        cluster.shutdown()


def trains(node):
    """Whether a node of a `Cluster` runs a trial now."""
    (raylet,) = node.all_processes["raylet"]
    try:
        return any(is_trial(child) for child in psutil.Process(raylet.process.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return False
