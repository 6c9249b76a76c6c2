"""What lies where a file was looked for, so that an error can say more than that it is not there."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from pathlib import Path

NO_IMAGES = re.compile(r"mask|seg|annot|label|heat|thumb|overlay|cache", re.IGNORECASE)
"""Names of folders that may hold files of the same names as the images, and are not they."""

SHOWN = 4
"""Names that are told of a folder."""

NOTHING = "nothing"
"""What a folder without entries holds."""

MOST_ENTRIES = 20_000
"""Of a larger folder, names are not compared."""


def missing(file: Path) -> str:
    """Why there is no such file: a folder above it is not there either; else the name that comes nearest."""
    above = file.parent
    if above.is_dir():
        names = listing(above)
        close = difflib.get_close_matches(file.name, names[:MOST_ENTRIES], 1, 0.75)
        return f"; {close[0]!r} is there" if close else f"; that folder holds {listed(names)}"
    absent = above
    while not absent.parent.is_dir() and absent.parent != absent:
        absent = absent.parent
    return f"; {absent.parent} holds no {absent.name!r}, but {listed(listing(absent.parent))}"


def listed(names: tuple[str, ...]) -> str:
    """`'a', 'b', 'c', 'd' and 12 more`, or `nothing`."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more if names else NOTHING


def entries(folder: Path) -> tuple[str, ...]:
    """Names in a folder, hidden ones left out; none where it cannot be read."""
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")))
    except OSError:
        return ()


def listing(folder: Path) -> tuple[str, ...]:
    """`entries`, read again where the folder has changed since."""
    try:
        return _entries_then(folder, folder.stat().st_mtime_ns)
    except OSError:
        return ()


@lru_cache(maxsize=64)
def _entries_then(folder: Path, changed: int) -> tuple[str, ...]:
    return entries(folder)
