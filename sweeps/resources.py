"""What one trial gets: a share of a GPU, or CPU cores; and how many trials fit at once.

A share is a fraction of one device: of a GPU and its memory, or of a node's cores where there is no GPU. A
trial that runs out of memory is tried again at the next larger share, up to the whole device.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from transfusion.cell import SettingError

SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
"""The classes of share: halves of halves, so that whatever runs on a GPU leaves room for one of them."""


def larger_share(share: float) -> float:
    """The next larger class of share; a whole device stays one."""
    return next((one for one in SHARES if one > share + 1e-9), 1.0)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The devices at hand, and what a trial takes of them.

    Attributes:
        device: what trials train on.
        cpus: cores of one trial, and its threads.
        cores: CPU cores of each node.
        gpus: GPUs of each node.
        gpu_memory: bytes of the smallest GPU, None without one.
        fixed_share: the user's share of a GPU for every trial, or None to follow the need for memory.
        elastic: nodes may join later (an autoscaling cluster): do not stop at what is there now.
    """

    device: Literal["cpu", "cuda"]
    cpus: int
    cores: tuple[int, ...]
    gpus: tuple[float, ...] = ()
    gpu_memory: int | None = None
    fixed_share: float | None = None
    elastic: bool = False

    def share(self, need: int | None = None) -> float:
        """The smallest share that holds `need` bytes; without a GPU that of the trial's cores.

        Args:
            need: bytes of device memory; None where it is unknown, which asks for a whole GPU.
        """
        if self.device == "cpu":
            return min(1.0, self.cpus / max(*self.cores, 1))
        if self.fixed_share is not None:
            return self.fixed_share
        if need is None or self.gpu_memory is None:
            return 1.0
        return next((one for one in SHARES if need <= one * self.gpu_memory), 1.0)

    def request(self, share: float) -> dict[str, float]:
        """The resources of a trial with this share, in Ray's terms."""
        if self.device == "cuda":
            return {"CPU": self.cpus, "GPU": share}
        return {"CPU": max(self.cpus, math.ceil(share * max(self.cores, default=0) - 1e-9))}

    def slots(self, share: float) -> int:
        """How many trials of this share run at once."""
        request = self.request(share)
        total = 0
        for node, cores in enumerate(self.cores):
            fit = int(cores // request["CPU"])
            if self.device == "cuda":
                gpus = self.gpus[node] if node < len(self.gpus) else 0
                fit = min(fit, int(gpus) * int(1 / share + 1e-9))
            total += fit
        return total


def of_machine(cpus: int, gpus_per_trial: float | None) -> Resources:
    """The resources of this machine.

    Raises:
        SettingError: the options leave no room for a single trial.
    """
    count = torch.cuda.device_count()
    memory = min((torch.cuda.get_device_properties(i).total_memory for i in range(count)), default=None)
    return _checked(cpus, gpus_per_trial, (len(os.sched_getaffinity(0)),), (float(count),), memory)


def of_cluster(cpus: int, gpus_per_trial: float | None) -> Resources:
    """The resources of the Ray cluster that is connected, its nodes of whatever kinds.

    Raises:
        SettingError: the options leave no room for a single trial.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    cores = tuple(int(node["Resources"].get("CPU", 0)) for node in nodes)
    gpus = tuple(float(node["Resources"].get("GPU", 0)) for node in nodes)
    memory = _smallest_gpu([node["NodeID"] for node in nodes if node["Resources"].get("GPU", 0)])
    return _checked(cpus, gpus_per_trial, cores, gpus, memory, elastic=True)


def to_come(cpus: int, gpus_per_trial: float | None, worker: Mapping[str, float]) -> Resources:
    """The resources of a cluster that is empty yet: one worker of the kind that it may start.

    Raises:
        SettingError: the options leave no room for a single trial.
    """
    one = (int(worker["CPU"]),), (float(worker.get("GPU", 0)),)
    return _checked(cpus, gpus_per_trial, *one, None, elastic=True)


def _smallest_gpu(nodes: Sequence[str]) -> int | None:
    @ray.remote(num_cpus=0, num_gpus=0.01)
    def memory() -> int:
        if not torch.cuda.is_available():
            raise RuntimeError(
                "Ray counts a GPU on this node, but torch finds none; check torch and the driver"
            )
        return min(torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count()))

    there = [
        memory.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        for node in nodes
    ]
    return min(ray.get(there), default=None) if there else None


def _checked(
    cpus: int,
    gpus_per_trial: float | None,
    cores: tuple[int, ...],
    gpus: tuple[float, ...],
    memory: int | None,
    elastic: bool = False,
) -> Resources:
    if cpus < 1:
        raise SettingError(f"--cpus-per-trial: found {cpus}, expected at least 1 core")
    if gpus_per_trial is not None and not 0 <= gpus_per_trial <= 1:
        raise SettingError(
            f"--gpus-per-trial: found {gpus_per_trial:g}, expected a share of one GPU between 0 and 1"
        )
    on_gpu = sum(gpus) > 0 and gpus_per_trial != 0
    if gpus_per_trial and not sum(gpus):
        raise SettingError(f"--gpus-per-trial {gpus_per_trial:g}: found no GPU, expected one; ask for 0")
    found: dict[str, Any] = {"cpus": cpus, "cores": cores, "elastic": elastic}
    if on_gpu:
        resources = Resources(
            device="cuda", gpus=gpus, gpu_memory=memory, fixed_share=gpus_per_trial, **found
        )
    else:
        resources = Resources(device="cpu", **found)
    if not resources.slots(resources.share()):
        raise SettingError(
            f"--cpus-per-trial {cpus}: found {max(cores)} cores and {sum(gpus):g} GPUs on the largest node, "
            "expected room for one trial; ask for less"
        )
    return resources
