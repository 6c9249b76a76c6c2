"""The commands `transfusion-sweep` and `transfusion-analysis`: which code they run, and how they end.

The packages' own names are common ones: `sweeps` is also Weights & Biases', and many a lab has a folder
`analysis`. This module has a name that nobody else has, stands beside them, and makes sure of them before
anything is imported. Standard library only.
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent
PACKAGES = ("sweeps", "transfusion", "analysis")
UNUSABLE, INTERRUPTED = 2, 130


class Beside(MetaPathFinder):
    """Finds the packages beside this file before anything that the environment has under their names."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [str(ROOT)]) if path is None and fullname in PACKAGES else None


def come_first() -> None:
    """Let this process find the packages beside this file, whatever is installed or on its path."""
    if not any(isinstance(finder, Beside) for finder in sys.meta_path):
        sys.meta_path.insert(0, Beside())


def strangers() -> list[str]:
    """Packages under our names that are not those beside this file: what was found where, what to do."""
    found = []
    for name in PACKAGES:
        expected = ROOT / name / "__init__.py"
        place = origin(name)
        if place is None or not _same(place, expected):
            found.append(
                f"{name}: found {place or 'no such package'}, expected {expected}; remove or rename what "
                "stands in its way, take its folder from PYTHONPATH, or run from another folder"
            )
    return found


def origin(name: str) -> str | None:
    """The file that `import name` gives, or has given, in this process; it is not imported for that."""
    if (module := sys.modules.get(name)) is not None:
        places = iter(getattr(module, "__path__", ["no file"]))
        return getattr(module, "__file__", None) or str(next(places))
    spec = find_spec(name)
    if spec is None:
        return None
    return spec.origin or str(next(iter(spec.submodule_search_locations or ["no file"])))


def _same(place: str, expected: Path) -> bool:
    try:
        return expected.samefile(place)
    except OSError:
        return False


def sweep() -> int:
    """`transfusion-sweep`, and `python sweeps/full_grid.py`: the grid."""
    return _command("sweeps.full_grid", "transfusion-sweep", options="sweeps.options.command_line")


def analysis() -> int:
    """`transfusion-analysis`: what `python -m analysis` does."""
    return _command("analysis.__main__", "transfusion-analysis")


def _command(module: str, name: str, options: str | None = None) -> int:
    """Run `main` of `module`; returns its exit status, with which the process then ends at once.

    Args:
        options: the module that has the command line, where that one is quicker to import.

    What other code has registered for the end of the process is still called, and threads are waited for. But
    Python would then look for garbage among all modules, for seconds.
    """
    status: list[int] = []
    _end_quietly_on_signals()
    if not _someone_else_waits_for_the_end():
        atexit.register(_end_at_once, status)  # the first to register is the last to be called
    come_first()
    try:
        if wrong := strangers():
            print("Nothing was started.", *wrong, sep="\n", file=sys.stderr)
            status.append(UNUSABLE)
        elif "--version" in sys.argv[1:]:
            print(f"{name} {version()}")
            status.append(0)
        else:
            importlib.import_module("sweeps.processes.streams").outlast_readers()
            if options is not None:  # help or a mistyped option ends here, before torch and Ray are imported
                importlib.import_module(options).parser().parse_args()
            status.append(int(importlib.import_module(module).main()))
    except SystemExit as end:  # of argparse, after help or a mistyped option
        if isinstance(end.code, int):
            status.append(end.code)
        raise
    return status[0]


def _end_quietly_on_signals() -> None:
    """Until the command sets handlers of its own, after seconds of imports: no traceback out of those."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_quietly)


def _end_quietly(number: int, _frame: FrameType | None) -> None:
    os.write(2, f"\n{signal.Signals(number).name}; the same command continues.\n".encode())
    os._exit(INTERRUPTED)


def version() -> str:
    """Version, commit and place of the code that runs."""
    code = importlib.import_module("transfusion.records.code_version").code_version()
    return f"{code.describe()}, in {ROOT}"


def _someone_else_waits_for_the_end() -> bool:
    return bool(atexit._ncallbacks())


def _end_at_once(status: list[int]) -> None:
    """End the process with the status of its command, if the command came to its end."""
    if not status:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # a closed pipe or a full disk: Python's own end says so, and has a status for it
    os._exit(status[0])
