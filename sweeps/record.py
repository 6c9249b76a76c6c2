"""What was run, on what, how long it took and how long it was expected to take: `OUT/sweep.json`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from sweeps.estimate import Estimate
from sweeps.plan import Plan
from sweeps.resources import Resources
from sweeps.spaces import Preset
from transfusion import results
from transfusion.table import PARTS, Table

PACKAGES = ("ray", "torch", "torchvision", "pytorch-lightning")


def write_sweep(
    path: Path,
    preset: Preset,
    data: str,
    table: Table,
    resources: Resources,
    work: Plan,
    expected: Estimate,
    wall_seconds: float,
    stopped: str,
) -> None:
    """Record a run for the report.

    Args:
        data: what the data are called.
        wall_seconds: from the first decoded image to the last finished cell.
        stopped: why the run ended early, if it did: then expected and real time do not compare.
    """
    missing = work.missing()
    record: dict[str, Any] = {
        "schema": 1,
        "preset": preset.name,
        "recipe": {name: getattr(preset.recipe, name) for name in preset.recipe.__slots__},
        "data": {
            "name": data,
            "fingerprint": table.fingerprint,
            "parts": {part: len(table.rows(part)) for part in PARTS},
        },
        "natural_images": "photos"
        if any(planned.cell.init == "photos" for planned in work.cells)
        else "imagenet",
        "weights": [one.record() for one in work.weights],
        "command": shlex.join(["python", "sweeps/full_grid.py", *sys.argv[1:]]),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "hardware": {
            "cpus": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "nodes": len(resources.cores),
        },
        "slots": max((resources.slots(planned.share) for planned in missing), default=0),
        "cells_run": len(missing),
        "estimated_seconds": expected.wall_seconds,
        "estimated_gpu_hours": expected.gpu_hours,
        "estimated_price": expected.price,
        "wall_seconds": wall_seconds,
        "stopped": stopped,
    }
    with results.atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1))
