"""Files: one process at a time, and written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
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


def unwatched() -> None:
    """No lease to check: nobody else can write here."""


def allocate(file: int, size: int) -> None:
    """Take `size` bytes on disk for an open file now, what it holds unchanged: a full disk is an error here.

    Where the system has no `posix_fallocate` (macOS), zeros are written behind what is there.

    Args:
        file: descriptor, open for writing, but not for appending: a file system that cannot allocate (NFS
            before 4.2) is written to in its place, which the C library refuses in a file that only grows.

    Raises:
        OSError: no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    place = os.fstat(file).st_size
    while place < size:
        place += os.pwrite(file, ZEROS[: size - place], place)


ZEROS = memoryview(bytes(2**20))


@contextmanager
def atomic(path: Path, check: Callable[[], None] = unwatched) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place on success and is removed on failure.

    Args:
        check: looks at the lease, before and at the last moment; what it raises leaves `path` as it is.
    """
    check()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & stat.S_IMODE(path.parent.stat().st_mode) | 0o600)  # for whom the folder is
        check()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
