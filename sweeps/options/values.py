"""What the command line says, as typed values: all that the rest of the program knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options under the names that they are written by; those left out have the values below.

    Attributes:
        axes: field of `Cell` -> the values that the options give, or how many (`--seeds`).
        recipe: `NAME=VALUE` each, as are `uncertain`, `weights`, `weights_origin` and `weights_input`.
        until_decided: what seeds are added for: `conjectures` or `claims`; None where their number is fixed.
        looks: after how many seeds verdicts are reached; empty for those that are fixed, or the usual ones.
        power: the conjectures that the cheapest design is to decide; None where power is not asked for.
        budget: hours of GPUs, or without one of cores, that all looks together may cost.
        out: a folder or an object store's address; None for `results/NAME`.
    """

    preset: str | None = None
    study: str | None = None
    axes: Mapping[str, Any] = field(default_factory=dict)
    recipe: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    blank: str | None = None
    views: str | None = None

    data: Path | None = None
    dataset: str = "chexpert"
    path_column: str | None = None
    patient_column: str | None = None
    part_column: str | None = None
    intensity: str | None = None
    frame: int | None = None
    test_share: float | None = None
    selection_share: float | None = None
    distinct_ids: bool = False
    skip_missing: bool = False

    imagenet: Path | None = None
    weights: tuple[str, ...] = ()
    weights_origin: tuple[str, ...] = ()
    weights_input: tuple[str, ...] = ()

    out: str | None = None
    cache: Path | None = None

    until_decided: str | None = None
    looks: tuple[int, ...] = ()
    budget: float | None = None

    power: tuple[int, ...] | None = None
    pilot: bool = False

    check: bool = False
    dry_run: bool = False
    retry_failed: bool = False
    fail_fast: bool = False
    wait: bool = False
    prune: bool = False

    address: str | None = None
    cpus_per_trial: int = 1
    gpus_per_trial: float | None = None
    gpu_price: float | None = None
    tensorboard: bool = False
    logger: str | None = None
