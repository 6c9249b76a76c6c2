"""Which process, beyond doubt: by the machine's boot, the namespaces and the start in clock ticks since then.

A process number alone is used again, a wall-clock time of birth moves when the clock is stepped, and a
host's name is shared by containers and cloned machines.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

State = Literal["alive", "dead", "unknown"]

PROC = Path("/proc")
STATE, START_TICKS = 0, 19
"""Fields of `/proc/PID/stat` after the command's name, which may itself contain spaces and brackets."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, for all machines and times.

    Attributes:
        boot: of the kernel, new with every start of the machine; empty where it cannot be known.
        namespaces: in which process numbers, and ticks, mean the same.
        ticks: from boot to the start of the process.
    """

    host: str
    boot: str
    namespaces: str
    pid: int
    ticks: int

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> ProcessIdentity:
        """The one that a lock names; unknown where it does not name one."""
        numbers = [record.get(name) for name in ("pid", "ticks")]
        words = [record.get(name) for name in ("host", "boot", "namespaces")]
        if not all(type(one) is int and one > 0 for one in numbers) or not all(
            isinstance(one, str) for one in words
        ):
            return cls("", "", "", 0, 0)
        return cls(*words, *numbers)  # type: ignore[arg-type]


def own() -> ProcessIdentity:
    """This process; without a boot where `/proc` is missing, or is that of another namespace."""
    pid = os.getpid()
    known = partial(ProcessIdentity, host=platform.node(), pid=pid)
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespaces = f"{_namespace('pid')}.{_namespace('time')}"
    except OSError:
        return known(boot="", namespaces="", ticks=0)
    found = _stat(pid)
    if found is None or not boot or not _proc_is_ours(pid):
        return known(boot="", namespaces="", ticks=0)
    return known(boot=boot, namespaces=namespaces, ticks=found[1])


def state(process: ProcessIdentity) -> State:
    """Whether a process runs; unknown unless of this boot, in these namespaces, on a host of this name."""
    here = own()
    if not here.boot or (process.boot, process.namespaces, process.host) != (
        here.boot,
        here.namespaces,
        here.host,
    ):
        return "unknown"
    if process.pid <= 0:
        return "unknown"
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return "dead"
    except PermissionError:
        pass  # another user's: its state can be read all the same, mostly
    found = _stat(process.pid)
    if found is None:
        return "unknown"
    letter, ticks = found
    return "alive" if ticks == process.ticks and letter not in "ZX" else "dead"


def _stat(pid: int) -> tuple[str, int] | None:
    """Letter of its state and ticks at its start; None where they cannot be read."""
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return fields[STATE].decode(), int(fields[START_TICKS])
    except (OSError, IndexError, ValueError):
        return None


def _namespace(kind: str) -> int:
    try:
        return (PROC / "self/ns" / kind).stat().st_ino
    except FileNotFoundError:
        if kind == "time":  # Linux before 5.6 has none
            return 0
        raise


def _proc_is_ours(pid: int) -> bool:
    """Whether `/proc` numbers processes as this process does, and is not that of an outer namespace."""
    try:
        if (PROC / "self").readlink().name != str(pid):
            return False
        lines = (PROC / "self/status").read_text().splitlines()
    except OSError:
        return False
    return all(line.split()[1:] == [str(pid)] for line in lines if line.startswith("NSpid:"))
