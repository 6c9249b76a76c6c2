"""`run_trial`: the only way to train. One cell from its axes to its records on disk."""

from __future__ import annotations

import ctypes
import gc
import logging
import platform
import random
import sys
import time
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torchvision

from transfusion import architectures, image_cache, results
from transfusion.architectures import Network, build
from transfusion.cell import NATURAL_IMAGES, Cell, Recipe, cell_id, upstream_of
from transfusion.evaluation import evaluate
from transfusion.features import feature_task
from transfusion.fitting import Report, fit
from transfusion.initialization import copy_stages, load_stages, save_stages
from transfusion.module import DivergedError, TrainingModule
from transfusion.randomness import WEIGHTS, stream
from transfusion.table import Table
from transfusion.task import finding_task, photos_task


def run_trial(
    cell: Cell,
    recipe: Recipe,
    table: Table,
    *,
    cells: Path,
    cache: Path,
    device: str = "cpu",
    threads: int = 1,
    report: Report = lambda metrics: None,
    checkpoint_seconds: float = 60.0,
) -> dict[str, Any]:
    """Train and evaluate one cell; its records lie in `cells / cell_id` afterwards.

    A cell that has finished is not trained again. One that was interrupted continues from its checkpoint. An
    exception in training is recorded as the cell's failure, not raised.

    Args:
        cells: the folder of all cells; an upstream cell must have finished there.
        cache: the folder of the image cache.
        device: `cpu` or `cuda`.
        threads: of this process, for torch on the CPU.
        report: called with the metrics of every epoch.
        checkpoint_seconds: at least so many seconds between two checkpoints.

    Returns:
        The record that `results.read_result` reads.
    """
    folder = cells / cell_id(cell, recipe, table.fingerprint)
    if (record := results.read_result(folder)) is not None:
        return record
    reset(cell.seed, threads)
    started, clock = _now(), time.perf_counter()
    outcome: dict[str, Any]
    try:
        metrics = _train(
            cell, recipe, table, folder, cells, cache, torch.device(device), report, checkpoint_seconds
        )
        outcome = {"status": "done", "metrics": metrics}
    except DivergedError as error:
        outcome = {"status": "failed", "failure": "diverged", "error": str(error), "metrics": {}}
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        (folder / "traceback.txt").parent.mkdir(parents=True, exist_ok=True)
        (folder / "traceback.txt").write_text(traceback.format_exc())
        outcome = {"status": "failed", "failure": "error", "error": text, "metrics": {}}
    outcome["metrics"]["seconds"] = time.perf_counter() - clock
    record = results.write_result(
        folder,
        cell=cell,
        recipe=recipe,
        data=table.fingerprint,
        environment=_environment(device, threads),
        started=started,
        finished=_now(),
        **outcome,
    )
    release()
    return record


def write_failure(cell: Cell, recipe: Recipe, data: str, folder: Path, error: str) -> dict[str, Any]:
    """Record a cell that cannot be trained because its upstream cell failed."""
    return results.write_result(
        folder,
        cell=cell,
        recipe=recipe,
        data=data,
        status="failed",
        failure="upstream",
        error=error,
        metrics={},
        environment={},
        started=_now(),
        finished=_now(),
    )


def reset(seed: int, threads: int) -> None:
    """Undo what an earlier trial of this process may have left: seeds, torch's flags, threads, log noise."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (libraries that draw from the global state)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning_fabric")


def release() -> None:
    """Give the memory of a finished trial back to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _train(
    cell: Cell,
    recipe: Recipe,
    table: Table,
    folder: Path,
    cells: Path,
    cache: Path,
    device: torch.device,
    report: Report,
    checkpoint_seconds: float,
) -> dict[str, Any]:
    """Train, evaluate and write everything but `result.json`; returns the metrics."""
    if cell.finding in NATURAL_IMAGES:
        task = photos_task(cell, recipe)
    else:
        task = finding_task(cell, recipe, table, image_cache.load(table, recipe.image_size, cache))
    network = initial_network(cell, recipe, table.fingerprint, cells, task.outputs)
    network.to(device).to(memory_format=torch.channels_last)
    metrics: dict[str, Any] = dict(architectures.size_of(cell.architecture, recipe.image_size))
    trained: torch.nn.Module = network
    frozen = cell.freeze == "backbone"
    if frozen and recipe.frozen_views:
        task, trained, frozen = feature_task(network, task, recipe, cell.seed, device), network.head, False

    module = TrainingModule(trained, task, recipe, seed=cell.seed, frozen=frozen)
    epochs = recipe.upstream_epochs if cell.kind == "upstream" else recipe.epochs
    fit(module, epochs, device, folder / results.CHECKPOINT, report, checkpoint_seconds)
    for name, columns in module.tables().items():
        results.write_table(folder, name, columns)
    metrics |= module.summary()
    module.restore_best()
    if "test" in task.rows:
        predictions, areas = evaluate(trained, task, table, device)
        results.write_table(folder, "predictions", predictions)
        metrics |= areas
    if cell.kind == "upstream":
        with results.atomic(folder / results.WEIGHTS) as path:
            save_stages(network, path)
    return metrics


def initial_network(cell: Cell, recipe: Recipe, data: str, cells: Path, outputs: int) -> Network:
    """The network of a cell before training: random weights of its seed, then those of its upstream cell.

    Raises:
        FileNotFoundError: if the upstream cell has left no weights.
    """
    torch.manual_seed(int(stream(cell.seed, WEIGHTS).integers(2**62)))
    network = build(cell.architecture, outputs, recipe.batch_norm_momentum)
    upstream = upstream_of(cell, recipe)
    if upstream is not None:
        source = cells / cell_id(upstream, recipe, data) / results.WEIGHTS
        copy_stages(network, load_stages(source), source=str(source))
    return network


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _environment(device: str, threads: int) -> dict[str, Any]:
    name = (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else platform.processor() or platform.machine()
    )
    return {
        "device": device.split(":")[0],
        "device_name": name,
        "threads": threads,
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "lightning": pl.__version__,
        "numpy": np.__version__,
    }
