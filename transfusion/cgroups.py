"""What a container may use of its machine: the CPU quota and memory limit of its control groups.

An affinity says which cores there are, and a machine's memory how much is built in. Containers and batch jobs
are mostly bounded otherwise: by a quota of CPU time and a limit of memory, of their own control group or of
one above it; of version 1, version 2, or both at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

UNLIMITED = 2**60
"""Version 1 writes a number of this size where there is no limit."""


@dataclass(frozen=True)
class Bounds:
    """What this process may use.

    Attributes:
        cores: whole ones, at least one.
        memory: bytes in all, and of these what is free.
        why: what bounds the cores to fewer than the affinity; empty where nothing does.
    """

    cores: int
    memory: int
    free: int
    why: str = ""


def cores_of_process() -> int:
    """Cores that the system may run this process on; all of them where it cannot bind one (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bounds(root: Path = Path("/")) -> Bounds:
    """The bounds of this process.

    Args:
        root: of the file system, another one for tests.
    """
    affinity = cores_of_process()
    quotas = list(_quotas(root))
    quota = min((cores for cores, _ in quotas), default=math.inf)
    cores = min(affinity, max(1, math.floor(quota + 1e-9))) if quotas else affinity
    why = next((f"{file} allows {found:g}" for found, file in quotas if found == quota), "")
    machine = psutil.virtual_memory()
    memory, free = machine.total, machine.available
    for limit, used in _memory(root):
        memory, free = min(memory, limit), min(free, max(0, limit - used))
    return Bounds(cores, memory, free, why if cores < affinity else "")


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups of a controller, and of all above them that can be seen.

    A container mostly sees its own group as the root, under a path that is the host's: then only the root is
    there.
    """
    mounts = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    paths = {}
    for line in lines:
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        paths.update(dict.fromkeys(names.split(","), path))
    for base, name in (
        (mounts, ""),
        (mounts / "unified", ""),
        (mounts / controller, controller),
        (mounts / "cpu,cpuacct", controller),
        (mounts / "cpuacct,cpu", controller),
    ):
        if not base.is_dir():
            continue
        inner = paths.get(name, "/").strip("/")
        while inner not in ("", "."):
            yield base / inner
            inner = str(Path(inner).parent)
        yield base


def _quotas(root: Path) -> Iterator[tuple[float, Path]]:
    """Every quota, in cores, with the file that sets it."""
    for group in dict.fromkeys(_groups(root, "cpu")):
        with suppress(OSError, ValueError):
            quota, _, period = (group / "cpu.max").read_text().partition(" ")
            yield int(quota) / int(period), group / "cpu.max"  # "max" is no number, and no quota
        with suppress(OSError, ValueError):
            file = group / "cpu.cfs_quota_us"
            quota_us = int(file.read_text())
            if quota_us > 0:
                yield quota_us / int((group / "cpu.cfs_period_us").read_text()), file


def _memory(root: Path) -> Iterator[tuple[int, int]]:
    """Every limit of memory with what is used of it, in bytes; cached files do not count as used."""
    for group in dict.fromkeys(_groups(root, "memory")):
        for limit, current in (
            ("memory.max", "memory.current"),
            ("memory.high", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):
                most = int((group / limit).read_text())
                if most < UNLIMITED:
                    yield most, int((group / current).read_text()) - _reclaimable(group)


def _reclaimable(group: Path) -> int:
    """Bytes of cached files, which the kernel drops when memory is short."""
    with suppress(OSError, ValueError):
        rows = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        found = {name: int(value) for name, value in rows}
        return found.get("total_inactive_file", found.get("inactive_file", 0))
    return 0
