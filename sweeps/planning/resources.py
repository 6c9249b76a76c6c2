"""What one trial gets: a share of a GPU, or CPU cores; and how many trials fit at once.

A share is a fraction of one device: of a GPU and its memory, or of a node's cores where there is no GPU. A
trial that runs out of memory is tried again at the next larger share, up to the whole device.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sweeps.planning.gpus import GpuError, Gpus, gpus_here, unused_gpu
from transfusion.cgroups import bounds
from transfusion.problems import SettingError
from transfusion.study import Machine, Precision

SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
"""The classes of share: halves of halves, so that whatever runs on a GPU leaves room for one of them."""

LEAST_SHARE = 0.01
"""That a user may ask for."""

HELD_BACK = 0.05
"""Share of the memory beyond which Ray ends trials (its `memory_usage_threshold`)."""

RAY_BYTES = 350 * 2**20
"""What the driver still takes after the plan, and Ray's own processes: a guess, above the 250 MiB that these
added up to on 2 cores (Ray 2.60)."""


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
        gpu_memory: bytes of the GPU that has least for us, None without one.
        fixed_share: the user's share of a GPU for every trial, or None to follow the need for memory.
        reduced: all of the GPUs compute in bfloat16, and so do cells.
        elastic: nodes may join later (an autoscaling cluster): do not stop at what is there now.
        device_name: of the GPUs, or of this machine's CPU; empty where they are unknown or of several kinds.
        host_memory: bytes for all trials together where they train on this machine's CPU, else None.
        why: what allows fewer cores than the machine has; empty where nothing does.
        told: what is to be said of GPUs: one that is not used, memory that others hold; mostly empty.
    """

    device: Literal["cpu", "cuda"]
    cpus: int
    cores: tuple[int, ...]
    gpus: tuple[float, ...] = ()
    gpu_memory: int | None = None
    fixed_share: float | None = None
    reduced: bool = False
    elastic: bool = False
    device_name: str = ""
    host_memory: int | None = None
    why: str = ""
    told: str = ""

    @property
    def element_bytes(self) -> int:
        """Of an activation, in the type that cells compute in."""
        return 2 if self.reduced else 4

    def machine(self, share: float = 1.0) -> Machine:
        """What trains a cell at this share: where some of the GPUs have no bfloat16, all compute in float32,
        so that no difference between cells is one between cards."""
        precision: Precision = "bfloat16" if self.reduced else "float32"
        return Machine(device=self.device, threads=self.cpus, share=share, precision=precision)

    def share(self, need: int | None = None) -> float:
        """The smallest share that holds `need` bytes; without a GPU that of the trial's cores at least.

        Args:
            need: bytes of device memory; None where it is unknown, which asks for a whole GPU.
        """
        if self.device == "cpu":
            of_memory = (need or 0) / self.host_memory if self.host_memory else 0.0
            return min(1.0, max(of_memory, self.cpus / max(*self.cores, 1)))
        if self.fixed_share is not None:
            return self.fixed_share
        if need is None or self.gpu_memory is None:
            return 1.0
        return next((one for one in SHARES if need <= one * self.gpu_memory), 1.0)

    @property
    def least_part(self) -> float:
        """Of a GPU's arithmetic, what any trial gets: more than its share where cores bound how many run."""
        at_once = self.slots(SHARES[0]) if self.device == "cuda" else 0
        return min(1.0, sum(self.gpus) / at_once) if at_once else 0.0

    def part(self, share: float) -> float:
        """Of a GPU's arithmetic, what a trial of this share gets while as many run as can."""
        return max(share, self.least_part)

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


def cpu_name() -> str:
    """The CPU's model, as far as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def of_machine(cpus: int, gpus_per_trial: float | None) -> Resources:
    """The resources of this machine.

    Raises:
        SettingError: the options leave no room for a single trial, or torch cannot use the GPU.
    """
    here = bounds()
    count, found = (0, Gpus()) if gpus_per_trial == 0 else gpus_here(less_used=True)
    at_hand = with_gpus(found, checked(cpus, gpus_per_trial, (here.cores,), (float(count),), found.memory))
    at_hand = replace(at_hand, why=here.why)
    if at_hand.device == "cuda":
        return at_hand
    memory = max(0, here.free - int(HELD_BACK * here.memory) - RAY_BYTES)
    told = unused_gpu() if gpus_per_trial is None and not count else ""
    return replace(at_hand, device_name=cpu_name(), host_memory=memory, told=told)


def with_gpus(found: Gpus, resources: Resources) -> Resources:
    """`resources` in the type that the GPUs compute in, with their name, where trials train on them.

    Raises:
        GpuError: torch cannot use one of them.
    """
    if found.problem:
        raise GpuError(f"GPU: {found.problem}")
    if resources.device == "cpu":
        return resources
    return replace(resources, reduced=found.reduced, device_name=found.name, told=found.told)


def to_come(cpus: int, gpus_per_trial: float | None, worker: Mapping[str, float]) -> Resources:
    """The resources of a cluster that is empty yet: one worker of the kind that it may start.

    Raises:
        SettingError: the options leave no room for a single trial.
    """
    one = (int(worker["CPU"]),), (float(worker.get("GPU", 0)),)
    return checked(cpus, gpus_per_trial, *one, None, elastic=True)


def check_options(cpus: int, gpus_per_trial: float | None) -> None:
    """Refuse what no machine could give.

    Raises:
        SettingError: no core, or a share that is none.
    """
    if cpus < 1:
        raise SettingError(f"--cpus-per-trial: found {cpus}, expected at least 1 core")
    if gpus_per_trial and not LEAST_SHARE <= gpus_per_trial <= 1:
        raise SettingError(
            f"--gpus-per-trial: found {gpus_per_trial:g}, expected a share of one GPU from {LEAST_SHARE:g} "
            "to 1, or 0 for the CPU; a trial trains on one GPU at most"
        )


def checked(
    cpus: int,
    gpus_per_trial: float | None,
    cores: tuple[int, ...],
    gpus: tuple[float, ...],
    memory: int | None,
    elastic: bool = False,
) -> Resources:
    check_options(cpus, gpus_per_trial)
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
