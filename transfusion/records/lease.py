"""The lease of a sweep on its OUT, as a trial sees it: whoever has lost it writes nothing more.

The file names the holder by a token that no other sweep has. It is looked at before every write, on whatever
node; only its holder ever renews it.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

LOOKS, BETWEEN_LOOKS = 5, 0.1
"""How often a file is looked for before it is gone, and the seconds between: a sweep that finds a lock to be
another's than it took it for puts it back."""

NOWHERE = (errno.ENOENT, errno.ESTALE)
"""The file is not there, or (on NFS) no longer what its name means."""


class LostError(Exception):
    """Another sweep has taken OUT: nothing more is written there."""


@dataclass(frozen=True)
class Lease:
    """Permission to write into a folder.

    Attributes:
        file: names the holder; it lies in that folder.
        token: of the holder that this lease belongs to.
    """

    file: Path
    token: str

    def check(self) -> None:
        """Check that it still holds.

        Raises:
            LostError: another sweep has it, or the file is gone.
            OSError: the file cannot be read.
        """
        self._look(lambda _stream: None)

    def renew(self) -> None:
        """Show that its holder lives, by the file's time; what is not its own is left as it is.

        Raises:
            LostError, OSError: as `check`.
        """
        self._look(lambda stream: os.utime(stream.fileno()))

    def _look(self, then: Callable[[BinaryIO], None]) -> None:
        record: dict[str, Any] | None = None
        for attempt in range(LOOKS):
            if attempt:
                time.sleep(BETWEEN_LOOKS)
            try:
                with self.file.open("rb") as stream:
                    record = record_of(stream.read())
                    if record.get("token") == self.token:
                        then(stream)
                        return
            except OSError as error:
                if error.errno not in NOWHERE:
                    raise
                continue
            if record:
                break
        raise LostError(lost(str(self.file.parent), record))


def record_of(content: bytes) -> dict[str, Any]:
    """What a lock says of its holder; nothing where it is no such record."""
    try:
        record = json.loads(content)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def lost(place: str, record: dict[str, Any] | None) -> str:
    """What is said of a lost lease, by what lies in its place."""
    if record is None:
        return f"{place}: its lock is gone, so another sweep may have taken it; nothing more is written"
    return f"another sweep took {place}: {named(record)}; nothing more is written"


def named(record: dict[str, Any]) -> str:
    """Host, process and start of a holder, for people."""
    return (
        f"{record.get('host', 'an unknown machine')}, process {record.get('pid', '?')}, "
        f"since {record.get('started', '?')}"
    )
