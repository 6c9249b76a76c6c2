"""Which cell starts next, where and when: whole sweeps in simulated time, on GPUs that nobody has to own."""

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.execution.placement import Demand, Node, Place, Placement
from sweeps.planning.resources import SHARES


def run(demands, nodes, ready=None, truth=lambda key: 1.0):
    """Simulates a sweep; returns (key, place, start, end) of every cell in order of start.

    Args:
        demands: by key, the most wanted first.
        ready: when each becomes ready, 0 where nothing is said.
        truth: how many times as long as expected a cell takes.
    """
    ready = ready or {}
    placement = Placement(on_gpu=True, nodes=nodes)
    waiting, events, starts, now = list(demands), [], [], 0.0
    for key, when in ready.items():
        heapq.heappush(events, (when, 0, key))
    while waiting or events:
        asked = [(key, demands[key]) for key in waiting if ready.get(key, 0.0) <= now]
        found = placement.choose(asked, now)
        if found is not None:
            key, place = found
            waiting.remove(key)
            placement.start(key, demands[key], place, now)
            end = now + demands[key].seconds * truth(key)
            heapq.heappush(events, (end, 1, key))
            starts.append((key, place, now, end))
            continue
        assert events, "cells wait, nothing runs, and nothing can start"
        now, kind, key = heapq.heappop(events)
        if kind == 1:
            placement.end(key, now)
    return starts


def use(starts, demands, gpus):
    """Share of the GPUs in use until the first moment when what has not started could not fill them."""
    left = sum(demands[key].gpu for key, *_ in starts)
    until = 0.0
    for key, _, start, _ in starts:
        until = start if left >= gpus else until
        left -= demands[key].gpu
    used = sum(demands[key].gpu * max(0.0, min(end, until) - start) for key, _, start, end in starts)
    return used / (gpus * until)


def sweep(generator, cells):
    """A grid's worth of cells: shares, and durations over a decade."""
    shares = generator.choice([0.25, 0.5, 1.0], cells, p=[0.5, 0.3, 0.2])
    seconds = generator.uniform(60, 600, cells)
    made = [Demand(cores=1, gpu=float(g), seconds=float(s)) for g, s in zip(shares, seconds, strict=True)]
    return dict(enumerate(sorted(made, key=lambda one: (-one.gpu, -one.seconds))))


@pytest.mark.parametrize("gpus", [1, 2, 8])
@pytest.mark.parametrize("wrong", [False, True], ids=["estimates right", "estimates wrong by half"])
def test_gpus_are_used_and_whole_ones_do_not_starve(gpus, wrong):
    generator = np.random.default_rng(gpus)
    nodes = {"n": Node(cores=64, gpus=gpus)}
    for _ in range(5):
        demands = sweep(generator, 40 * gpus)
        whole = [key for key, one in demands.items() if one.gpu == 1]
        ready = {key: float(generator.uniform(0, 1000)) for key in whole[: len(whole) // 2]}
        error = {key: float(generator.uniform(0.5, 1.5)) if wrong else 1.0 for key in demands}
        starts = run(demands, nodes, ready, error.get)
        assert len(starts) == len(demands)
        assert use(starts, demands, gpus) >= 0.9
        longest = max(end - start for *_, start, end in starts)
        before = 0.0
        for key, _, start, _ in starts:
            if key in whole:  # they also wait for one another
                assert start - max(before, ready.get(key, 0.0)) <= 2 * longest
                before = start


@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_a_whole_cell_comes_after_what_runs_and_not_after_all_that_waits(gpus):
    quarters = {f"q{n}": Demand(cores=1, gpu=0.25, seconds=100) for n in range(80)}
    demands = {"w": Demand(cores=1, gpu=1.0, seconds=50), **quarters}
    starts = run(demands, {"n": Node(cores=64, gpus=gpus)}, ready={"w": 10.0})
    assert next(start for key, _, start, _ in starts if key == "w") == 100.0


def test_a_short_cell_fills_the_gap_that_a_whole_one_waits_behind():
    demands = {
        "long": Demand(cores=1, gpu=0.5, seconds=100),
        "whole": Demand(cores=1, gpu=1.0, seconds=10),
        "short": Demand(cores=1, gpu=0.5, seconds=90),
        "longer": Demand(cores=1, gpu=0.5, seconds=110),
    }
    starts = run(demands, {"n": Node(cores=8, gpus=1)})
    assert [(key, start) for key, _, start, _ in starts] == [
        ("long", 0.0), ("short", 0.0), ("whole", 100.0), ("longer", 110.0)
    ]  # fmt: skip


HALF = Demand(cores=1, gpu=0.5, seconds=100)
WHOLE = Demand(cores=1, gpu=1.0, seconds=10)


def behind(placement, seconds, now):
    """Whether half a GPU for so many seconds may start now, before the whole one that waits."""
    short = Demand(cores=1, gpu=0.5, seconds=seconds)
    return placement.choose([("whole", WHOLE), ("short", short)], now) is not None


def test_epochs_that_are_done_tell_better_than_the_plan_when_a_device_is_free():
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=8, gpus=1)})
    placement.start("half", HALF, Place("n", 0), 0.0)
    assert (behind(placement, 70, 20.0), behind(placement, 90, 20.0)) == (True, False), "until 100"
    placement.progress("half", 0.1, 20.0)  # 200 in all
    assert (behind(placement, 170, 20.0), behind(placement, 190, 20.0)) == (True, False)
    placement.progress("half", 0.5, 40.0)  # it has become faster: 80 in all
    assert (behind(placement, 30, 40.0), behind(placement, 50, 40.0)) == (True, False)
    for nothing in (0.0, 1.5):
        placement.progress("half", nothing, 50.0)
        assert (behind(placement, 20, 50.0), behind(placement, 40, 50.0)) == (True, False)
    placement.progress("another", 0.5, 50.0)  # which has ended meanwhile


