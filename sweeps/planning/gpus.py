"""The GPUs of a node as torch finds them: how many, how large, of which kind, and why one cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfusion.problems import SettingError
from transfusion.records.failures import failure_of
from transfusion.study import Precision

GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia", "/dev/dxg", "/dev/nvmap", "/dev/kfd")
"""One of them is there where torch may find a GPU: NVIDIA's driver, that of Windows' Linux, of Jetson, AMD's.
Without any of them torch is not imported to count them."""

DRIVER = Path("/proc/driver/nvidia/version")

HIDDEN = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES that hide every GPU."""

BFLOAT16_MAJOR = 8
"""Compute capability from which on a GPU computes in bfloat16."""

DESKTOP_BYTES = 2**29
"""Of a GPU's memory that may be in use: a screen's."""

SETTLED_SECONDS = 2.0
"""Until memory that is in use is looked at again: processes of an earlier run may just be ending."""

USED = ("nvidia-smi", "--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Gpus:
    """What torch finds of the GPUs of one node.

    Attributes:
        memory: bytes of the one that has least, None without one.
        reduced: all of them compute in bfloat16.
        problem: why torch cannot use one that is there; empty where it can.
        name: of all of them, empty where they are of several kinds.
        told: what others hold of them; mostly empty.
    """

    memory: int | None = None
    reduced: bool = False
    problem: str = ""
    name: str = ""
    told: str = ""


class GpuError(SettingError):
    """A GPU that is there but cannot be used."""


def gpus_here(*, less_used: bool = False) -> tuple[int, Gpus]:
    """How many GPUs the driver counts on this node, and what torch finds of them.

    The driver's count comes from NVML, which also answers where CUDA cannot open the device.

    Args:
        less_used: count only the memory that nobody uses: where nothing of this sweep runs yet.
    """
    if "torch" not in sys.modules and not any(Path(file).exists() for file in GPU_FILES):
        return 0, Gpus()
    import torch

    count = torch.cuda.device_count()
    if not count:
        return 0, Gpus()
    used = used_bytes() if less_used else {}  # before torch opens a GPU, and holds memory itself
    found: list[Any] = []
    try:
        for index in range(count):
            found.append(torch.cuda.get_device_properties(index))
    except (RuntimeError, AssertionError) as error:
        return count, Gpus(problem=_hidden(count, len(found), error) if found else _unusable(error))
    if problem := _not_built_for(found):
        return count, Gpus(problem=problem)
    held = [used.get(str(getattr(one, "uuid", "")).removeprefix("GPU-"), 0) for one in found]
    return count, Gpus(
        memory=min(max(0, one.total_memory - taken) for one, taken in zip(found, held, strict=True)),
        reduced=all(one.major >= BFLOAT16_MAJOR for one in found),
        name=same_name(one.name for one in found),
        told="\n".join(
            f"GPU {index}: others hold {taken / 2**30:.1f} GiB of {one.total_memory / 2**30:.1f} GiB; shares "
            "are reckoned from what is left on the fullest GPU"
            for index, (one, taken) in enumerate(zip(found, held, strict=True))
            if taken
        ),
    )


def used_bytes() -> dict[str, int]:
    """Bytes in use of GPUs on which others compute, by UUID; nothing where the driver does not tell."""
    found = _told_used()
    if found:
        time.sleep(SETTLED_SECONDS)
        again = _told_used()
        found = {name: min(used, again.get(name, 0)) for name, used in found.items()}
    return found


def _told_used() -> dict[str, int]:
    try:
        told = subprocess.run(USED, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    pairs = (line.split(",") for line in told.splitlines() if line.count(",") == 1)
    mebibytes = {uuid.strip().removeprefix("GPU-"): text.strip() for uuid, text in pairs}
    found = {uuid: int(text) * 2**20 for uuid, text in mebibytes.items() if text.isdigit()}
    return {uuid: used for uuid, used in found.items() if used > DESKTOP_BYTES}


def unfit(precision: Precision) -> str:
    """Why a cell cannot be trained on the GPU that this process has; empty where it can.

    Since the plan a driver may have been exchanged, a card have failed, a node of another kind have joined.
    """
    import torch

    try:
        here = torch.cuda.get_device_properties(0)
    except (RuntimeError, AssertionError) as error:
        return "" if failure_of(error) == "out_of_memory" else _unusable(error)
    if precision == "bfloat16" and here.major < BFLOAT16_MAJOR:
        return (
            f"found {here.name}, which has no bfloat16, expected a GPU like those of the plan, whose cells "
            "compute in it; leave such GPUs out, or run the command again, which then sees them all"
        )
    return ""


def same_name(names: Iterable[str]) -> str:
    """The name that all have; empty where they differ."""
    kinds = set(names)
    return kinds.pop() if len(kinds) == 1 else ""


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


def _not_built_for(found: Iterable[Any]) -> str:
    import torch

    named = torch.cuda.get_arch_list()
    built = [name for name in named if name.startswith(("sm_", "compute_"))]  # AMD's: gfx
    for one in found:
        if built and not runs_on((one.major, one.minor), built):
            return (
                f"found {one.name} of compute capability {one.major}.{one.minor}, expected one that "
                f"torch {torch.__version__} is built for ({' '.join(built)}); install a torch that is built "
                "for this GPU (https://pytorch.org/get-started), hide it by CUDA_VISIBLE_DEVICES, or train "
                "on the CPU by --gpus-per-trial 0"
            )
    return ""


def _hidden(count: int, opened: int, error: BaseException) -> str:
    message = " ".join(str(error).split()).rstrip(".")
    return (
        f"found {count} GPUs of which torch can open {opened} ({message}), expected all; of cards in MIG "
        "slices a process opens one: name the slice, or the whole cards to use, by CUDA_VISIBLE_DEVICES "
        "(nvidia-smi -L lists both)"
    )


def unused_gpu(driver: Path = DRIVER) -> str:
    """Why no GPU is used where NVIDIA's driver runs; empty without it."""
    if not driver.exists():
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in HIDDEN:  # the user's wish, or that of a batch system which was asked for no GPU
        return f"CUDA_VISIBLE_DEVICES={visible} hides every GPU from this process, so cells train on the CPU"
    return "NVIDIA's driver runs here, but torch counts no GPU, so cells train on the CPU; --check says why"


def _unusable(error: BaseException) -> str:
    import torch

    message = " ".join(str(error).split()).rstrip(".")
    return (
        f"found a GPU that torch {torch.__version__} (CUDA {torch.version.cuda}) cannot open ({message}), "
        "expected a driver for this CUDA; update the driver, install a torch that is built for the driver's "
        "CUDA (https://pytorch.org/get-started), or train on the CPU by --gpus-per-trial 0"
    )
