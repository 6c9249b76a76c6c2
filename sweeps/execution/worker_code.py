"""The code that trials run is the driver's: on this machine by its place, on a cluster by comparison."""

from __future__ import annotations

import os
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import ray
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import transfusion_sweep
from transfusion.problems import SettingError
from transfusion.records.code_version import Code, code_version

NEEDED = ("sweeps", "transfusion")
"""The packages that Ray's workers import."""
NODE_SECONDS = 120.0
"""How long a node may take to start a process that says which code it has."""


class FirstInPath(JobConfig):
    """Puts the checkout that this driver runs before all else that Ray's workers look through.

    Ray puts the current directory and the driver's script's own there, the last one first, at the moment at
    which it connects. On a node that has no such folder it changes nothing.
    """

    def _serialize(self) -> Any:
        if is_checkout():
            self._py_driver_sys_path.append(str(transfusion_sweep.ROOT))
        return super()._serialize()


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


def refuse_other_code() -> None:
    """Make sure that every node of the cluster has the code of this driver.

    Raises:
        SettingError: naming the nodes that have not, with what they have.
    """

    def found() -> Code:  # defined here, so that it is sent as it is: a node may have nothing of ours
        from transfusion.records.code_version import code_version

        return code_version()

    answers = {
        str(node["NodeManagerHostname"]): ray.remote(num_cpus=0)(found)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote()
        for node in ray.nodes()
        if node["Alive"]
    }
    here = code_version()
    wrong = []
    for host, answer in answers.items():
        try:
            there = ray.get(answer, timeout=NODE_SECONDS).describe_unlike(here)
        except ray.exceptions.RayError as error:
            there = " ".join(str(error).split())[-200:]
        if there:
            wrong.append(f"--address: found on {host} {there}, expected {here.describe()}")
    if wrong:
        raise SettingError(
            "\n".join([*wrong, "Install the same code on all nodes, or let them share a folder"])
        )


def unlike(digest: str) -> str:
    """What is wrong with this worker's code where the driver's has `digest`; empty if nothing is."""
    own = code_version()
    if own.digest == digest:
        return ""
    place = f"{os.uname().nodename}, {transfusion_sweep.ROOT}"
    return (
        f"another code: found {own.describe()} ({place}), expected the driver's; install the same everywhere"
    )
