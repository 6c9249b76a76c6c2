"""The order of cells, and what follows from each end of an attempt."""

import dataclasses
import time
from pathlib import Path

import pytest

from sweeps.execution.absence import LIMIT
from sweeps.execution.cell_queue import LOSSES, NODE_LOSSES, CellQueue, Control
from sweeps.execution.devices import Devices
from sweeps.execution.placement import Node
from sweeps.planning import history, plan
from sweeps.planning.cost import CostModel
from sweeps.planning.resources import Resources
from sweeps.presets import demo
from sweeps.processes.stop import Stop
from transfusion.cell import Cell, cell_id, upstream_of

DATA, RECIPE = "fingerprint", demo().recipe
COST = CostModel(device="cpu", evaluation_images=100, selection_images=20)
SCRATCH = Cell(architecture="cbr_tiny", train_images=64)
TUNED = dataclasses.replace(SCRATCH, init="photos")
FINISHED = CellQueue.FINISHED
GPUS = Resources(device="cuda", cpus=1, cores=(64,), gpus=(64.0,))


class Watcher:
    def __init__(self):
        self.events = []

    def epoch(self, cell_id, done, of):
        self.events.append((cell_id, done, of))

    def finished(self, cell_id, status):
        self.events.append((cell_id, status))

    def waits(self, text):
        self.events.append(text)


class Sweep:
    """A queue, and what it told the world."""

    def __init__(self, wanted, share=1.0, done=(), failed=(), nodes=None, **options):
        nothing = history.History(Path("/nonexistent"))
        self.work = plan.make(
            wanted, RECIPE, DATA, nothing, COST, share_of=share if callable(share) else lambda cell: share
        )
        self.ids = {planned.cell: planned.id for planned in self.work.cells}
        self.recorded, self.watcher, self.stop = [], Watcher(), Stop()
        missing = [one for one in self.work.cells if one.id not in {*done, *failed}]
        self.queue = CellQueue(
            missing,
            devices=Devices(GPUS, lambda: {"n": Node(cores=64, gpus=64)} if nodes is None else nodes),
            states={**dict.fromkeys(done, "done"), **dict.fromkeys(failed, "failed")},
            record=self.record,
            control=Control(watcher=self.watcher, stop=self.stop, **options),
        )

    def record(self, planned, failure, error):
        self.recorded.append((planned.cell, failure, error))

    def next(self, trial):
        found = self.queue.suggest(trial)
        return found if found is None or found == FINISHED else Cell(**found["cell"])

    def ends(self, trial, status):
        self.queue.on_trial_complete(trial, {"status": status})

    def dies(self, trial, error="ActorDiedError: gone"):
        self.queue.on_trial_complete(trial, error=True)
        self.queue.lost(trial, error)


def test_a_cell_waits_for_its_upstream_and_the_others_do_not():
    sweep = Sweep([SCRATCH, TUNED])
    assert sweep.next("t1") == upstream_of(TUNED, RECIPE)
    assert sweep.next("t2") == SCRATCH
    assert sweep.next("t3") is None
    sweep.ends("t2", "done")
    assert sweep.next("t3") is None
    sweep.ends("t1", "done")
    assert sweep.next("t3") == TUNED
    assert sweep.next("t4") is None, "the last one may have to be tried again"
    sweep.ends("t3", "done")
    assert sweep.next("t4") == FINISHED


@pytest.mark.parametrize(
    ("share", "nodes", "at_once"),
    [
        (1.0, {"n": Node(cores=64, gpus=1)}, 1),
        (0.5, {"n": Node(cores=64, gpus=1)}, 2),
        (0.5, {"n": Node(cores=1, gpus=1)}, 1),
        (0.25, {"a": Node(cores=64, gpus=1), "b": Node(cores=2, gpus=1)}, 4 + 2),
        (0.5, {}, 0),
        (0.25, {"n": Node(cores=64, gpus=0)}, 0),
    ],
)
def test_a_cell_that_fits_nowhere_is_kept_until_something_ends(share, nodes, at_once):
    sweep = Sweep([dataclasses.replace(SCRATCH, seed=seed) for seed in range(8)], share, nodes=nodes)
    found = [sweep.next(str(trial)) for trial in range(8)]
    assert found[at_once:] == [None] * (8 - at_once), "neither handed out, nor the end"
    assert {cell.seed for cell in found[:at_once]} | {one.cell.seed for one in sweep.queue.waiting} == set(
        range(8)
    )
    if at_once:
        sweep.ends("0", "done")
        assert sweep.next("8") is not None
        assert sweep.next("9") is None


