"""What of a machine stands in a sweep's way, beside the speed of its devices: each with what to do."""

from __future__ import annotations

import os
import resource
import shutil
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from sweeps.planning.gpus import DESKTOP_BYTES, DRIVER
from transfusion.cgroups import bounds
from transfusion.problems import Problem

FILES = 4096
"""Open files that a sweep's processes may each need: Ray holds several for every process of the machine."""

FILES_PER_TRIAL = 64

SHARED_BYTES = 2**30
"""Of /dev/shm: where it is smaller than Ray's object store, Ray falls back to the disk."""

GIB = 2**30


@dataclass(frozen=True)
class Facts:
    """What the system says of itself.

    Attributes:
        compiler: a C compiler is there; `headers`: those of Python.
        shared: bytes of /dev/shm, None where there is none (macOS).
        files: open files that a process may have, and how far it may raise that.
        memory: bytes that are free in this container, or on this machine.
        driver: what NVIDIA's driver says of itself, empty without one.
        cuda: version of CUDA that torch is built for, None for a CPU's build.
        gpus: that torch counts.
        disks: free bytes by what lies there and where.
        load: processes that wanted a core in the last minute.
    """

    compiler: bool
    headers: bool
    shared: int | None
    files: tuple[int, int]
    memory: int
    driver: str
    cuda: str | None
    gpus: int
    disks: tuple[tuple[str, Path, int], ...] = ()
    load: float = 0.0


@dataclass(frozen=True)
class Needs:
    """What the plan needs of it.

    Attributes:
        on_gpu: trials train on a GPU; compiled: and long enough to be compiled.
        trials: at once on this machine.
        memory: bytes of the host that one of them takes, 0 where that was not measured.
        disks: bytes by what lies there.
    """

    on_gpu: bool
    compiled: bool
    trials: int
    memory: int
    disks: dict[str, int]


def look(places: Iterable[tuple[str, Path]]) -> Facts:
    """The facts of this machine.

    Args:
        places: what lies where: (`--out`, its folder), which need not exist.
    """
    shared = Path("/dev/shm")
    return Facts(
        compiler=any(shutil.which(name) for name in (os.environ.get("CC") or "cc", "gcc", "clang")),
        headers=(Path(sysconfig.get_path("include")) / "Python.h").exists(),
        shared=shutil.disk_usage(shared).total if shared.exists() else None,
        files=resource.getrlimit(resource.RLIMIT_NOFILE),
        memory=bounds().free,
        driver=DRIVER.read_text().splitlines()[0] if DRIVER.exists() else "",
        cuda=torch.version.cuda,
        gpus=torch.cuda.device_count(),
        disks=tuple((name, path, shutil.disk_usage(_existing(path)).free) for name, path in places),
        load=os.getloadavg()[0],
    )


def problems(facts: Facts, needs: Needs) -> list[Problem]:
    """What is wrong, everything at once."""
    found = []
    if facts.driver and not facts.gpus and not needs.on_gpu:
        built = f"torch built for CUDA {facts.cuda}" if facts.cuda else "a torch built for the CPU alone"
        found.append(
            Problem(
                "GPU",
                f"NVIDIA's driver ({facts.driver}) and {built}, which counts no GPU",
                "a torch that finds it",
                "install torch for the driver's CUDA (https://pytorch.org/get-started); in a container give "
                "it the GPU (docker run --gpus all); look at CUDA_VISIBLE_DEVICES",
            )
        )
    if needs.on_gpu and needs.compiled and not (facts.compiler and facts.headers):
        missing = [
            name
            for name, there in (
                ("C compiler", facts.compiler),
                ("Python.h (headers of Python)", facts.headers),
            )
            if not there
        ]
        found.append(
            Problem(
                "compiler",
                f"no {' and no '.join(missing)}",
                "both, for torch.compile; without them long cells train uncompiled",
                "install them (Debian: apt-get install gcc python3-dev)",
            )
        )
    if facts.shared is not None and facts.shared < SHARED_BYTES:
        found.append(
            Problem(
                "/dev/shm",
                f"{_gib(facts.shared)}",
                f"at least {_gib(SHARED_BYTES)} for Ray's object store, which else lies on the disk",
                "start the container with more (docker run --shm-size=4g; on Kubernetes an emptyDir of "
                "medium Memory at /dev/shm)",
            )
        )
    found += _file_problems(facts, needs)
    if needs.memory * needs.trials > facts.memory:
        found.append(
            Problem(
                "memory",
                f"{_gib(facts.memory)} free",
                f"{_gib(needs.memory * needs.trials)} for {needs.trials} trials of up to "
                f"{_gib(needs.memory)} each",
                "end what else runs here, or let fewer trials run at once by a larger --cpus-per-trial",
            )
        )
    for name, path, free in facts.disks:
        if (need := needs.disks.get(name, 0)) > free:
            found.append(
                Problem(
                    f"disk of {name} ({path})", f"{_gib(free)} free", f"at least {_gib(need)}",
                    "make room, or name another folder",
                )
            )  # fmt: skip
    return found


def used_by_others(gpus: Iterable[tuple[int, int]]) -> list[Problem]:
    """GPUs of which others hold more than a desktop does; each (bytes that they hold, all bytes)."""
    return [
        Problem(
            f"memory of GPU {index}", f"{_gib(used)} of {_gib(total)} in use by others",
            "a card that nobody else computes on: a plan reckons shares from what is left of its memory",
            "end what runs there (nvidia-smi names it), or name other cards by CUDA_VISIBLE_DEVICES",
        )
        for index, (used, total) in enumerate(gpus)
        if used > DESKTOP_BYTES
    ]  # fmt: skip


def _file_problems(facts: Facts, needs: Needs) -> list[Problem]:
    soft, hard = facts.files
    need = max(FILES, FILES_PER_TRIAL * needs.trials)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return []
    advice = (
        f"ulimit -n {need} before the command"
        if hard == resource.RLIM_INFINITY or hard >= need
        else "let an administrator raise it (nofile in /etc/security/limits.conf; docker run --ulimit "
        f"nofile={need}; LimitNOFILE of a service)"
    )
    return [Problem("open files (ulimit -n)", f"{soft:,}", f"at least {need:,}", advice)]


def _existing(path: Path) -> Path:
    """The folder that is there already, of those above `path` and itself."""
    path = path.resolve()
    return next(one for one in (path, *path.parents) if one.exists())


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
