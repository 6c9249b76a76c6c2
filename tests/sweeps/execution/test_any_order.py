"""Whatever happens to a sweep, in any order: every cell is trained once, and none that is done is lost.

A machine of Hypothesis plays the world around the plan, the queue and a folder of cells on disk: attempts end
well, fail, run out of memory or die, the driver is killed, the grid grows and shrinks, and cells are pruned.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as played
from test_cell_queue import COST, DATA, FINISHED, RECIPE, Watcher

from sweeps.execution.cell_queue import LOSSES, CellQueue, Control
from sweeps.execution.devices import Devices
from sweeps.execution.placement import Node
from sweeps.planning import history, plan, prune
from sweeps.planning.resources import Resources, larger_share
from sweeps.processes.stop import Stop
from transfusion.cell import Cell
from transfusion.records import attempts, results

SCRATCH = Cell(architecture="cbr_tiny", train_images=64)
GRID = [
    SCRATCH,
    dataclasses.replace(SCRATCH, train_images=128),
    dataclasses.replace(SCRATCH, init="photos"),
    dataclasses.replace(SCRATCH, init="photos", freeze="backbone"),
    dataclasses.replace(SCRATCH, init="consolidation"),
    dataclasses.replace(SCRATCH, architecture="resnet18", init="photos"),
]
SHARES = {"cbr_tiny": 0.25, "resnet18": 0.5}
ONE_GPU = Resources(device="cuda", cpus=1, cores=(8,), gpus=(1.0,))
PARTS_OF_GRID = st.sets(st.sampled_from(range(len(GRID))), min_size=1)


class World(RuleBasedStateMachine):
    """What is true.

    Attributes:
        results, folders: what lies on disk: how cells ended, and those that have begun.
        finished: `results`, without the failures that the driver tries again.
        exhausted: the share of a device at which a cell ran out of memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out = Path(tempfile.mkdtemp())
        self.cells = self.out / "cells"
        self.results: dict[str, str] = {}
        self.folders: set[str] = set()
        self.exhausted: dict[str, float] = {}
        self.trials = 0

    def teardown(self) -> None:
        shutil.rmtree(self.out)

    # -- drivers

    @initialize(grid=PARTS_OF_GRID)
    def first_driver(self, grid: set[int]) -> None:
        self._drive(grid, retry=False)

    @rule(grid=PARTS_OF_GRID, retry=st.booleans())
    def killed_and_started_again(self, grid: set[int], retry: bool) -> None:
        """The next driver may want more or less."""
        self._drive(grid, retry)

    @precondition(lambda self: not self.running)
    @rule(grid=PARTS_OF_GRID)
    def pruned(self, grid: set[int]) -> None:
        """Asked twice, what neither a plan nor the last executed one names is gone, and nothing else."""
        found = history.read(self.cells)
        work = self._plan(grid, found)
        expected = self.folders - {planned.id for planned in work.cells} - self.planned.keys()
        first = prune.prune(work, found, self.out)
        assert set(first.removed or first.listed) == expected
        if first.listed:
            assert set(prune.prune(work, found, self.out).removed) == expected
        self.folders -= expected
        assert {folder.name for folder in self.cells.glob("*")} == self.folders
        for one in expected:
            self.results.pop(one, None)
            self.exhausted.pop(one, None)

    def _plan(self, grid: set[int], found: history.History) -> plan.Plan:
        wanted = [GRID[number] for number in sorted(grid)]
        work = plan.make(wanted, RECIPE, DATA, found, COST, share_of=lambda cell: SHARES[cell.architecture])
        assert {planned.cell for planned in work.cells if planned.cell.kind == "grid"} == set(wanted)
        return work

    def _drive(self, grid: set[int], retry: bool) -> None:
        found = history.read(self.cells, retry_failed=retry)
        self.work = self._plan(grid, found)
        self.planned = {planned.id: planned for planned in self.work.cells}
        self.finished = {
            one: state
            for one, state in self.results.items()
            if one in self.planned and not (retry and state == "failed")
        }
        assert self.work.states == self.finished, "the plan is what is wanted less what is done"
        assert self.work.begun == self.folders & self.planned.keys() - self.finished.keys()
        plan.write(self.work, self.out / "plan.parquet")
        self.running: dict[str, Any] = {}
        self.losses: Counter[str] = Counter()
        self.queue = CellQueue(
            self.work.missing(),
            states=self.work.states,
            devices=Devices(ONE_GPU, lambda: {"n": Node(cores=8, gpus=1)}),
            record=self._record,
            control=Control(watcher=Watcher(), stop=Stop()),
        )

    # -- attempts

    @rule()
    def an_attempt_starts(self) -> None:
        self._start()

    def _start(self) -> Any:
        self.trials += 1
        trial = f"t{self.trials}"
        found = self.queue.suggest(trial)
        if found == FINISHED:
            assert not self.running
            assert self.finished.keys() == self.planned.keys(), "it ended with cells missing"
        elif found is None:
            assert self.running, "nothing runs, nothing starts, and cells are missing"
        else:
            planned = self.planned[found["cell_id"]]
            assert planned.id not in self.finished, "a finished cell is trained again"
            assert planned.id not in {config["cell_id"] for config in self.running.values()}
            assert planned.upstream is None or self.finished[planned.upstream] == "done"
            if planned.id in self.exhausted:
                assert found["share"] >= larger_share(self.exhausted[planned.id]), "it would run out again"
            assert sum(one["share"] for one in self.running.values()) + found["share"] <= 1
            self.running[trial] = found
            attempts.add(self.cells / planned.id, "started", found["share"])
            self.folders.add(planned.id)
        return found

    def _one(self, data: st.DataObject) -> tuple[str, dict[str, Any]]:
        trial = data.draw(st.sampled_from(sorted(self.running)))
        return trial, self.running[trial]

    @precondition(lambda self: self.running)
    @rule(data=st.data(), status=st.sampled_from(["done", "done", "failed"]))
    def an_attempt_ends(self, data: st.DataObject, status: str) -> None:
        self._end(self._one(data)[0], status)

    def _end(self, trial: str, status: str) -> None:
        config = self.running.pop(trial)
        self._write(self.planned[config["cell_id"]], status, "other" if status == "failed" else None)
        self.queue.on_trial_complete(trial, {"status": status})

    @precondition(lambda self: any(one["share"] < 1 for one in self.running.values()))
    @rule(data=st.data())
    def an_attempt_runs_out_of_memory(self, data: st.DataObject) -> None:
        small = sorted(trial for trial, one in self.running.items() if one["share"] < 1)
        trial = data.draw(st.sampled_from(small))
        config = self.running.pop(trial)
        attempts.add(self.cells / config["cell_id"], "out_of_memory", config["share"])
        self.exhausted[config["cell_id"]] = max(config["share"], self.exhausted.get(config["cell_id"], 0))
        self.queue.on_trial_complete(trial, {"status": "out_of_memory"})

    @precondition(lambda self: self.running)
    @rule(data=st.data(), deaths=st.lists(st.booleans(), min_size=1, max_size=LOSSES + 4))
    def a_process_dies_again_and_again(self, data: st.DataObject, deaths: list[bool]) -> None:
        """It has failed after more than `LOSSES` deaths without an epoch (True) between them, not before."""
        trial, config = self._one(data)
        one = config["cell_id"]
        for after_an_epoch in deaths:
            if after_an_epoch:
                self.losses[one] = 0
                self.queue.on_trial_result(trial, {"epoch": 1, "epochs": 2})
            del self.running[trial]
            self.losses[one] += 1
            self.queue.on_trial_complete(trial, error=True)
            self.queue.lost(trial, "ActorDiedError: gone")
            assert (one in self.finished) == (self.losses[one] > LOSSES)
            trial = f"t{self.trials + 1}"
            if one in self.finished or self._start() is None or self.running[trial]["cell_id"] != one:
                return

    # -- the disk

    def _record(self, planned: plan.PlannedCell, failure: Any, error: str) -> None:
        if failure == "upstream":
            assert self.finished[str(planned.upstream)] == "failed"
        self._write(planned, "failed", failure)

    def _write(self, planned: plan.PlannedCell, status: Any, failure: Any) -> None:
        assert planned.id not in self.finished, "a cell finishes twice"
        results.write_result(
            self.cells / planned.id,
            results.Origin(cell=planned.cell, recipe=RECIPE, fingerprint=DATA),
            results.Outcome(status=status, failure=failure),
            environment={"device": "cpu"}, started="", finished="",
        )  # fmt: skip
        self.finished[planned.id] = self.results[planned.id] = status
        self.folders.add(planned.id)

    @invariant()
    def what_has_finished_is_on_disk(self) -> None:
        there = {file.parent.name for file in self.cells.glob(f"*/{results.RESULT}")}
        assert there == self.results.keys()

    @rule()
    def all_goes_well_to_the_end(self) -> None:
        for _ in range(4 * len(GRID)):
            if self._start() == FINISHED:
                return
            if self.running:
                self._end(next(iter(self.running)), "done")
        raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("examples", [15, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "many"])
def test_every_cell_is_trained_once_whatever_happens(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is cut here
    how = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        derandomize=examples < 100,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    played(World, settings=how)