def test_what_waits_for_a_failed_upstream_fails_with_it():
    sweep = Sweep([TUNED, SCRATCH])
    assert sweep.next("t1").kind == "upstream"
    sweep.ends("t1", "failed")
    assert sweep.next("t2") == SCRATCH
    assert [(cell, failure) for cell, failure, _ in sweep.recorded] == [(TUNED, "upstream")]
    assert (sweep.ids[TUNED], "failed") in sweep.watcher.events
    sweep.ends("t2", "done")
    assert sweep.next("t3") == FINISHED


@pytest.mark.parametrize("state", ["done", "failed"])
def test_an_upstream_of_an_earlier_run_is_not_waited_for(state):
    upstream = cell_id(upstream_of(TUNED, RECIPE), RECIPE, DATA)
    sweep = Sweep([TUNED], **{state: {upstream}})
    if state == "done":
        assert sweep.next("t1") == TUNED
    else:
        assert sweep.next("t1") == FINISHED
        assert sweep.recorded[0][:2] == (TUNED, "upstream")


def test_large_cells_and_what_much_waits_for_come_first():
    wanted = demo().cells()
    sweep = Sweep(wanted)
    first = [sweep.next(str(i)) for i in range(20)]
    assert all(cell.kind == "upstream" for cell in first[:4])
    scratch = [cell for cell in first if cell.kind == "grid"]
    assert scratch
    assert scratch[0].train_images == max(cell.train_images for cell in wanted)


def test_only_a_finished_cell_tells_how_fast_the_machine_is():
    now = [0.0]
    sweep = Sweep([dataclasses.replace(SCRATCH, seed=seed) for seed in range(3)])
    sweep.queue.devices.clock = lambda: now[0]
    expected = sweep.queue.waiting[0].seconds
    for trial in "abc":
        sweep.next(trial)
    now[0] = 3 * expected
    sweep.ends("a", "failed")
    sweep.ends("b", "out_of_memory")
    assert sweep.queue.devices.placement.pace == 1
    sweep.ends("c", "done")
    assert sweep.queue.devices.placement.pace == pytest.approx(3)


def test_the_largest_share_comes_first():
    cells = [dataclasses.replace(SCRATCH, seed=seed, train_images=512 - 64 * seed) for seed in range(4)]
    sweep = Sweep(cells, share=lambda cell: (0.25, 0.5, 0.25, 1.0)[cell.seed])
    assert [sweep.next(str(trial)).seed for trial in range(4)] == [3, 1, 0, 2]


def test_out_of_memory_is_tried_again_at_the_next_larger_share():
    sweep = Sweep([SCRATCH], share=0.25)
    shares = []
    for trial in ("t1", "t2", "t3"):
        found = sweep.queue.suggest(trial)
        shares.append(found["share"])
        sweep.ends(trial, "out_of_memory" if trial != "t3" else "failed")
    assert shares == [0.25, 0.5, 1.0]
    assert sweep.next("t4") == FINISHED
    assert sweep.watcher.events == [(sweep.ids[SCRATCH], "failed")], "no failure before the last"


def test_a_lost_process_is_tried_again_at_the_same_share_and_progress_forgives():
    sweep = Sweep([SCRATCH], share=0.25)
    for attempt in range(LOSSES + 1):
        assert sweep.queue.suggest(f"a{attempt}")["share"] == 0.25
        if attempt == 2:
            sweep.queue.on_trial_result("a2", {"epoch": 1, "epochs": 6})
        sweep.dies(f"a{attempt}")
    assert sweep.recorded == [], "one death came before a finished epoch"
    assert sweep.next("last") == SCRATCH
    sweep.dies("last")
    assert sweep.next("again") == SCRATCH, "five in a row, the sixth would be too many"


def test_what_is_tried_again_comes_before_what_waits():
    sweep = Sweep([dataclasses.replace(SCRATCH, seed=seed) for seed in range(3)], share=0.25)
    first = sweep.next("a")
    sweep.dies("a")
    assert sweep.next("b") == first
    sweep.ends("b", "out_of_memory")
    assert sweep.next("c") == first


def test_a_cell_whose_process_always_dies_fails_in_the_end():
    sweep = Sweep([SCRATCH])
    for attempt in range(LOSSES + 1):
        assert sweep.next(str(attempt)) == SCRATCH
        sweep.dies(str(attempt))
    assert sweep.next("end") == FINISHED
    cell, failure, error = sweep.recorded[0]
    assert (cell, failure) == (SCRATCH, "lost")
    assert "ActorDiedError: gone" in error


