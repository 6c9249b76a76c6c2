"""Ray Tune runs the missing cells: one experiment, one trial an attempt, upstream cells before dependents.

Tune's own state is disposable. What is finished is what lies on disk, so a run is always "wanted minus done".
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray._private import ray_constants
from ray.tune.search import ConcurrencyLimiter

from sweeps.execution import autoscaling, worker_code
from sweeps.execution.cell_queue import PLACED, CellQueue, Watcher
from sweeps.execution.devices import Devices
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import Resources
from sweeps.processes.stop import Stop, deaf_children
from sweeps.remote import knock
from sweeps.storage.object_store import ObjectStore, scratch
from transfusion.cell import NOTHING_SUPPLIED, Cell, Recipe, Supplied
from transfusion.data.table import Table
from transfusion.files import unwatched
from transfusion.problems import SettingError
from transfusion.records import results
from transfusion.records.code_version import code_version
from transfusion.records.failures import Failure
from transfusion.records.lease import LostError

MOST_TRIALS = 10_000
"""Trials at once as far as Tune is concerned: the queue hands out a cell only where one can start."""

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "120",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Ray's and Tune's switches: quiet, our own signals, metrics that come and go, and slow ends of trials."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every trial of a sweep shares; Ray stores it once a node.

    Attributes:
        look: at the lease on OUT, before every write there; raises `LostError` where another sweep has it.
    """

    recipe: Recipe
    table: Table
    supplied: Supplied = NOTHING_SUPPLIED
    imagenet: Table | None = None
    look: Callable[[], None] = unwatched


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
    config: dict[str, Any],
    *,
    work: Work,
    cells: str,
    cache: str,
    device: str,
    threads: int,
    flag: Any,
    store: ObjectStore | None = None,
    code: str = "",
) -> None:
    """One Tune trial: run a cell, report every epoch and at last its status."""
    if ray.get(flag.is_up.remote()):
        tune.report({"status": "interrupted"})
        return
    if code and (problem := worker_code.unlike(code)):  # a node that joined later
        tune.report({"status": "other_code", "error": problem})
        return
    if device == "cuda":
        tune.report(_place())
    place: AbstractContextManager[tuple[Path, Callable[[], None]]] = nullcontext((Path(cells), lambda: None))
    if store is not None:
        place = scratch(store, config["cell_id"], config["upstream"], Path(cache), work.look)
    try:
        with place as (folder, send):
            record = _run(config, work, folder, send, cache, device, threads, flag)
    except OSError as error:
        tune.report({"status": "storage", "error": str(error)})
        return
    except LostError as error:
        tune.report({"status": "lost_out", "error": str(error)})
        return
    scalars = {name: value for name, value in record["metrics"].items() if value is not None}
    tune.report({**scalars, "status": record["status"]})


def _place() -> dict[str, str]:
    """The node and the GPU that Ray has given to this trial."""
    context = ray.get_runtime_context()
    gpus = context.get_accelerator_ids().get("GPU", [])
    return {"status": PLACED, "node": context.get_node_id(), "gpu": gpus[0] if gpus else ""}


def _run(
    config: dict[str, Any],
    work: Work,
    cells: Path,
    send: Callable[[], None],
    cache: str,
    device: str,
    threads: int,
    flag: Any,
) -> dict[str, Any]:
    # Lightning, two seconds of imports that the driver has no use for.
    from transfusion.training.fitting import Hooks
    from transfusion.trial import run_trial

    record = run_trial(
        Cell(**config["cell"]),
        work.recipe,
        work.table,
        cells=cells,
        cache=Path(cache),
        device=device,
        threads=threads,
        share=config["share"],
        hooks=Hooks(
            report=tune.report, stop=lambda: ray.get(flag.is_up.remote()), saved=send, check=work.look
        ),
        supplied=work.supplied,
        imagenet=work.imagenet,
    )
    if record["status"] in ("done", "failed"):
        send()
    return record


def start_ray(address: str | None) -> None:
    """Connect to the cluster at `address`, or start Ray on this machine, reachable from it alone.

    Raises:
        SettingError: no cluster there, or one whose nodes have other code than this driver.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": worker_code.FirstInPath(),
    }
    # Ray binds to loopback where it is told that no cluster is wanted, and to every interface otherwise.
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "1" if address else "0"
    ray_constants.ENABLE_RAY_CLUSTER = bool(address)
    if address:
        if address != "auto":
            knock(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError) as error:
            raise SettingError(
                f"--address {address}: found no cluster ({' '.join(str(error).split())}), expected auto on "
                "one of its nodes, HOST:6379 of its head, or ray://HOST:10001"
            ) from error
        worker_code.refuse_other_code()
    else:
        # "local": a cluster that happens to run on this machine is joined only where `--address` asks for it.
        with deaf_children():
            ray.init(
                address="local",
                num_cpus=len(os.sched_getaffinity(0)),  # what a batch system leaves us, not what there is
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **quiet,
            )


def end_ray() -> None:
    """Leave Ray; where this driver has started it, end its processes.

    `ray.shutdown` asks each of them to end and waits a second for it, in vain (`deaf_children`).
    """
    if (node := getattr(ray._private.worker, "_global_node", None)) is not None:
        node.kill_all_processes = partial(_kill_at_once, node.kill_all_processes)
    ray.shutdown()


def _kill_at_once(kill: Callable[..., None], **_graceful: Any) -> None:
    kill(check_alive=False)


def execute(
    cells: Sequence[PlannedCell],
    work: Work,
    *,
    done: set[str],
    failed: set[str],
    out: Path,
    cache: Path,
    resources: Resources,
    watcher: Watcher,
    stop: Stop,
    fail_fast: bool = False,
    callbacks: Sequence[tune.Callback] = (),
    store: ObjectStore | None = None,
) -> None:
    """Run `cells` on the Ray that is connected; every outcome lies in `out / "cells"` afterwards.

    Args:
        done, failed: ids of cells that have finished, for those that wait for them.
        stop: ends the run early where it is requested; its reason says whether it was.
        callbacks: further ones of Tune, to watch with.
        store: where the cells lie, if not in `out`.
    """
    folder = out / "cells"

    def record(planned: PlannedCell, failure: Failure, error: str) -> None:
        from transfusion.trial import write_failure

        work.look()
        write_failure(
            planned.cell,
            work.recipe,
            work.table.fingerprint,
            folder / planned.id,
            failure,
            error,
            work.supplied,
        )
        if store is not None:
            store.send(folder / planned.id / results.RESULT, f"cells/{planned.id}/{results.RESULT}")

    elastic = resources.elastic and autoscaling.present()
    devices = Devices(resources, autoscaling.nodes, autoscaling.ask if elastic else None)
    queue = CellQueue(
        cells,
        devices=devices,
        done=done,
        failed=failed,
        record=record,
        watcher=watcher,
        stop=stop,
        fail_fast=fail_fast,
    )
    function = tune.with_parameters(
        trainable,
        work=work,
        cells=str(folder.resolve()),
        cache=str(cache.resolve()),
        device=resources.device,
        threads=resources.cpus,
        flag=stop.raise_flag_for(),
        store=store,
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
            storage_path=str((out / "tune").resolve()),
            callbacks=[Relay(queue), *callbacks],
            stop=stop,
            verbose=0,
        ),
    )
    stop.executing = True
    try:
        tuner.fit()
    finally:
        stop.executing = False
        devices.close()
