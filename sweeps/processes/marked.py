"""Our own processes, known by a mark in their environment that every child inherits, Ray's included.

`kill -9` of a driver leaves some of Ray's processes behind. The next start on the same OUT ends those that
carry the mark of a driver of this boot and namespace that is known to be dead, and nothing else. Where that
cannot be known (no `/proc`, a container's process seen from outside), nothing is ended.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from sweeps.processes import identity
from sweeps.processes.identity import ProcessIdentity
from transfusion import restored

MARK = "TRANSFUSION_SWEEP"
SECONDS = 5.0
"""How long to wait for processes to end."""
ROUNDS = 5
"""How often to look again for what a dying process has started."""


@dataclass(frozen=True)
class Mark:
    """What the environment of a sweep's process says: `boot:namespaces:pid:ticks:device:inode:OUT`.

    Attributes:
        folder: device and inode of OUT, as its path may mean another folder in another mount namespace.
    """

    driver: ProcessIdentity
    folder: tuple[int, int]
    out: str

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """The mark that `text` is, or None where it is none of this form."""
        try:
            boot, namespaces, pid, ticks, device, inode, out = text.split(":", 6)
            driver = ProcessIdentity(platform.node(), boot, namespaces, int(pid), int(ticks))
            return cls(driver, (int(device), int(inode)), out)
        except ValueError:
            return None

    def __str__(self) -> str:
        one = self.driver
        parts = (one.boot, one.namespaces, one.pid, one.ticks, *self.folder, self.out)
        return ":".join(map(str, parts))


@dataclass(frozen=True)
class Orphans:
    """What earlier sweeps on an OUT left behind here: how many were ended, and how many left alone."""

    ended: int
    left: int


def folder_identity(out: str | Path) -> tuple[int, int]:
    """Device and inode of a folder; zeros where there is none."""
    try:
        found = Path(out).stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


@contextmanager
def marked(out: str) -> Iterator[None]:
    """Mark this process, and so every child that it starts, as the driver of the sweep in `out`."""
    with restored.variables(MARK):
        os.environ[MARK] = str(Mark(identity.own(), folder_identity(out), out))
        yield


def end_orphans(out: str) -> Orphans:
    """End what dead drivers of `out` left behind here; what is not known to be so is left alone."""
    folder = folder_identity(out)

    def orphaned(text: str) -> bool:
        mark = Mark.parse(text)
        return mark is not None and mark.folder == folder != (0, 0) and identity.state(mark.driver) == "dead"

    def of_another(text: str) -> bool:
        mark = Mark.parse(text)
        if mark is None:  # of another version, or made up
            return text.endswith(f":{out}")
        return (mark.out == out or mark.folder == folder) and not _own(mark)

    return Orphans(ended=_end(orphaned), left=sum(of_another(text) for _, text in _marked_processes()))


def end_own() -> int:
    """End every process that carries this driver's mark, but not the driver; returns how many."""
    return _end(lambda text: (mark := Mark.parse(text)) is not None and _own(mark))


def _own(mark: Mark) -> bool:
    me = identity.own()
    return bool(me.boot) and dataclasses.replace(mark.driver, host=me.host) == me


def _marked_processes() -> list[tuple[psutil.Process, str]]:
    """Every other process of this user that carries a mark, with it."""
    found = ((one, _text_of(one)) for one in psutil.process_iter() if one.pid != os.getpid())
    return [(process, text) for process, text in found if text]


def _text_of(process: psutil.Process) -> str:
    """The mark of a process of this user; empty without one, or where it cannot be read."""
    try:
        if process.uids().real != os.getuid():
            return ""
        # Not psutil's: it stops at the gap that a process leaves by setting its title, as Ray's agents do.
        entries = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        start = f"{MARK}=".encode()
        return next((os.fsdecode(one[len(start) :]) for one in entries if one.startswith(start)), "")
    except (psutil.Error, OSError):
        return ""


def _end(ours: Callable[[str], bool]) -> int:
    """End the processes whose mark is `ours`, and again what they were just starting.

    All at one blow, the youngest first: Ray ends its driver, us, as soon as its raylet is gone.
    """
    ended = 0
    for _ in range(ROUNDS):
        with ExitStack() as handles:
            found = [
                (process, handle)
                for process, text in _marked_processes()
                if ours(text) and (handle := _handle(process.pid, text, handles)) is not None
            ]
            for process, handle in reversed(found):
                _kill(process.pid, handle)
        psutil.wait_procs([process for process, _ in found], timeout=SECONDS)
        ended += len(found)
        if not found:
            break
    return ended


NO_HANDLE = -1
"""In place of a handle, on Linux before 5.3, which has none."""


def _handle(pid: int, text: str, cleanup: ExitStack) -> int | None:
    """A handle of the process that carries this mark; None if it is gone, or its number is another's by now.

    A handle stays with its process, so that a number which is used again in between hits nobody else.
    """
    try:
        handle = os.pidfd_open(pid)
        cleanup.callback(os.close, handle)
    except ProcessLookupError:
        return None
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        handle = NO_HANDLE
    try:
        return handle if _text_of(psutil.Process(pid)) == text else None
    except psutil.Error:
        return None


def _kill(pid: int, handle: int) -> None:
    with suppress(ProcessLookupError):
        if handle == NO_HANDLE:
            os.kill(pid, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
