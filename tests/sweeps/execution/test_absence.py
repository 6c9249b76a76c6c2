"""A cluster that has lost what trials need: the wait is told, and has an end."""

import pytest
from rich.console import Console

from sweeps.execution.absence import LIMIT, LIMIT_ELASTIC, SAY_AFTER, Absence
from sweeps.execution.devices import Devices
from sweeps.execution.placement import Node
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import Resources
from sweeps.running.progress import SweepProgress
from transfusion.cell import Cell

CELL = Cell(architecture="cbr_tiny", train_images=1)
GPUS = Resources(device="cuda", cpus=2, cores=(8,), gpus=(2.0,))
CORES = Resources(device="cpu", cpus=1, cores=(8, 2))


def planned(name, share):
    return PlannedCell(name, CELL, None, 100.0, share)


@pytest.mark.parametrize(
    ("at_hand", "share", "nodes", "lacking"),
    [
        (GPUS, 0.5, {"n": Node(cores=8, gpus=2)}, ""),
        (GPUS, 0.5, {"head": Node(cores=8)}, "a node with a GPU and 2 cores"),
        (GPUS, 0.5, {"n": Node(cores=1, gpus=2)}, "a node with a GPU and 2 cores"),
        (GPUS, 0.5, {}, "a node with a GPU and 2 cores"),
        (CORES, 1 / 8, {"small": Node(cores=2)}, ""),
        (CORES, 1.0, {"small": Node(cores=2)}, "a node with 8 cores"),
        (CORES, 1 / 8, {}, "a node with 1 core"),
    ],
)
def test_what_no_node_has_is_told_and_a_busy_one_lacks_nothing(at_hand, share, nodes, lacking):
    devices = Devices(at_hand, lambda: nodes, clock=lambda: 0.0)
    assert devices.lacking(lambda: [planned("a", share)]) == lacking
    assert devices.lacking(list) == "", "nothing is ready, so nothing is lacking"


def test_the_least_that_would_do_is_lacking():
    devices = Devices(CORES, dict, clock=lambda: 0.0)
    cells = [planned("a", 1.0), planned("b", 1 / 4), planned("c", 1 / 2)]
    assert devices.lacking(lambda: cells) == "a node with 2 cores"


def test_what_was_handed_out_for_a_node_that_left_lacks_one_too():
    now, there = [0.0], {"n": Node(cores=8, gpus=1)}
    devices = Devices(GPUS, lambda: dict(there), clock=lambda: now[0])
    devices.start("t", *devices.choose(lambda: [planned("a", 1.0)]))
    assert devices.lacking(list) == ""
    there.clear()
    now[0] += 10
    devices.choose(list)
    assert devices.lacking(list) == "a node with a GPU and 2 cores"


def test_a_short_absence_is_not_worth_a_word():
    now, said = [100.0], []
    absence = Absence(said.append, elastic=False, clock=lambda: now[0])
    for now[0] in (100.0, 100.0 + SAY_AFTER - 1):
        assert absence.heed("a node with a GPU and 2 cores") == ""
    assert absence.heed("") == ""
    assert said == []


@pytest.mark.parametrize(("elastic", "limit"), [(False, LIMIT), (True, LIMIT_ELASTIC)])
def test_the_wait_is_told_with_its_end_again_and_again_and_ends(elastic, limit):
    now, said, reason = [0.0], [], ""
    absence = Absence(said.append, elastic=elastic, clock=lambda: now[0])
    while not reason:
        reason = absence.heed("a node with a GPU and 2 cores")
        now[0] += 5
    assert limit <= now[0] - 5 < limit + 5
    assert reason.startswith("a node with a GPU and 2 cores has been lacking for ")
    assert f"waiting for a node with a GPU and 2 cores {'from' if elastic else 'to join'}" in said[0]
    assert "for 10 s so far" in said[0]
    left = "25 min" if elastic is False else "12 h"  # of 30 min, or of 12 h
    assert f"for 5 min so far; in {left} without one this ends" in said[5], "310 s have gone by"
    assert len(said) == round(limit / 60)


def test_a_node_that_joins_is_told_and_the_next_wait_begins_anew():
    now, said = [0.0], []
    absence = Absence(said.append, elastic=False, clock=lambda: now[0])
    for now[0] in (0.0, 300.0):
        absence.heed("a node with 1 core")
    now[0] = 330.0
    assert absence.heed("") == ""
    assert said[-1] == "a node has joined after 6 min"
    for now[0] in (1000.0, 1000.0 + LIMIT - 1):
        assert absence.heed("a node with 1 core") == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59, "59 s"), (60, "1 min"), (5399, "90 min"), (5400, "2 h"), (12 * 3600, "12 h")],
)
def test_a_wait_is_told_in_seconds_minutes_or_hours(seconds, words):
    now, said = [0.0], []
    absence = Absence(said.append, elastic=True, clock=lambda: now[0])
    absence.heed("a node with 1 core")
    now[0] = float(seconds)
    absence.heed("")
    assert said == [f"a node has joined after {words}"]


def test_the_terminal_shows_it():
    with Console(record=True, width=200, quiet=False) as console:
        SweepProgress(console, []).waits("no trial can run: [waiting]")
    assert "no trial can run" in console.export_text()