def test_a_worker_that_the_memory_monitor_killed_gets_a_larger_share():
    sweep = Sweep([SCRATCH], share=0.25)
    sweep.next("t1")
    sweep.dies(
        "t1", "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory."
    )
    assert sweep.queue.suggest("t2")["share"] == 0.5


def test_a_storage_error_stops_the_sweep_and_records_nothing():
    sweep = Sweep([SCRATCH, dataclasses.replace(SCRATCH, seed=1)])
    sweep.next("t1")
    sweep.queue.on_trial_complete("t1", {"status": "storage", "error": "/out: No space left on device"})
    assert sweep.stop.reason == "storage: /out: No space left on device"
    assert sweep.next("t2") == FINISHED
    assert (sweep.recorded, sweep.watcher.events) == ([], [])


@pytest.mark.parametrize("status", ["unfit", "other_code", "lost_out"])
def test_what_no_cell_is_to_blame_for_stops_the_sweep_and_records_nothing(status):
    sweep = Sweep([SCRATCH, dataclasses.replace(SCRATCH, seed=1)])
    sweep.next("t1")
    sweep.queue.on_trial_complete("t1", {"status": status, "error": "the driver is too old"})
    assert sweep.stop.reason == "the driver is too old"
    assert sweep.next("t2") == FINISHED
    assert (sweep.recorded, sweep.watcher.events) == ([], [])


def test_one_failure_stops_the_others_only_when_asked():
    other = dataclasses.replace(SCRATCH, seed=1)
    for fail_fast in (False, True):
        sweep = Sweep([SCRATCH, other], fail_fast=fail_fast)
        sweep.next("t1")
        sweep.ends("t1", "failed")
        assert bool(sweep.stop.reason) == fail_fast
        assert (sweep.next("t2") == FINISHED) == fail_fast


def test_after_a_request_to_stop_nothing_new_starts_and_cut_off_trials_are_no_failures():
    sweep = Sweep([SCRATCH, TUNED])
    sweep.next("t1")
    sweep.stop.request("SIGINT", by_signal=True)
    assert sweep.next("t2") == FINISHED
    sweep.ends("t1", "interrupted")
    assert (sweep.recorded, sweep.watcher.events) == ([], [])


@pytest.mark.parametrize(
    "word",
    [
        "The actor is dead because its node has died. Node Id: f00 the node was preempted",
        "\tip: 10.0.0.7\nThe node was drained before its deadline",
    ],
)
def test_a_worker_that_is_taken_back_is_no_crash(word):
    sweep = Sweep([SCRATCH])
    for attempt in range(10 * LOSSES):
        assert sweep.next(f"t{attempt}") == SCRATCH
        sweep.dies(f"t{attempt}", word)
    assert sweep.recorded == []


def test_a_node_may_die_more_often_than_a_process_but_not_for_ever():
    sweep, word = Sweep([SCRATCH]), "The actor died because its node has died."
    attempts = 0
    while not sweep.recorded:
        assert sweep.next(f"t{attempts}") == SCRATCH
        sweep.dies(f"t{attempts}", word)
        attempts += 1
    assert NODE_LOSSES < attempts < 2 * NODE_LOSSES


def test_a_cluster_whose_last_gpu_leaves_is_waited_for_with_words_and_not_for_ever():
    """Also where a trial was handed out to a node that left: Tune would wait for another in silence."""
    there, begun = {"n": Node(cores=64, gpus=1)}, time.monotonic()
    now = [begun]
    sweep = Sweep([SCRATCH, dataclasses.replace(SCRATCH, seed=1)], nodes=there)
    sweep.queue.devices.clock = sweep.queue.absence.clock = lambda: now[0]
    assert sweep.next("t1") == SCRATCH
    assert sweep.next("t2") is None
    assert sweep.watcher.events == [], "the GPU is there, and busy"
    there.clear()
    while not sweep.stop.reason:
        now[0] += 10
        found = sweep.next("t2")
    assert found is None
    assert "waiting for a node with a GPU and 1 core to join the cluster" in sweep.watcher.events[0]
    assert "the same command then continues" in sweep.watcher.events[0]
    assert now[0] - begun == pytest.approx(LIMIT, abs=30)
    assert sweep.next("t3") == FINISHED
    assert sweep.recorded == [], "no cell has failed by it"
