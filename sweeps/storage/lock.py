"""One driver at a time on one OUT, across processes and across the nodes that share the folder.

The lock is the file `driver.json`: who holds it. It appears whole or not at all, its holder shows by its time
that it lives, and nobody ever writes into it again: so a sweep that slept cannot take it back by mistake. On
one machine a holder is known to be dead when its process is gone; any other, when its file does not change
while we watch. Whoever has lost it learns so at the next look, and there is one before every write.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import psutil

from sweeps.processes import identity
from sweeps.processes.identity import ProcessIdentity, State
from sweeps.processes.marked import folder_identity
from transfusion.records.lease import NOWHERE, Lease, LostError, named, record_of
from transfusion.records.lease import lost as lost_words

FILE = "driver.json"
RENEWED_EVERY, DEAD_AFTER = 5.0, 45.0
"""Seconds between two renewals, and without one until a holder that cannot be looked at is taken for dead."""
PAUSE = 1.0
"""Seconds between two looks at another's lock."""

NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)
"""What file systems without hard links answer."""


class LockedError(Exception):
    """Another driver works in OUT: its host, its process and its start."""


@dataclass(frozen=True)
class Holder:
    """Who was found to hold a lock.

    Attributes:
        record: what it says of itself; empty where it cannot be read.
        sign: changes with every renewal, and with every new holder.
    """

    record: dict[str, Any]
    sign: tuple[Any, ...]


class Place(Protocol):
    """Where a lock lies: a folder, or the prefix of an object store."""

    def read(self) -> Holder | None:
        """Who holds it now, or None."""

    def take(self, instead_of: Holder | None) -> bool:
        """Take it if nobody holds it, or if nobody but this dead one does: in one step, or not at all."""

    def state_of(self, holder: Holder) -> State:
        """Whether the holder lives, as far as can be known at once."""


