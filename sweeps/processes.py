"""Our own processes, known by a mark in their environment that every child inherits, Ray's included.

`kill -9` of a driver leaves some of Ray's processes behind. The next start on the same OUT ends those that
carry the mark of a driver that is dead, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

MARK = "TRANSFUSION_SWEEP"
SECONDS = 5.0
"""How long to wait for processes to end."""
ROUNDS = 5
"""How often to look again for what a dying process has started."""


@contextmanager
def marked(out: str) -> Iterator[None]:
    """Mark this process, and so every child that it starts, as the driver of the sweep in `out`."""
    before = os.environ.get(MARK)
    os.environ[MARK] = f"{os.getpid()}:{psutil.Process().create_time()}:{out}"
    try:
        yield
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before


def alive(pid: int, created: float) -> bool:
    """Whether the process with this id and this time of creation still runs."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_orphans(out: str) -> int:
    """End what dead drivers of `out` left behind on this machine; returns how many processes."""
    return _end(lambda pid, created, theirs: theirs == out and pid != os.getpid() and not alive(pid, created))


def end_own() -> int:
    """End every process that carries this driver's mark, but not the driver; returns how many."""
    return _end(lambda pid, created, theirs: pid == os.getpid())


def _mark_of(process: psutil.Process) -> tuple[int, float, str]:
    """Driver's id, its time of creation and its OUT; zeros and nothing for a process without the mark."""
    try:
        if process.uids().real != os.getuid():
            return 0, 0.0, ""
        text = process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return 0, 0.0, ""
    pid, _, rest = text.partition(":")
    created, _, out = rest.partition(":")
    return (int(pid), float(created), out) if pid else (0, 0.0, "")


def _end(ours: Callable[[int, float, str], bool]) -> int:
    """End the processes whose mark is `ours`, and again what they were just starting."""
    ended = 0
    for _ in range(ROUNDS):
        found = [one for one in psutil.process_iter() if one.pid != os.getpid() and ours(*_mark_of(one))]
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(found, timeout=SECONDS)
        ended += len(found)
        if not found:
            break
    return ended
