"""Ray Tune runs the missing cells: one experiment, one trial an attempt, upstream cells before dependents.

Tune's own state is disposable. What is finished is what lies on disk, so a run is always "wanted minus done".
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter

from sweeps.execution import autoscaling
from sweeps.execution.cell_queue import PLACED, CellQueue, Control
from sweeps.execution.devices import Devices
from sweeps.execution.stopper import Stopper
from sweeps.planning.gpus import unfit
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.planning.resources import Resources
from sweeps.processes import which_code
from sweeps.storage.object_store import scratch
from sweeps.storage.places import Places
from transfusion.cell import Cell
from transfusion.records import results
from transfusion.records.code_version import code_version
from transfusion.records.failures import Failure
from transfusion.records.lease import LostError
from transfusion.study import Machine, Study

MOST_TRIALS = 10_000
"""Trials at once as far as Tune is concerned: the queue hands out a cell only where one can start."""


class Relay(tune.Callback):
    """Tells the queue that an attempt's process died, and how."""

    def __init__(self, queue: CellQueue) -> None:
        self.queue = queue

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as CellQueue

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        file = trial.error_file
        text = Path(file).read_text() if file and Path(file).exists() else ""
        self.queue.lost(trial.trial_id, text)


def trainable(
    config: dict[str, Any], *, study: Study, machine: Machine, places: Places, flag: Any, code: str = ""
) -> None:
    """One Tune trial: run a cell, report every epoch and at last its status.

    Args:
        config: what the queue hands out.
        flag: `Stopper.flag`, to be asked whether to stop.
        code: the driver's, which this process must have, too.
    """
    if ray.get(flag.is_up.remote()):
        tune.report({"status": "interrupted"})
        return
    if code and (problem := which_code.unlike(code)):  # a node that joined later
        tune.report({"status": "other_code", "error": problem})
        return
    if machine.device == "cuda":
        tune.report(_place())
        if problem := unfit(machine.precision):
            tune.report({"status": "unfit", "error": f"GPU of {platform.node()}: {problem}"})
            return
    try:
        with _cells(config, places) as (cells, send):
            # Lightning, two seconds of imports that the driver has no use for.
            from transfusion.training.fitting import Hooks
            from transfusion.trial import run_trial

            record = run_trial(
                Cell(**config["cell"]),
                study,
                cells=cells,
                cache=places.cache,
                machine=dataclasses.replace(machine, share=config["share"]),
                hooks=Hooks(
                    report=tune.report,
                    stop=lambda: ray.get(flag.is_up.remote()),
                    saved=send,
                    check=places.look,
                ),
            )
            if record["status"] in ("done", "failed"):
                send()
    except OSError as error:
        tune.report({"status": "storage", "error": str(error)})
        return
    except LostError as error:
        tune.report({"status": "lost_out", "error": str(error)})
        return
    scalars = {name: value for name, value in record["metrics"].items() if value is not None}
    tune.report({**scalars, "status": record["status"]})


def _cells(config: dict[str, Any], places: Places) -> AbstractContextManager[tuple[Path, Callable[[], None]]]:
    """The folder of cells that a trial works in, and what it calls when its records are to be kept."""
    if places.store is None:
        return nullcontext((places.cells, lambda: None))
    return scratch(places.store, config["cell_id"], config["upstream"], places.cache, places.look)


def _place() -> dict[str, str]:
    """The node and the GPU that Ray has given to this trial."""
    context = ray.get_runtime_context()
    gpus = context.get_accelerator_ids().get("GPU", [])
    return {"status": PLACED, "node": context.get_node_id(), "gpu": gpus[0] if gpus else ""}


def execute(work: Plan, study: Study, places: Places, resources: Resources, control: Control) -> None:
    """Run the missing cells of `work` on the Ray that is connected; every outcome lies in OUT afterwards."""
    places = dataclasses.replace(places, out=places.out.resolve(), cache=places.cache.resolve())
    elastic = resources.elastic and autoscaling.present()
    devices = Devices(resources, autoscaling.nodes, autoscaling.ask if elastic else None)
    queue = CellQueue(
        work.missing(),
        states=work.states,
        devices=devices,
        record=partial(_record_failure, study, places),
        control=control,
    )
    stopper = Stopper(control.stop)
    function = tune.with_parameters(
        trainable,
        study=study,
        machine=resources.machine(),
        places=places,
        flag=stopper.flag,
        code=code_version().digest,
    )
    tuner = tune.Tuner(
        tune.with_resources(
            function, lambda config: tune.PlacementGroupFactory([resources.request(config["share"])])
        ),
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(queue, max_concurrent=MOST_TRIALS),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"{trial.config['cell_id']}-{trial.trial_id[-5:]}",
        ),
        run_config=tune.RunConfig(
            name=time.strftime("run-%Y%m%d-%H%M%S"),
            storage_path=str(places.out / "tune"),
            callbacks=[Relay(queue), *control.callbacks],
            stop=stopper,
            verbose=0,
        ),
    )
    control.stop.executing = True
    try:
        tuner.fit()
    finally:
        control.stop.executing = False
        devices.close()


def _record_failure(study: Study, places: Places, planned: PlannedCell, failure: Failure, error: str) -> None:
    """Write down that a cell could not be trained."""
    from transfusion.trial import write_failure

    places.look()
    folder = places.cells / planned.id
    write_failure(
        planned.cell, study.recipe, study.dataset.fingerprint, folder, failure, error, study.supplied
    )
    if places.store is not None:
        places.store.send(folder / results.RESULT, f"cells/{planned.id}/{results.RESULT}")
