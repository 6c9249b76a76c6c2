"""Which cell comes next, and what follows from each end of an attempt.

Tune sees one trial for each *attempt* of a cell. An attempt that ran out of memory is followed by one at the
next larger share, one whose process or node died by one at the same size, from the cell's own checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ray.tune import Callback
from ray.tune.search import Searcher

from sweeps.execution.absence import Absence
from sweeps.execution.devices import Devices
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import larger_share
from sweeps.processes.stop import Stop
from transfusion.records.failures import Failure

LOSSES = 5
"""How often in a row, without a finished epoch in between, a cell's process may die before it has failed."""

NODE_LOSSES = 50
"""How often in a row its node may die. Spot machines are taken back; a cell may also bring its node down."""

TAKEN_BACK = ("preempted", "drained")
"""How Ray tells that a node was taken back (spot, pre-emption, drain): not the cell's fault."""

NODE_DEATHS = ("node has died", "node was terminated", "node died", "NodeDiedError")
"""How Ray tells that the node died, and not the process alone."""

MEMORY_KILLS = ("OutOfMemoryError", "running low on memory", "due to memory pressure")
"""How Ray tells that its memory monitor killed a worker."""

PLACED = "placed"
"""Status of a trial's first report: on which node and GPU it runs."""

Record = Callable[[PlannedCell, Failure, str], None]


class Watcher(Protocol):
    """What the terminal wants to know of a run."""

    def epoch(self, cell_id: str, done: int, of: int) -> None: ...
    def finished(self, cell_id: str, status: str) -> None: ...
    def waits(self, text: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Control:
    """Who watches a run, and what ends it early.

    Attributes:
        stop: its reason says, at the end, whether and why the run ended early.
        fail_fast: ask to stop at the first failure.
        callbacks: further ones of Tune, to watch with.
    """

    watcher: Watcher
    stop: Stop
    fail_fast: bool = False
    callbacks: Sequence[Callback] = ()


class CellQueue(Searcher):
    """Hands Tune the next cell whose upstream is done and that can start at once (`placement`): the largest
    share first, then the most urgent.

    An upstream cell is as urgent as all that waits for it.

    Args:
        states: `done` or `failed` by id, of the cells that finished in earlier runs.
        devices: where cells can start.
        record: writes the failure of a cell that cannot be trained.
    """

    def __init__(
        self,
        cells: Sequence[PlannedCell],
        *,
        states: Mapping[str, str],
        devices: Devices,
        record: Record,
        control: Control,
    ):
        super().__init__(metric="train_loss", mode="min")
        self.devices = devices
        self.done = {one for one, state in states.items() if state == "done"}
        self.failed = set(states) - self.done
        self.record, self.fail_fast = record, control.fail_fast
        self.watcher, self.stop = control.watcher, control.stop
        self.absence = Absence(control.watcher.waits, elastic=devices.ask is not None, clock=devices.clock)
        urgency = {planned.id: planned.seconds for planned in cells}
        for planned in cells:
            if planned.upstream in urgency:
                urgency[planned.upstream] += planned.seconds
        self.waiting = sorted(cells, key=lambda planned: (-planned.share, -urgency[planned.id]))
        self.running: dict[str, PlannedCell] = {}
        self.died: dict[str, PlannedCell] = {}
        self.losses: Counter[str] = Counter()
        self.node_losses: Counter[str] = Counter()
        self.blocked = bool(self.failed)

    # -- what Tune asks and tells

    def suggest(self, trial_id: str) -> Any:
        if self.stop.reason:
            return Searcher.FINISHED
        while self.blocked:
            self._fail_what_waits_for_failed()
        if (found := self.devices.choose(self._ready)) is not None:
            planned, place = found
            self.waiting.remove(planned)
            self.running[trial_id] = planned
            self.devices.start(trial_id, planned, place)
            cell = {name: getattr(planned.cell, name) for name in planned.cell.__slots__}
            return {
                "cell_id": planned.id,
                "cell": cell,
                "share": planned.share,
                "upstream": planned.upstream,
            }
        if not (self.waiting or self.running):
            return Searcher.FINISHED
        if reason := self.absence.heed(self.devices.lacking(self._ready)):
            self.stop.request(reason)
        return None

    def _ready(self) -> Iterator[PlannedCell]:
        """The cells that wait for nothing but a device, in order."""
        return (one for one in self.waiting if one.upstream is None or one.upstream in self.done)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if result.get("status") == PLACED:
            self.devices.placed(trial_id, result["node"], result["gpu"])
        if "epoch" in result and trial_id in self.running:
            planned = self.running[trial_id]
            self.losses[planned.id] = self.node_losses[planned.id] = 0
            self.devices.progress(trial_id, result["epoch"] / result["epochs"])
            self.watcher.epoch(planned.id, result["epoch"], result["epochs"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        planned = self.running.pop(trial_id)
        status = (result or {}).get("status")
        self.devices.end(trial_id, finished=status == "done")
        if status == "done":
            self.done.add(planned.id)
            self.watcher.finished(planned.id, "done")
        elif status == "failed":
            self._failed(planned)
        elif status == "out_of_memory":
            self._again(dataclasses.replace(planned, share=larger_share(planned.share)))
        elif status == "storage":
            self.stop.request(f"storage: {(result or {})['error']}")
        elif status in ("lost_out", "other_code", "unfit"):
            self.stop.request((result or {})["error"])
        elif not self.stop.reason:
            self.died[trial_id] = planned  # what killed it, Tune's callback tells `lost` next
            if not error:
                self.lost(trial_id, "Tune ended the trial before it had finished")

    def lost(self, trial_id: str, error: str) -> None:
        """The process of an attempt died, or its node.

        Args:
            error: what Ray says.
        """
        planned = self.died.pop(trial_id, None)
        if planned is None:
            return
        if any(words in error for words in TAKEN_BACK):
            self._again(planned)
            return
        out_of_memory = any(words in error for words in MEMORY_KILLS)
        if not out_of_memory and any(words in error for words in NODE_DEATHS):
            self.node_losses[planned.id] += 1
            if self.node_losses[planned.id] <= NODE_LOSSES:
                self._again(planned)
                return
        self.losses[planned.id] += 1
        if out_of_memory and planned.share < 1:
            self._again(dataclasses.replace(planned, share=larger_share(planned.share)))
        elif self.losses[planned.id] <= LOSSES:
            self._again(planned)
        else:
            failure: Failure = "out_of_memory" if out_of_memory else "lost"
            last = error.strip().splitlines()[-1] if error.strip() else "no word from Ray"
            self.record(
                planned, failure, f"its process died {self.losses[planned.id]} times in a row: {last}"
            )
            self._failed(planned)

    # -- what follows

    def _again(self, planned: PlannedCell) -> None:
        self.waiting.insert(0, planned)

    def _failed(self, planned: PlannedCell) -> None:
        self.failed.add(planned.id)
        self.blocked = True
        self.watcher.finished(planned.id, "failed")
        if self.fail_fast:
            self.stop.request(f"--fail-fast: cell {planned.id} failed")

    def _fail_what_waits_for_failed(self) -> None:
        self.blocked = False
        victims = [planned for planned in self.waiting if planned.upstream in self.failed]
        self.waiting = [planned for planned in self.waiting if planned.upstream not in self.failed]
        for planned in victims:
            self.record(planned, "upstream", f"its upstream cell {planned.upstream} failed")
            self._failed(planned)

    # -- Tune pickles its searcher into its own state, which nobody reads: the next run plans from disk

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
