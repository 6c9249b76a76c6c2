"""The bytes of one file as a digest, and the size and times that tell whether it still is that file."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray

DIGEST_BYTES = 16
"""Of BLAKE2b (RFC 7693)."""

STAMP = ("size", "modified_ns", "changed_ns")
"""What the file system says of a file: bytes, time of its content, and time of its inode. No program can set
the last: a file put in another's place has a new one, also where the time of its content was kept."""

UNSETTLED_NS = 2 * 10**9
"""A file that changed this shortly before it was read may change again without a new time: times of some file
systems are two seconds apart. It is read again next time."""

LARGEST_PIECE = 2**22
"""Bytes of a file that are in memory."""


@dataclass(frozen=True, eq=False)
class FileBytes:
    """What reading a file gave: its digest, and its size and times meanwhile."""

    digest: bytes
    stamp: tuple[int, int, int]


def read_file(file: Path) -> FileBytes:
    """Reads all bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    began = time.time_ns()
    stream = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        before = os.fstat(stream)
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        while data := os.read(stream, min(before.st_size + 1, LARGEST_PIECE)):
            digest.update(data)
        after = os.fstat(stream)
    finally:
        os.close(stream)
    size, modified, changed = _of(before)
    if changed > began - UNSETTLED_NS or _of(after) != (size, modified, changed):
        changed = -1
    return FileBytes(digest.digest(), (size, modified, changed))


def unchanged(file: Path, stamp: Array) -> bool:
    """Whether `file` still is what `read_file` gave `stamp` for, as far as size and times tell."""
    now = stamp_of(str(file))
    return now[:2] == tuple(stamp[:2]) and stamp[2] in (now[2], -1)


def _of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def stamp_of(path: str) -> tuple[int, int, int]:
    """As `STAMP`; -1 where the file is not there."""
    try:
        return _of(os.stat(path))  # noqa: PTH116 - 200,000 times
    except OSError:
        return (-1, -1, -1)
