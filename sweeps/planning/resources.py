"""What one trial gets: a share of a GPU, or CPU cores; and how many trials fit at once.

A share is a fraction of one device: of a GPU and its memory, or of a node's cores where there is no GPU. A
trial that runs out of memory is tried again at the next larger share, up to the whole device.
"""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from transfusion.cgroups import bounds
from transfusion.problems import SettingError

SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
"""The classes of share: halves of halves, so that whatever runs on a GPU leaves room for one of them."""


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
        gpu_memory: bytes of the smallest GPU, None without one.
        fixed_share: the user's share of a GPU for every trial, or None to follow the need for memory.
        element_bytes: of an activation in the type that is computed in.
        elastic: nodes may join later (an autoscaling cluster): do not stop at what is there now.
        device_name: of the GPUs, or of this machine's CPU; empty where they are unknown or of several kinds.
        host_memory: bytes for all trials together where they train on this machine's CPU, else None.
        why: what allows fewer cores than the machine has; empty where nothing does.
        unused: what is to be said of a GPU that is there and is not used; mostly empty.
    """

    device: Literal["cpu", "cuda"]
    cpus: int
    cores: tuple[int, ...]
    gpus: tuple[float, ...] = ()
    gpu_memory: int | None = None
    fixed_share: float | None = None
    element_bytes: int = 4
    elastic: bool = False
    device_name: str = ""
    host_memory: int | None = None
    why: str = ""
    unused: str = ""

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


@dataclass(frozen=True)
class Gpus:
    """What torch finds of the GPUs of one node.

    Attributes:
        memory: bytes of the smallest, None without one.
        reduced: all of them compute in bfloat16.
        problem: why torch cannot use one that is there; empty where it can.
        name: of all of them, empty where they are of several kinds.
    """

    memory: int | None = None
    reduced: bool = False
    problem: str = ""
    name: str = ""


GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia", "/dev/dxg", "/dev/nvmap", "/dev/kfd")
"""One of them is there where torch may find a GPU: NVIDIA's driver, that of Windows' Linux, of Jetson, AMD's.
Without any of them torch is not imported to count them."""


DRIVER = Path("/proc/driver/nvidia/version")

HIDDEN = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES by which a user hides every GPU."""


class GpuError(SettingError):
    """A GPU that is there but cannot be used."""


def gpus_here() -> tuple[int, Gpus]:
    """How many GPUs the driver counts on this node, and what torch finds of them.

    The driver's count comes from NVML, which also answers where CUDA cannot open the device.
    """
    if "torch" not in sys.modules and not any(Path(file).exists() for file in GPU_FILES):
        return 0, Gpus()
    import torch

    count = torch.cuda.device_count()
    if not count:
        return 0, Gpus()
    found: list[Any] = []
    try:
        for index in range(count):
            found.append(torch.cuda.get_device_properties(index))
    except (RuntimeError, AssertionError) as error:
        return count, Gpus(problem=_hidden(count, len(found), error) if found else _unusable(error))
    built = [
        name for name in torch.cuda.get_arch_list() if name.startswith(("sm_", "compute_"))
    ]  # AMD's: gfx
    for one in found:
        if built and not runs_on((one.major, one.minor), built):
            return count, Gpus(
                problem=f"found {one.name} of compute capability {one.major}.{one.minor}, expected one that "
                f"torch {torch.__version__} is built for ({' '.join(built)}); install a torch that is built "
                "for this GPU (https://pytorch.org/get-started), hide it by CUDA_VISIBLE_DEVICES, or train "
                "on the CPU by --gpus-per-trial 0"
            )
    reduced = all(one.major >= BFLOAT16_MAJOR for one in found)
    return count, Gpus(
        min(one.total_memory for one in found), reduced, name=same_name(one.name for one in found)
    )


def same_name(names: Iterable[str]) -> str:
    """The name that all have; empty where they differ."""
    kinds = set(names)
    return kinds.pop() if len(kinds) == 1 else ""


def cpu_name() -> str:
    """The CPU's model, as far as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


BFLOAT16_MAJOR = 8
"""Compute capability from which on a GPU computes in bfloat16."""


def runs_on(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Whether a GPU of this compute capability runs what is built for `built`, as `sm_86` or `compute_90`.

    Machine code (`sm_`) runs on its own major version from its minor one on, intermediate code (`compute_`)
    on every later one.
    """
    for name in built:
        kind, _, digits = name.partition("_")
        number = int("".join(character for character in digits if character.isdigit()))
        lowest = divmod(number, 10)
        if kind == "compute" and capability >= lowest:
            return True
        if kind == "sm" and capability[0] == lowest[0] and capability[1] >= lowest[1]:
            return True
    return False


def _hidden(count: int, opened: int, error: BaseException) -> str:
    message = " ".join(str(error).split()).rstrip(".")
    return (
        f"found {count} GPUs of which torch can open {opened} ({message}), expected all; of cards in MIG "
        "slices a process opens one: name the slice, or the whole cards to use, by CUDA_VISIBLE_DEVICES "
        "(nvidia-smi -L lists both)"
    )


def unused_gpu(driver: Path = DRIVER) -> str:
    """Why no GPU is used where NVIDIA's driver runs; empty without it, or where the user has hidden all."""
    if not driver.exists() or os.environ.get("CUDA_VISIBLE_DEVICES") in HIDDEN:
        return ""
    return "NVIDIA's driver runs here, but torch counts no GPU, so cells train on the CPU; --check says why"


def _unusable(error: BaseException) -> str:
    import torch

    message = " ".join(str(error).split()).rstrip(".")
    return (
        f"found a GPU that torch {torch.__version__} (CUDA {torch.version.cuda}) cannot open ({message}), "
        "expected a driver for this CUDA; update the driver, install a torch that is built for the driver's "
        "CUDA (https://pytorch.org/get-started), or train on the CPU by --gpus-per-trial 0"
    )


def of_machine(cpus: int, gpus_per_trial: float | None) -> Resources:
    """The resources of this machine.

    Raises:
        SettingError: the options leave no room for a single trial, or torch cannot use the GPU.
    """
    here = bounds()
    count, found = (0, Gpus()) if gpus_per_trial == 0 else gpus_here()
    at_hand = with_gpus(found, checked(cpus, gpus_per_trial, (here.cores,), (float(count),), found.memory))
    at_hand = replace(at_hand, why=here.why)
    if at_hand.device == "cuda":
        return at_hand
    memory = max(0, here.free - int(HELD_BACK * here.memory) - RAY_BYTES)
    unused = unused_gpu() if gpus_per_trial is None and not count else ""
    return replace(at_hand, device_name=cpu_name(), host_memory=memory, unused=unused)


def with_gpus(found: Gpus, resources: Resources) -> Resources:
    """`resources` in the type that the GPUs compute in, with their name.

    Raises:
        GpuError: torch cannot use one of them.
    """
    if found.problem:
        raise GpuError(f"GPU: {found.problem}")
    on_gpu = resources.device == "cuda"
    size = 2 if found.reduced and on_gpu else 4
    return replace(resources, element_bytes=size, device_name=found.name if on_gpu else "")


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
    if gpus_per_trial is not None and not 0 <= gpus_per_trial <= 1:
        raise SettingError(
            f"--gpus-per-trial: found {gpus_per_trial:g}, expected a share of one GPU between 0 and 1"
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