@dataclass(frozen=True)
class Folder:
    """The lock of a folder.

    Attributes:
        draft: the record of the one who wants it, whole, beside the lock.
        record: the same.
    """

    file: Path
    draft: Path
    record: dict[str, Any]

    def read(self) -> Holder | None:
        return _read(self.file)

    def take(self, instead_of: Holder | None) -> bool:
        if instead_of is not None:
            _set_aside(self.file, lambda found: found == instead_of)
        return _create(self.draft, self.file, self.record["token"])

    def state_of(self, holder: Holder) -> State:
        if self._is_copy(holder.record):
            return "dead"
        return identity.state(ProcessIdentity.of_record(holder.record))

    def _is_copy(self, record: dict[str, Any]) -> bool:
        """Whether this folder is a copy of the one that its lock was made in, which lies elsewhere.

        The same folder, seen twice through two file systems, has two identities as well; but what we have
        written here is seen there.
        """
        theirs, where = record.get("folder"), record.get("out")
        if not self.record["boot"] or record.get("boot") != self.record["boot"] or not isinstance(where, str):
            return False
        if theirs == self.record["folder"] or list(folder_identity(where)) != theirs:
            return False
        return not (Path(where) / self.draft.name).exists()


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How to wait for a lock: at all, with which words, and how long for one who gives no sign of life."""

    wait: bool
    say: Callable[[str], None]
    dead_after: float = DEAD_AFTER


@contextmanager
def held(out: Path, waiting: Waiting, lost: Callable[[str], None] = lambda text: None) -> Iterator[Lease]:
    """Hold the lock of `out`.

    Args:
        lost: called, by a thread, with why the lock is no longer held.

    Raises:
        LockedError: another driver holds it and waiting is not wanted.
        OSError: `out` cannot be written.
        LostError: at the end, if another sweep has taken it since the last look.
    """
    new = _make(out)
    try:
        with _draft(out) as draft:
            record = {**owner(), "out": str(out.resolve()), "folder": list(folder_identity(out))}
            _fill(draft, json.dumps(record))
            lease = Lease(out.resolve() / FILE, record["token"])  # trials work in other folders
            acquire(Folder(lease.file, draft, record), str(out), waiting)
        try:
            with kept(lease.renew, lost):
                yield lease
        except BaseException:
            with suppress(OSError):
                _release(lease)
            raise
        if not _release(lease):
            found = _read(lease.file)
            raise LostError(lost_words(str(out), found.record if found else None))
    finally:
        _unmake(new)


def acquire(place: Place, name: str, waiting: Waiting) -> None:
    """Take the lock at `place`.

    Raises:
        LockedError: a living driver holds it and waiting is not wanted.
    """
    seen: Holder | None = None
    silent, told = 0.0, ""
    pause = min(PAUSE, waiting.dead_after / 10)
    while True:
        if place.take(None):
            return
        if (holder := place.read()) is None:
            time.sleep(pause / 20)
            continue
        state = place.state_of(holder)
        if seen is None or holder.sign != seen.sign:
            silent = 0.0
            if seen is not None and state == "unknown":  # it renews
                state = "alive"
        seen = holder
        if state == "dead" or (state == "unknown" and silent >= waiting.dead_after):
            if place.take(holder):
                return
            seen = None
            continue
        if state == "alive" and not waiting.wait:
            raise LockedError(
                f"{name}: found another sweep at work on {named(holder.record)}; expected none. Wait for it "
                "(--wait), end it, or name another --out"
            )
        words = (
            f"waiting for the sweep on {named(holder.record)}, to end"
            if waiting.wait
            else f"looking, for at most {waiting.dead_after:.0f} s, whether the sweep on "
            f"{named(holder.record)}, lives"
        )
        if words != told:
            waiting.say(words)
            told = words
        began = time.monotonic()
        time.sleep(pause)
        # Had we slept ourselves, the holder may just be waking as well.
        silent += min(time.monotonic() - began, 2 * pause)


@contextmanager
def kept(renew: Callable[[], None], lost: Callable[[str], None]) -> Iterator[None]:
    """Renew a lock herein, from a thread.

    Args:
        lost: called with why, once it is no longer held; then nothing is renewed any more.
    """
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(RENEWED_EVERY):
            try:
                renew()
            except LostError as error:
                lost(str(error))
                return
            except OSError:
                continue  # the trials' own writes stop the sweep and say why; a look comes before each

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def owner() -> dict[str, Any]:
    """What a lock says of this process."""
    me = identity.own()
    started = datetime.fromtimestamp(psutil.Process().create_time())
    return {
        "host": me.host,
        "pid": me.pid,
        "started": started.astimezone().isoformat(timespec="seconds"),
        "command": os.path.basename(sys.argv[0]),  # noqa: PTH119 - a name, not a path; options stay private
        "boot": me.boot,
        "namespaces": me.namespaces,
        "ticks": me.ticks,
        "token": uuid.uuid4().hex,
    }


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


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """An empty file in `out`, which cannot be removed while it lies there."""
    while True:
        out.mkdir(parents=True, exist_ok=True)
        try:
            handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=out)
            break
        except FileNotFoundError:  # the folder went with the lock of another
            continue
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _fill(file: Path, text: str) -> None:
    with file.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    file.chmod(0o644)  # whoever shares the folder reads who holds it


def _read(file: Path) -> Holder | None:
    """Who holds a lock, or None."""
    try:
        with file.open("rb") as stream:
            found, content = os.fstat(stream.fileno()), stream.read()
    except OSError as error:
        if error.errno not in NOWHERE:
            raise
        return Holder({}, ()) if file.is_symlink() else None  # a link to nothing is in the way all the same
    return Holder(record_of(content), (found.st_ino, found.st_mtime_ns))


def _create(draft: Path, file: Path, token: str) -> bool:
    """Make `file` of `draft`, whole; False if it exists."""
    try:
        os.link(draft, file)
    except FileExistsError:  # or made by us, and the answer of the server was lost
        found = _read(file)
        return found is not None and found.record.get("token") == token
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:
            with file.open("x") as stream:
                stream.write(draft.read_text())
        except FileExistsError:
            return False
        file.chmod(0o644)
    return True


def _release(lease: Lease) -> bool:
    """Let a lock go; False if it is another's."""
    return _set_aside(lease.file, lambda found: found.record.get("token") == lease.token)


def _set_aside(file: Path, is_it: Callable[[Holder], bool]) -> bool:
    """Remove the lock if it is the one that is meant; another's that came in its place is put back."""
    found = _read(file)
    if found is None or not is_it(found):
        return False
    aside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        file.rename(aside)
    except FileNotFoundError:
        return False
    moved = _read(aside)
    if moved is not None and is_it(moved):
        aside.unlink(missing_ok=True)
        return True
    try:
        os.link(aside, file)
    except FileExistsError:
        pass  # a third has it; whoever is displaced finds out at the next look
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        aside.rename(file)
    aside.unlink(missing_ok=True)
    return False
