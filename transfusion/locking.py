"""One process at a time."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLease

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer: some NFS, Lustre and FUSE mounts."""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds `file` locked against every other process; the system frees it when a process dies.

    Where the file system has no locks, a file beside it stands for the lock, and is known to be a dead
    process's when that is gone, or has not renewed it for half a minute.
    """
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            with SoftFileLease(file.with_name(f"{file.name}.held")):
                yield
            return
        yield
