"""An OUT that several people share: what is written there is for all of them, or the missing bit is named."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transfusion.problems import SettingError

FOLDERS = ("", "cells", "cells/*", "cache", "content", "evidence", "figures", "tune", "phantom")
"""What a sweep writes into, below OUT."""


@contextmanager
def written_for_the_group(out: Path) -> Iterator[None]:
    """Where OUT's own bits say that it is shared (set-group-id, writable for the group), what is written
    herein stays writable for the group, whatever the umask says."""
    place = next((one for one in (out, *out.parents) if one.exists()), out)
    mode = place.stat().st_mode
    if not (mode & stat.S_ISGID and mode & stat.S_IWGRP):
        yield
        return
    before = os.umask(0o022)
    os.umask(before & ~0o070)
    try:
        yield
    finally:
        os.umask(before)


def refuse_unwritable(out: Path) -> None:
    """Make sure that what others have written in OUT can be read and added to.

    Raises:
        SettingError: naming the first place, whose it is, and which bit is missing.
    """
    missing = list(_missing(out))
    if not missing:
        return
    place, bits = missing[0]
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        raise SettingError(
            f"--out {out}: found {place} that cannot be written (Read-only file system), expected one that "
            "can be written; mount it so, or name another folder"
        )
    found = place.stat()
    more = f" (and {len(missing) - 1} more places)" if len(missing) > 1 else ""
    whose = f"of user {_user(found.st_uid)} and group {_group(found.st_gid)}"
    raise SettingError(
        f"--out {out}: found {place}{more} {whose} with mode {stat.S_IMODE(found.st_mode):04o}, expected to "
        f"be allowed to {bits} there; its owner runs `chmod -R g+rwX {out}` (you must be of the group), or "
        "name another folder"
    )


def _missing(out: Path) -> Iterator[tuple[Path, str]]:
    for pattern in FOLDERS:
        for place in sorted(out.glob(pattern)) if pattern else [out]:
            if not place.is_dir():
                continue
            wanted = {"read": os.R_OK, "write": os.W_OK, "enter": os.X_OK}
            denied = [word for word, bit in wanted.items() if not os.access(place, bit, effective_ids=True)]
            if denied:
                yield place, " and ".join(denied)
            elif (result := place / "result.json").exists() and not os.access(result, os.R_OK):
                yield result, "read"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
