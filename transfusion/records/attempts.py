"""The log of a cell's attempts: one line a start or an end without a result, kept across restarts.

It answers how often a cell was started, and at which share of a device it ran out of memory.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from transfusion.files import unwatched

ATTEMPTS = "attempts.jsonl"


def add(folder: Path, event: str, share: float, check: Callable[[], None] = unwatched) -> None:
    """Append a line to the log of the cell in `folder`; behind one that was cut off it begins a new line.

    Args:
        event: `started`, `out_of_memory` or `lost`.
        share: of a device that the attempt was given.
        check: looks at the lease first.
    """
    check()
    folder.mkdir(parents=True, exist_ok=True)
    line = {"event": event, "share": share, "time": _now(), "host": platform.node(), "pid": os.getpid()}
    with (folder / ATTEMPTS).open("ab+") as file:
        torn = file.tell() > 0 and _last_byte(file) != b"\n"
        file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log, oldest first; lines that were cut off by a crash are left out."""
    try:
        lines = (folder / ATTEMPTS).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except ValueError:  # no JSON, or a character cut in two
            continue
    return entries


def exhausted_share(folder: Path) -> float | None:
    """The largest share at which the cell ran out of memory, or None."""
    shares = [line["share"] for line in read(folder) if line["event"] == "out_of_memory"]
    return max(shares, default=None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
