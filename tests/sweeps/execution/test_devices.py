"""Devices that come and go: what an autoscaler is asked for, and on which GPU a trial is taken to run."""

import logging
import os
import random
from contextlib import ExitStack
from dataclasses import replace

import pytest

from sweeps.execution import ray_session
from sweeps.execution.devices import LONGEST_REQUEST, Devices
from sweeps.execution.placement import Node, Place
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import Resources
from transfusion.cell import Cell
from transfusion.study import Machine

GPUS = Resources(device="cuda", cpus=2, cores=(8,), gpus=(2.0,), elastic=True)
CELL = Cell(architecture="cbr_tiny", train_images=1)


def planned(name, share, seconds=100.0):
    return PlannedCell(name, CELL, None, seconds, share)


def test_an_autoscaler_is_asked_for_what_runs_and_could_and_at_the_end_for_nothing():
    now, asked, there = [0.0], [], {}
    devices = Devices(GPUS, lambda: dict(there), asked.append, clock=lambda: now[0])
    ready = [planned("whole", 1.0), planned("half", 0.5)]

    def start():
        now[0] += 2.0
        if (found := devices.choose(lambda: ready)) is not None:
            ready.remove(found[0])
            devices.start(found[0].id, *found)
        return found

    assert start() is None
    both = [{"CPU": 2, "GPU": 1.0}, {"CPU": 2, "GPU": 0.5}]
    assert asked == [both]
    assert start() is None
    assert asked == [both], "what has been asked for is not asked for again"
    there["n"] = Node(cores=8, gpus=1)
    assert start()[0].id == "whole"
    assert start() is None
    assert asked == [both], "what runs is still needed"
    devices.end("whole", finished=True)
    assert start()[0].id == "half"
    assert asked[-1] == both[1:]
    devices.close()
    assert asked[-1] == []


def test_nodes_are_looked_at_every_two_seconds_and_not_for_every_cell():
    now, looks = [100.0], []
    devices = Devices(GPUS, lambda: looks.append(now[0]) or {}, clock=lambda: now[0])
    for now[0] in (100.0, 101.9, 102.0, 103.9, 104.1):
        devices.choose(list)
    assert looks == [100.0, 102.0, 104.1]


def test_a_request_has_an_end():
    asked = []
    devices = Devices(GPUS, dict, asked.append, clock=iter(range(0, 100, 10)).__next__)
    devices.choose(lambda: [planned(str(n), 1.0) for n in range(2 * LONGEST_REQUEST)])
    assert len(asked[0]) == LONGEST_REQUEST


def test_a_trial_is_where_ray_says_that_it_is():
    """Ray names GPUs as it likes; both halves lie on one, and the other stays whole."""
    devices = Devices(GPUS, lambda: {"n": Node(cores=8, gpus=2)}, clock=lambda: 0.0)
    for name in "ab":
        found = devices.choose(lambda name=name: [planned(name, 0.5)])
        assert found[1] == Place("n", 0)
        devices.start(name, *found)
    devices.placed("a", "n", "7")
    devices.placed("b", "n", "3")
    assert devices.choose(lambda: [planned("whole", 1.0)]) is None, "Ray has put them on two"
    devices.end("b", finished=True)
    assert devices.choose(lambda: [planned("whole", 1.0)])[1] == Place("n", 1)


@pytest.mark.parametrize(("reduced", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_all_cells_compute_in_one_type_also_on_cards_of_which_some_have_no_bfloat16(reduced, precision):
    machine = replace(GPUS, reduced=reduced).machine(0.5)
    assert machine == Machine(device="cuda", threads=2, share=0.5, precision=precision)


@pytest.mark.parametrize("gpus", [0, 3])
def test_ray_is_told_of_the_gpus_that_torch_counts(monkeypatch, gpus):
    """It asks the driver, which may count others; a trial would wait for them for ever."""
    told = []
    monkeypatch.setattr(ray_session.local_ray, "start", lambda cleanup, options: told.append(options))
    with ExitStack() as cleanup:
        ray_session.start(None, cleanup, gpus)
    assert told[0]["num_gpus"] == gpus


def test_the_next_use_of_ray_in_this_process_finds_what_it_was_before(monkeypatch):
    """A notebook that starts a sweep may start Tune's own experiments after it."""
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "7")
    found = dict(os.environ)
    worker, constants = ray_session.ray._private.worker, ray_session.ray_constants
    printing, clusters = worker.print_to_stdstream, constants.ENABLE_RAY_CLUSTER
    within = []
    level, drawn = logging.getLogger("ray").level, random.getstate()

    def start(cleanup, options):
        within.append(dict(os.environ))
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = "8"
        os.environ["RAY_SET_BY_ITSELF"] = "1"
        logging.getLogger("ray").setLevel(logging.ERROR)
        random.random()

    monkeypatch.setattr(ray_session.local_ray, "start", start)
    with ExitStack() as cleanup:
        ray_session.start(None, cleanup)
        assert worker.print_to_stdstream is not printing
    assert within[0].items() >= ray_session.SETTINGS.items()
    assert dict(os.environ) == found
    assert logging.getLogger("ray").level == level != logging.ERROR
    assert random.getstate() == drawn
    assert worker.print_to_stdstream is printing
    assert clusters == constants.ENABLE_RAY_CLUSTER
