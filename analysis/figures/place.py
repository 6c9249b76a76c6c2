"""A folder for matplotlib's own files where the user's home cannot be written: else it complains of that."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

VARIABLE = "MPLCONFIGDIR"


def give_matplotlib_a_place() -> None:
    """Name a folder for as long as this process runs, unless the user's own will do.

    To be called before matplotlib is imported.
    """
    if os.environ.get(VARIABLE) or all(map(_can_be_written, _usual())):
        return
    folder = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder


def _usual() -> list[Path]:
    """Where matplotlib keeps its settings and its list of fonts."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (without a home this stays what it is)
    if not sys.platform.startswith(("linux", "freebsd")):
        return [home / ".matplotlib"]
    places = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
    return [Path(os.environ.get(name) or home / usual) / "matplotlib" for name, usual in places.items()]


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
