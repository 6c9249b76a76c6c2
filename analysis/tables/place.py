"""The folder that an analysis writes to: one analysis at a time, elsewhere where OUT is not to be written."""

from __future__ import annotations

import errno
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout

from analysis.tables.schema import EvidenceError
from analysis.tables.store import evidence_folder

LOCK = ".analysis.lock"
RECORDS = ("sweep.json", "looks.json", "judged.json")
"""What no cell tells: how the sweep was run, its looks, and the verdicts that were printed before."""
PATIENCE_SECONDS = 1.0
"""After so long a wait is told."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer: some NFS, Lustre and FUSE mounts."""


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold `place` against other analyses; waits for one that is at work.

    Where the file system has no locks, a file that is renewed stands for the lock.

    Raises:
        EvidenceError: it cannot be written.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock: BaseFileLock = FileLock(place / LOCK)
        try:
            _acquire(lock, place)
        except OSError as problem:
            if problem.errno not in NO_LOCKS or isinstance(problem, Timeout):
                raise
            lock = SoftFileLease(place / f"{LOCK}.held")
            _acquire(lock, place)
    except (OSError, NotImplementedError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise EvidenceError(
            f"{place}: found a folder that cannot be written ({reason}); name another one for "
            "tables, figures and report: --to DIR"
        ) from problem
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, place: Path) -> None:
    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # where it has to do without `flock`
        try:
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout:
            print(f"analysis: waiting for another analysis of {place} to end", file=sys.stderr)
            lock.acquire()


def bring(out: Path, place: Path) -> None:
    """Copy what tables of evidence of `out` there are, and the sweep's own record, to `place`.

    Raises:
        EvidenceError: `place` holds a sweep's cells.
    """
    if (place / "cells").exists():
        raise EvidenceError(f"--to {place}: found a sweep's own cells; name a new folder")
    folder = place / "evidence"
    folder.mkdir(exist_ok=True)
    tables = [] if (out / "cells").is_dir() else sorted(evidence_folder(out).glob("*.parquet"))
    for file in tables:
        shutil.copyfile(file, folder / file.name)
    for record in (out / name for name in RECORDS):
        if record.exists():
            shutil.copyfile(record, place / record.name)