def test_finished_cells_tell_how_fast_the_machine_is():
    """The first took twice its 100 s: so do others, until their own epochs tell."""
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=8, gpus=1)})
    placement.start("first", HALF, Place("n", 0), 0.0)
    placement.start("cut off", HALF, Place("n", 0), 0.0)
    placement.end("cut off", 5.0, finished=False)
    assert placement.pace == 1
    placement.end("first", 200.0)
    assert placement.pace == 2
    placement.start("told", HALF, Place("n", 0), 200.0)
    placement.progress("told", 0.5, 300.0)  # until 400: 50 s of the plan are 100
    assert (behind(placement, 45, 300.0), behind(placement, 55, 300.0)) == (True, False)
    placement.end("told", 400.0)
    placement.start("untold", HALF, Place("n", 0), 400.0)  # until 600
    assert (behind(placement, 70, 450.0), behind(placement, 80, 450.0)) == (True, False)
    for number in range(2):  # quick ones; the median stays
        placement.start(str(number), HALF, Place("n", 0), 450.0)
        placement.end(str(number), 460.0)
    assert placement.pace == pytest.approx((2 + 0.1) / 2)


def test_what_leaves_enough_for_the_one_that_waits_may_start_however_long():
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=8, gpus=1)})
    placement.start("most", Demand(cores=1, gpu=0.75, seconds=100), Place("n", 0), 0.0)
    quarter = Demand(cores=1, gpu=0.25, seconds=500)
    assert placement.choose([("half", HALF), ("quarter", quarter)], 0.0) == ("quarter", Place("n", 0))


def test_a_reservation_waits_for_cores_as_well():
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=3, gpus=1)})
    placement.start("cores", Demand(cores=2, gpu=0.25, seconds=100), Place("n", 0), 0.0)
    large, quarter = (
        Demand(cores=2, gpu=0.75, seconds=9),
        Demand(cores=1, gpu=0.25, seconds=50),
    )
    assert placement.choose([("large", large), ("quarter", quarter)], 0.0) == ("quarter", Place("n", 0))


def test_each_that_waits_reserves_a_device_of_its_own():
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=8, gpus=2)})
    for gpu in (0, 1):
        placement.start(str(gpu), HALF, Place("n", gpu), 0.0)
    long = Demand(cores=1, gpu=0.5, seconds=500)
    assert placement.choose([("a", WHOLE), ("b", WHOLE), ("long", long)], 0.0) is None
    assert placement.choose([("a", WHOLE), ("long", long)], 0.0) is not None


def test_nodes_of_different_kinds_hold_what_each_has():
    placement = Placement(on_gpu=True, nodes={"a": Node(cores=8, gpus=2), "b": Node(cores=8, gpus=1)})
    places = set()
    for attempt in range(3):
        _, place = placement.choose([(0, WHOLE)], 0.0)
        placement.start(str(attempt), WHOLE, place, 0.0)
        places.add(place)
    assert places == {Place("a", 0), Place("a", 1), Place("b", 0)}
    assert placement.choose([(0, WHOLE)], 0.0) is None


