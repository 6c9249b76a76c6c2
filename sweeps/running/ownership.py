"""OUT, taken for one driver: its lock, its mirror of an object store, and what dead drivers left behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sweeps.processes import marked
from sweeps.processes.stop import end_at_once
from sweeps.storage import object_store, sharing
from sweeps.storage.lock import Waiting, held
from sweeps.storage.object_store import ObjectStore
from sweeps.storage.places import Places
from sweeps.storage.store_lock import held_prefix
from transfusion.problems import InputError, SettingError

LOST = 1
"""Exit status of a sweep that has lost OUT to another."""


def take(places: Places, waiting: Waiting, cleanup: ExitStack) -> Callable[[], None]:
    """Lock OUT until the end, and end what dead drivers left behind; returns the look at the lease.

    Raises:
        LockedError: another driver is at work there.
        SettingError: OUT cannot be written.
    """
    out, store = places.out, places.store
    cleanup.enter_context(sharing.written_for_the_group(out))
    sharing.refuse_unwritable(out)
    try:
        lease = cleanup.enter_context(held(out, waiting, end_lost))
    except OSError as error:
        raise unwritable(out, error) from error
    orphans = marked.end_orphans(str(out.resolve()))
    if orphans.ended:
        waiting.say(f"ended {orphans.ended} processes that an earlier sweep on {out} left behind")
    if orphans.left:
        waiting.say(
            f"left {orphans.left} processes alone that another sweep on {out} has started: it is not known "
            "to be dead; end them yourself if they are in the way"
        )
    if store is None:
        return lease.check
    try:
        return cleanup.enter_context(held_prefix(store, waiting, end_lost))
    except OSError as error:
        raise unusable_store(store, error) from error


def unwritable(out: Path, error: OSError) -> SettingError:
    """What to say of an OUT that cannot be written."""
    return SettingError(
        f"--out {out}: found a folder that cannot be written ({error.strerror}), expected one that can; "
        "name another, or change its owner or mount"
    )


@contextmanager
def told_if_unwritable(out: Path) -> Iterator[None]:
    """What a plan alone cannot write below OUT, which it takes no lock on, is told as a sweep would tell it.

    Raises:
        SettingError: OUT cannot be written.
    """
    try:
        yield
    except OSError as error:
        place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        if place is None or not place.absolute().is_relative_to(out.absolute()):
            raise
        raise unwritable(out, error) from error


def end_lost(why: str) -> None:
    """The end of a sweep that has lost OUT: at once, as nothing of it may be written there any more."""
    end_at_once(f"Stopped: {why}", LOST)


@contextmanager
def no_phantom_if_refused(out: Path) -> Iterator[None]:
    """Delete the phantom if it was written only to check options that were then refused."""
    embedded = out / "phantom"
    there = embedded.exists()
    try:
        yield
    except (SettingError, InputError):
        if not there:
            shutil.rmtree(embedded, ignore_errors=True)
        raise


def fetch(store: ObjectStore, out: Path) -> None:
    """Bring the local mirror up to date.

    Raises:
        SettingError: the store cannot be reached or read.
    """
    try:
        object_store.pull(store, out)
    except OSError as error:
        raise unusable_store(store, error) from error


def unusable_store(store: ObjectStore, error: OSError) -> SettingError:
    """What to say of a store that cannot be used."""
    return SettingError(
        f"--out {store.uri}: found a store that cannot be read or written ({error}), expected one that can; "
        "check the address, the region or endpoint, and the keys in the environment"
    )
