"""Whether this process, and Ray's workers after it, find our own packages; without Ray and torch."""

from __future__ import annotations

import os
from importlib.machinery import PathFinder
from pathlib import Path

import transfusion_sweep
from transfusion.problems import SettingError
from transfusion.records.code_version import code_version

NEEDED = ("sweeps", "transfusion")
"""The packages that Ray's workers import."""


def is_checkout() -> bool:
    """Whether the packages lie in a folder of their own, not among everything that is installed."""
    return (transfusion_sweep.ROOT / "pyproject.toml").exists()


def refuse_strangers() -> None:
    """Make sure, before anything starts, that this process and Ray's workers find our own packages.

    Raises:
        SettingError: naming all that are not ours, and where they lie.
    """
    transfusion_sweep.come_first()
    if wrong := [*transfusion_sweep.strangers(), *strangers_of_workers()]:
        raise SettingError("\n".join(wrong))


def strangers_of_workers() -> list[str]:
    """What would come before installed packages in Ray's workers: the current directory and PYTHONPATH."""
    if is_checkout():
        return []
    places = [str(Path.cwd()), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    found = [(name, spec.origin) for name in NEEDED if (spec := PathFinder.find_spec(name, places))]
    return [
        f"{name}: found {origin}, expected {transfusion_sweep.ROOT / name}; Ray's workers would import the "
        "first: remove or rename it, take its folder from PYTHONPATH, or run from another folder"
        for name, origin in found
        if origin and Path(origin).resolve().parent != transfusion_sweep.ROOT / name
    ]


def unlike(digest: str) -> str:
    """What is wrong with this worker's code where the driver's has `digest`; empty if nothing is."""
    own = code_version()
    if own.digest == digest:
        return ""
    place = f"{os.uname().nodename}, {transfusion_sweep.ROOT}"
    return (
        f"another code: found {own.describe()} ({place}), expected the driver's; install the same everywhere"
    )