def test_a_reservation_counts_what_runs_on_its_own_node():
    """The node `b` has room for the whole one at 10 s, whatever takes cores of `a` until 100."""
    placement = Placement(on_gpu=True, nodes={"a": Node(cores=8, gpus=1), "b": Node(cores=2, gpus=1)})
    placement.start("on a", HALF, Place("a", 0), 0.0)
    placement.start("on b", Demand(cores=1, gpu=0.5, seconds=10), Place("b", 0), 0.0)
    whole, long = Demand(cores=2, gpu=1.0, seconds=10), Demand(cores=1, gpu=0.5, seconds=150)
    assert placement.choose([("whole", whole), ("long", long)], 0.0) == ("long", Place("a", 0))


def test_cores_are_reserved_and_filled_as_gpus_are():
    """All of the node's cores are wanted, and are free at 100 s; on the way there two are left."""
    placement = Placement(on_gpu=False, nodes={"n": Node(cores=4), "small": Node(cores=1)})
    place = Place("n", None)

    def demand(cores, seconds):
        return Demand(cores=cores, gpu=0.0, seconds=seconds)

    placement.start("runs", demand(2, 100), place, 0.0)
    whole, short, long = ("whole", demand(4, 10)), ("short", demand(2, 100)), ("long", demand(2, 101))
    assert placement.choose([whole, short], 0.0) == ("short", place)
    assert placement.choose([whole, long], 0.0) is None
    three = ("three", demand(3, 10))
    assert placement.choose([three, ("one", demand(1, 500))], 0.0) == ("one", Place("small", None))
    placement.start("fills", demand(1, 500), Place("small", None), 0.0)
    assert placement.choose([three, ("one", demand(1, 500))], 0.0) == ("one", place), "leaves three"
    assert placement.choose([three, long], 0.0) is None, "would leave two"
    placement.end("runs", 100.0)
    assert placement.choose([whole], 100.0) == ("whole", place)


def test_small_shares_pack_so_that_a_gpu_stays_whole():
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=8, gpus=2)})
    places = []
    for attempt in range(4):
        _, place = placement.choose([(0, Demand(cores=1, gpu=0.25, seconds=1))], 0.0)
        placement.start(str(attempt), Demand(cores=1, gpu=0.25, seconds=1), place, 0.0)
        places.append(place.gpu)
    assert places == [0, 0, 0, 0]


def test_where_ray_puts_an_attempt_counts():
    placement = Placement(on_gpu=True, nodes={"n": Node(cores=8, gpus=2)})
    half = Demand(cores=1, gpu=0.5, seconds=10)
    for attempt in "ab":
        _, place = placement.choose([(0, half)], 0.0)
        placement.start(attempt, half, place, 0.0)
    placement.placed("b", Place("n", 1))
    whole = Demand(cores=1, gpu=1.0, seconds=1)
    assert placement.choose([(0, whole)], 0.0) is None, "either GPU is half in use"
    placement.end("b", 10.0)
    assert placement.choose([(0, whole)], 10.0) == (0, Place("n", 1))


def test_a_node_that_leaves_takes_its_trials_along():
    placement = Placement(on_gpu=True, nodes={"a": Node(cores=8, gpus=1)})
    whole = Demand(cores=1, gpu=1.0, seconds=10)
    placement.start("t", whole, Place("a", 0), 0.0)
    placement.update({"b": Node(cores=8, gpus=1)})
    assert placement.choose([(0, whole)], 1.0) == (0, Place("b", 0))
    placement.update({})
    assert placement.choose([(0, whole)], 1.0) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(SHARES), st.floats(1, 100), st.floats(0, 200)), min_size=1, max_size=40
    ),
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 3)), min_size=1, max_size=3),
    st.floats(0.3, 3),
)
def test_every_cell_runs_once_and_no_device_holds_more_than_it_has(cells, machines, error):
    demands = {n: Demand(cores=1, gpu=share, seconds=seconds) for n, (share, seconds, _) in enumerate(cells)}
    nodes = {f"n{n}": Node(cores=cores, gpus=gpus) for n, (cores, gpus) in enumerate(machines)}
    ready = {n: when for n, (*_, when) in enumerate(cells)}
    truth = {n: error if n % 2 else 1.0 for n in demands}
    starts = run(demands, nodes, ready, truth.get)
    assert sorted(key for key, *_ in starts) == sorted(demands)
    assert all(place.gpu < nodes[place.node].gpus for _, place, *_ in starts)
    for moment in {start for *_, start, _ in starts}:
        there = [(key, place) for key, place, start, end in starts if start <= moment < end]
        for _place, group in itertools.groupby(sorted(there, key=lambda one: one[1]), lambda one: one[1]):
            assert sum(demands[key].gpu for key, _ in group) <= 1 + 1e-6
        for name, node in nodes.items():
            assert sum(place.node == name for _, place in there) <= node.cores
