"""What was run, on what, how long it took and how long it was expected to take: `OUT/sweep.json`."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.inputs.data_table import DataSummary
from sweeps.planning.estimate import Estimate
from sweeps.planning.plan import Plan
from sweeps.planning.resources import Resources
from sweeps.spaces import Preset
from transfusion.data import equal_images
from transfusion.data.dataset import PARTS
from transfusion.files import atomic

PACKAGES = ("ray", "torch", "torchvision", "pytorch-lightning")


@dataclass(frozen=True)
class Outcome:
    """What was asked of a run, and how it ended.

    Attributes:
        wall_seconds: from the first decoded image to the last finished cell.
        stopped: why the run ended early, if it did: then expected and real time do not compare.
        arguments: of the command.
    """

    wall_seconds: float
    stopped: str
    arguments: tuple[str, ...] = ()


def write_sweep(
    path: Path,
    preset: Preset,
    data: DataSummary,
    resources: Resources,
    work: Plan,
    expected: Estimate,
    outcome: Outcome,
) -> None:
    """Record a run for the report."""
    missing, dataset = work.missing(), data.dataset
    record: dict[str, Any] = {
        "schema": 1,
        "preset": preset.name,
        "recipe": {name: getattr(preset.recipe, name) for name in preset.recipe.__slots__},
        "data": {
            "name": data.name,
            "fingerprint": dataset.fingerprint,
            "parts": {part: len(dataset.rows(part)) for part in PARTS},
            "equal_images": [
                {**dataclasses.asdict(equal), "text": str(equal)} for equal in equal_images.find(dataset)
            ],
            "split": {"rule": dataset.split.rule, "why": dataset.split.why},
            "notes": list(data.notes),
        },
        "margins": preset.margins_on(data.embedded),
        "margins_why": preset.margins_why,
        "labels": [one.record() for one in data.counts],
        "natural_images": "photos"
        if any(planned.cell.init == "photos" for planned in work.cells)
        else "imagenet",
        "weights": [one.record() for one in work.weights],
        "command": shlex.join(["python", "sweeps/full_grid.py", *outcome.arguments]),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "hardware": {
            "cpus": os.cpu_count(),
            "gpus": [resources.device_name or "of several kinds"] * int(sum(resources.gpus)),
            "nodes": len(resources.cores),
        },
        "slots": max((resources.slots(planned.share) for planned in missing), default=0),
        "cells_run": len(missing),
        "estimated_seconds": expected.wall_seconds,
        "estimated_gpu_hours": expected.gpu_hours,
        "estimated_price": expected.price,
        "wall_seconds": outcome.wall_seconds,
        "stopped": outcome.stopped,
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1))
