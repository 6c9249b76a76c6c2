"""Ray Tune runs the missing cells: one experiment, one trial a cell, upstream cells before what needs them.

Tune's own state is disposable. What is finished is what lies on disk, so a run is always "wanted minus done".
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

from sweeps.plan import PlannedCell
from transfusion import results
from transfusion.cell import NOTHING_SUPPLIED, Cell, Recipe, Supplied
from transfusion.table import Table
from transfusion.trial import run_trial, write_failure

RETRIES = 2
"""How often Tune starts a trial again whose process died."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial gets, and how many fit at once."""

    cpus: int
    gpus: float
    slots: int


class Watcher(Protocol):
    """What the terminal wants to know of a run."""

    def epoch(self, cell_id: str, done: int, of: int) -> None: ...
    def finished(self, cell_id: str, record: dict[str, Any] | None) -> None: ...


class CellQueue(Searcher):
    """Hands Tune the next cell whose upstream is done: the most urgent first.

    An upstream cell is as urgent as all that waits for it; one whose upstream failed is recorded as failed.
    """

    def __init__(
        self, cells: Sequence[PlannedCell], done: set[str], upstream_failed: Callable[[PlannedCell], None]
    ):
        super().__init__(metric="train_loss", mode="min")
        self.done, self.failed = set(done), set[str]()
        self.upstream_failed = upstream_failed
        urgency = {planned.id: planned.seconds for planned in cells}
        for planned in cells:
            if planned.upstream in urgency:
                urgency[planned.upstream] += planned.seconds
        self.waiting = sorted(cells, key=lambda planned: -urgency[planned.id])
        self.running: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        for planned in [planned for planned in self.waiting if planned.upstream in self.failed]:
            self.waiting.remove(planned)
            self.upstream_failed(planned)
        for index, planned in enumerate(self.waiting):
            if planned.upstream is None or planned.upstream in self.done:
                del self.waiting[index]
                self.running[trial_id] = planned.id
                cell = planned.cell
                return {"cell_id": planned.id, "cell": {name: getattr(cell, name) for name in cell.__slots__}}
        return None if self.waiting else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        one = self.running.pop(trial_id)
        (self.done if result and result.get("status") == "done" and not error else self.failed).add(one)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher into its own state, which nobody reads

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the next run plans anew from what lies on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class Relay(tune.Callback):
    """Passes Tune's events on to a `Watcher`."""

    def __init__(self, watcher: Watcher, cells: Path) -> None:
        self.watcher, self.cells = watcher, cells

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as CellQueue

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        if "epoch" in result:
            self.watcher.epoch(trial.config["cell_id"], result["epoch"], result["epochs"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self._finished(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self._finished(trial)

    def _finished(self, trial: Any) -> None:
        one = trial.config["cell_id"]
        self.watcher.finished(one, results.read_result(self.cells / one))


def trainable(
    config: dict[str, Any],
    *,
    recipe: Recipe,
    table: Table,
    cells: str,
    cache: str,
    device: str,
    threads: int,
    supplied: Supplied,
    imagenet: Table | None,
) -> None:
    """One Tune trial: run a cell, report every epoch and at last its status."""
    record = run_trial(
        Cell(**config["cell"]),
        recipe,
        table,
        cells=Path(cells),
        cache=Path(cache),
        device=device,
        threads=threads,
        report=tune.report,
        supplied=supplied,
        imagenet=imagenet,
    )
    scalars = {name: value for name, value in record["metrics"].items() if value is not None}
    tune.report({**scalars, "status": record["status"]})


def start_ray(address: str | None) -> None:
    """Connect to the cluster at `address`, or start Ray on this machine alone, quietly."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "120")
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        ray.init(address=address, **quiet)
    else:
        ray.init(include_dashboard=False, **quiet)


def execute(
    cells: Sequence[PlannedCell],
    done: set[str],
    *,
    recipe: Recipe,
    table: Table,
    out: Path,
    cache: Path,
    resources: Resources,
    watcher: Watcher,
    supplied: Supplied = NOTHING_SUPPLIED,
    imagenet: Table | None = None,
) -> None:
    """Run `cells` on the Ray that is connected; every outcome lies in `out / "cells"` afterwards.

    Args:
        done: ids of cells that have finished well, for those that wait for them.
    """
    folder = out / "cells"

    def upstream_failed(planned: PlannedCell) -> None:
        record = write_failure(
            planned.cell,
            recipe,
            table.fingerprint,
            folder / planned.id,
            f"its upstream cell {planned.upstream} failed",
            supplied,
        )
        watcher.finished(planned.id, record)

    queue = CellQueue(cells, done, upstream_failed)
    function = tune.with_parameters(
        trainable,
        recipe=recipe,
        table=table,
        cells=str(folder.resolve()),
        cache=str(cache.resolve()),
        device="cuda" if resources.gpus else "cpu",
        threads=resources.cpus,
        supplied=supplied,
        imagenet=imagenet,
    )
    tuner = tune.Tuner(
        tune.with_resources(function, {"cpu": resources.cpus, "gpu": resources.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(queue, max_concurrent=resources.slots + 1),
            num_samples=len(cells),
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.config["cell_id"],
        ),
        run_config=tune.RunConfig(
            name=time.strftime("run-%Y%m%d-%H%M%S"),
            storage_path=str((out / "tune").resolve()),
            callbacks=[Relay(watcher, folder)],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            verbose=0,
        ),
    )
    tuner.fit()
