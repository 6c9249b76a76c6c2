"""`run_trial`: the only way to train. One cell from its axes to its records on disk."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torchvision

from transfusion.architectures import ARCHITECTURES
from transfusion.cell import NOTHING_SUPPLIED, Cell, Recipe, Supplied, cell_id, upstream_of
from transfusion.data import image_cache
from transfusion.data.dataset import Dataset
from transfusion.files import atomic
from transfusion.networks import weights
from transfusion.networks.initialization import copy_stages, load_stages, save_stages
from transfusion.networks.network import Network, build
from transfusion.problems import SettingError
from transfusion.records import attempts, results
from transfusion.records.failures import DivergedError, Failure, StoppedError, failure_of
from transfusion.records.lease import LostError
from transfusion.study import Machine, Study
from transfusion.training import acceleration
from transfusion.training.evaluation import evaluate
from transfusion.training.features import feature_task
from transfusion.training.fitting import Hooks, fit
from transfusion.training.module import TrainingModule
from transfusion.training.process_state import answers, cap_memory, clean_slate, release, resident_bytes
from transfusion.training.randomness import WEIGHTS, stream
from transfusion.training.schedule import epochs_of
from transfusion.training.task import CPU, Task, finding_task, imagenet_task, photos_task

NO_HOOKS = Hooks()


ONE_CORE = Machine()


@dataclass(frozen=True)
class Place:
    """Where a cell is trained: its folder, the image cache's, the device, and the trial's hooks."""

    folder: Path
    cache: Path
    device: torch.device
    hooks: Hooks


def run_trial(
    cell: Cell,
    study: Study,
    *,
    cells: Path,
    cache: Path,
    machine: Machine = ONE_CORE,
    hooks: Hooks = NO_HOOKS,
) -> dict[str, Any]:
    """Train and evaluate one cell; its records lie in `cells / cell_id` afterwards.

    A cell that has finished is not trained again. One that was interrupted continues from its checkpoint. An
    exception in training is recorded as the cell's failure, not raised, but for those of storage.

    Args:
        cells: the folder of all cells; an upstream cell must have finished there.
        cache: the folder of the image cache.
        machine: out of memory at a share below 1 is noted in the cell's log of attempts but not recorded as a
            failure: a larger share may do.

    Returns:
        The record that `results.read_result` reads; or only a `status` of `interrupted` (the hooks asked to
        stop) or `out_of_memory`, and the cell has not finished.

    Raises:
        OSError: a record cannot be written: full disk, quota, read-only folder.
        LostError: another sweep has taken the folder; see `Hooks.check`.
        RuntimeError: the GPU answers this process no more, which has to end; the cell has not finished.
    """
    recipe, dataset, supplied = study.recipe, study.dataset, study.supplied
    device, share = machine.device, machine.share
    folder = cells / cell_id(cell, recipe, dataset.fingerprint, supplied)
    if (record := results.read_result(folder)) is not None:
        return record
    attempts.add(folder, "started", share, hooks.check)
    hooks.saved()
    started, clock = _now(), time.perf_counter()
    metrics: dict[str, Any] = {}
    place = Place(folder, cache, torch.device(device), hooks)
    outcome: dict[str, Any] = {"status": "done"}
    compiled = "no"
    with clean_slate(cell.seed, machine.threads):
        try:
            if device.startswith("cuda"):
                cap_memory(share)
            task = cell_task(cell, recipe, dataset, cache, study.imagenet)
            network = initial_network(cell, recipe, dataset.fingerprint, cells, task.outputs, supplied)
            network.reduced = acceleration.reduced_type(place.device, machine.precision)
            compiled = _train(cell, recipe, dataset, task, network, place, metrics)
        except StoppedError:
            outcome = {"status": "interrupted"}
        except LostError:
            raise
        except Exception as error:
            if device.startswith("cuda") and failure_of(error) == "error" and not answers():
                raise  # nor will it answer the next cell: a new process may
            outcome = _failed(error, folder, share, hooks.check)
        if device.startswith("cuda"):
            metrics["device_memory_bytes"] = torch.cuda.max_memory_allocated()
    release()
    if outcome["status"] not in ("done", "failed"):
        hooks.saved()
        return {**outcome, "metrics": {}}
    metrics["seconds"] = time.perf_counter() - clock
    origin = results.Origin(cell=cell, recipe=recipe, fingerprint=dataset.fingerprint, supplied=supplied)
    return results.write_result(
        folder,
        origin,
        results.Outcome(metrics=metrics, **outcome),
        environment={**_environment(machine), "compiled": compiled},
        started=started,
        finished=_now(),
        check=hooks.check,
    )


def _failed(error: Exception, folder: Path, share: float, check: Callable[[], None]) -> dict[str, Any]:
    """Classify an exception raised in training; returns the outcome to record or to return."""
    failure = failure_of(error)
    if failure == "storage":
        raise OSError(f"{folder}: {error}") from error
    if failure == "out_of_memory":
        attempts.add(folder, "out_of_memory", share, check)
        if share < 1:
            return {"status": "out_of_memory"}
    text = str(error)
    if failure != "diverged":
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        with atomic(folder / results.TRACEBACK, check) as path:
            path.write_text("".join(traceback.format_exception(error)))
    return {"status": "failed", "failure": failure, "error": text}


def write_failure(
    cell: Cell,
    recipe: Recipe,
    fingerprint: str,
    folder: Path,
    failure: Failure,
    error: str,
    supplied: Supplied = NOTHING_SUPPLIED,
) -> dict[str, Any]:
    """Record a cell that could not be trained: its upstream cell failed, or its process died too often."""
    now = _now()
    return results.write_result(
        folder,
        results.Origin(cell=cell, recipe=recipe, fingerprint=fingerprint, supplied=supplied),
        results.Outcome(status="failed", failure=failure, error=error),
        environment={},
        started=now,
        finished=now,
    )


def _train(
    cell: Cell,
    recipe: Recipe,
    dataset: Dataset,
    task: Task,
    network: Network,
    place: Place,
    metrics: dict[str, Any],
) -> str:
    """Train, evaluate and write everything but `result.json`; fills `metrics` as it goes.

    Returns:
        Whether training was compiled: `yes`, `no`, or why it could not be.
    """
    folder, device, hooks = place.folder, place.device, place.hooks
    network.to(device).to(memory_format=torch.channels_last)
    metrics |= ARCHITECTURES[cell.architecture].size(recipe.image_size)
    trained: torch.nn.Module = network
    frozen = cell.freeze == "backbone"
    if frozen and recipe.frozen_views:
        start = time.perf_counter()
        task = feature_task(network, task, recipe, cell.seed, device, place.cache)
        metrics["feature_seconds"] = time.perf_counter() - start
        device = CPU
        trained, frozen = network.to(device).head, False

    module = TrainingModule(trained, task, recipe, seed=cell.seed, frozen=frozen)
    epochs = epochs_of(cell, recipe)
    try:
        fit(module, epochs, device, folder / results.CHECKPOINT, hooks)
    except DivergedError:  # a result as well: the curve up to there is evidence
        metrics |= module.start() | {"epochs": len(module.epochs)}
        _write_tables(folder, module, hooks.check)
        raise
    _write_tables(folder, module, hooks.check)
    metrics |= module.summary()
    module.restore_best()
    if "test" in task.rows:
        start = time.perf_counter()
        predictions, areas = evaluate(trained, task, dataset, device)
        metrics["evaluation_seconds"] = time.perf_counter() - start
        results.write_table(folder, "predictions", predictions, hooks.check)
        metrics |= areas
    if cell.kind == "upstream":
        with atomic(folder / results.WEIGHTS, hooks.check) as path:
            save_stages(network, path)
    return module.compiling


def _write_tables(folder: Path, module: TrainingModule, check: Callable[[], None]) -> None:
    for name, columns in module.tables().items():
        results.write_table(folder, name, columns, check)


def cell_task(
    cell: Cell, recipe: Recipe, dataset: Dataset, cache: Path, imagenet: Dataset | None = None
) -> Task:
    """What a cell trains on; images are taken from the cache, or decoded into it.

    Raises:
        SettingError: a pretraining on ImageNet without its images.
    """
    if cell.finding == "photos":
        return photos_task(cell, recipe)
    if cell.finding == "imagenet":
        if imagenet is None:
            raise SettingError(
                "imagenet: found no images to pretrain on, expected a folder of them (--imagenet DIR)"
            )
        images = image_cache.load(imagenet, recipe.image_size, cache, channels=3)
        return imagenet_task(cell, imagenet, images)
    return finding_task(cell, recipe, dataset, image_cache.load(dataset, recipe.image_size, cache))


def initial_network(
    cell: Cell,
    recipe: Recipe,
    fingerprint: str,
    cells: Path,
    outputs: int,
    supplied: Supplied = NOTHING_SUPPLIED,
) -> Network:
    """The network of a cell before training: random weights of its seed, then supplied or upstream ones.

    Raises:
        FileNotFoundError: if the upstream cell has left no weights, or the supplied ones are not there.
    """
    torch.manual_seed(int(stream(cell.seed, WEIGHTS).integers(2**62)))
    network = build(cell.architecture, outputs, recipe.batch_norm_momentum)
    source = None
    if given := supplied.weights_of(cell):
        source = weights.supplied_file(cells, cell.architecture, given)
    elif upstream := upstream_of(cell, recipe, supplied):
        source = cells / cell_id(upstream, recipe, fingerprint, supplied) / results.WEIGHTS
    if source is not None:
        copy_stages(network, load_stages(source), source=str(source))
        network.expect(supplied.input_of(cell))
    return network


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _environment(machine: Machine) -> dict[str, Any]:
    name = (
        torch.cuda.get_device_name()
        if machine.device.startswith("cuda")
        else platform.processor() or platform.machine()
    )
    return {
        "device": machine.device.split(":")[0],
        "device_name": name,
        "type": acceleration.type_name(torch.device(machine.device), machine.precision),
        "threads": machine.threads,
        "share": machine.share,
        "resident_bytes": resident_bytes(),
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "lightning": pl.__version__,
        "numpy": np.__version__,
    }
