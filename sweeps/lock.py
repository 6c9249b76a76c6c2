"""One driver at a time on one OUT, across processes and across the nodes that share the folder.

The lock is the file `driver.json`: who holds it, renewed while it is held. On one machine a holder is known
to be dead when its process is gone; one on another machine, when its file is not renewed while we watch.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from sweeps import processes
from transfusion.results import atomic

FILE, GATE = "driver.json", ".driver.lock"
RENEWED_EVERY, DEAD_AFTER = 10.0, 45.0
"""Seconds between two renewals, and without one until a holder on another machine is taken for dead."""

PASSING: dict[str, Any] = {}
"""In place of a holder: somebody is just taking the lock or letting it go."""


class LockedError(Exception):
    """Another driver works in OUT: its host, its process and its start."""


@contextmanager
def held(
    out: Path, *, wait: bool, say: Callable[[str], None], dead_after: float = DEAD_AFTER
) -> Iterator[None]:
    """Hold the lock of `out`.

    Args:
        wait: for another driver to end, instead of refusing.
        say: shows a line while waiting.

    Raises:
        LockedError: another driver holds it and `wait` is false.
        OSError: `out` cannot be written.
    """
    new = _make(out)
    file, mine = out / FILE, _owner()
    said = False
    try:
        while (holder := _take(file, mine, dead_after)) is not None:
            if holder == PASSING:
                time.sleep(0.05)
                continue
            if not wait:
                raise LockedError(
                    f"{out}: found another sweep at work on {holder['host']}, process {holder['pid']}, since "
                    f"{holder['started']}; expected none. Wait for it (--wait), end it, or name another --out"
                )
            if not said:
                say(f"waiting for the sweep on {holder['host']}, process {holder['pid']}, to end")
                said = True
            time.sleep(1.0)
        ended = threading.Event()
        keeper = threading.Thread(target=_renew, args=(file, mine, ended), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()
            file.unlink(missing_ok=True)
    finally:
        _unmake(new)


def _make(out: Path) -> list[Path]:
    """Make the folder `out`; returns the folders that were not there, the innermost first."""
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    return new


def _unmake(folders: Sequence[Path]) -> None:
    """Remove those of `folders` that nothing was put into."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # not empty
            return


def _owner() -> dict[str, Any]:
    created = psutil.Process().create_time()
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "created": created,
        "started": datetime.fromtimestamp(created).astimezone().isoformat(timespec="seconds"),
        "command": os.path.basename(sys.argv[0]),  # noqa: PTH119 - a name, not a path; options stay private
        "token": uuid.uuid4().hex,
    }


def _take(file: Path, mine: dict[str, Any], dead_after: float) -> dict[str, Any] | None:
    """Take the lock, or return its living holder. The gate makes looking and taking one step."""
    path = file.with_name(GATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        gate = path.open("a")
    except FileNotFoundError:  # the folder went with the lock of another
        return PASSING
    with gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(gate.fileno()).st_ino != path.stat().st_ino:
                return PASSING
        except (BlockingIOError, FileNotFoundError):  # another is in the gate, or has removed it since
            return read(file) or PASSING
        try:
            holder = read(file)
            if holder is not None and _living(file, holder, dead_after):
                return holder
            _write(file, mine)
            return None
        finally:
            path.unlink()


def _living(file: Path, holder: dict[str, Any], dead_after: float) -> bool:
    if holder["host"] == platform.node():
        return processes.alive(holder["pid"], holder["created"])
    deadline = time.monotonic() + dead_after
    while time.monotonic() < deadline:
        time.sleep(min(1.0, dead_after / 10))
        now = read(file)
        if now is None:
            return False
        if now["renewals"] != holder["renewals"] or now["token"] != holder["token"]:
            return True
    return False


def read(file: Path) -> dict[str, Any] | None:
    """Who holds the lock, or None."""
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _write(file: Path, owner: dict[str, Any], renewals: int = 0) -> None:
    with atomic(file) as temporary:
        temporary.write_text(json.dumps({**owner, "renewals": renewals}))


def _renew(file: Path, owner: dict[str, Any], ended: threading.Event) -> None:
    renewals = 0
    while not ended.wait(RENEWED_EVERY):
        renewals += 1
        try:
            _write(file, owner, renewals)
        except OSError:
            continue  # a full disk: the trials' own writes stop the sweep and say why
