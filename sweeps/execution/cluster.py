"""What trials can use of the Ray cluster that is connected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.planning.gpus import Gpus, gpus_here, same_name
from sweeps.planning.resources import Resources, checked, with_gpus

LEAVE_GPUS = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Lets a process that asks for no GPU see those that its node has."""


def resources_of(cpus: int, gpus_per_trial: float | None) -> Resources:
    """The resources of the Ray cluster that is connected, its nodes of whatever kinds.

    Raises:
        SettingError: the options leave no room for a single trial, or torch cannot use a node's GPU.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    cores = tuple(int(node["Resources"].get("CPU", 0)) for node in nodes)
    gpus = tuple(float(node["Resources"].get("GPU", 0)) for node in nodes)
    asked = [node for node in nodes if node["Resources"].get("GPU", 0) and gpus_per_trial != 0]
    found = _gpus_of(asked)
    return with_gpus(found, checked(cpus, gpus_per_trial, cores, gpus, found.memory, elastic=True))


def _gpus_of(nodes: Sequence[dict[str, Any]]) -> Gpus:
    """What torch finds on all of these nodes of a cluster, of all their GPUs.

    The look asks Ray for no GPU: a process that is given one sees that one alone, and would wait for it.
    """

    # A process of its own, which ends with the look, so that it keeps no GPU open. Older Rays hide every GPU
    # from one that asks for none, unless they are told not to.
    @ray.remote(num_cpus=0, num_gpus=0, max_calls=1, runtime_env={"env_vars": LEAVE_GPUS})
    def look() -> Gpus:
        count, found = gpus_here()
        none = "found no GPU where Ray counts one, expected one; check torch and the driver of this node"
        return found if count else Gpus(problem=none)

    there = [
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in nodes
    ]
    found: list[Gpus] = ray.get(there)
    wrong = [
        f"node {node['NodeManagerAddress']}: {one.problem}"
        for node, one in zip(nodes, found, strict=True)
        if one.problem
    ]
    if wrong:
        return Gpus(problem="\n".join(wrong))
    memory = min((one.memory for one in found if one.memory is not None), default=None)
    reduced = bool(found) and all(one.reduced for one in found)
    return Gpus(memory, reduced, name=same_name(one.name for one in found))
