"""What Ray needs of this machine, given to it or found missing first: a folder, a token, processes.

Ray would put its files below `/tmp/ray`, which may be another user's, and a token into the home folder, which
may be missing or read-only. A sweep's own Ray gets a folder and a token of its own, for as long as it runs.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import re
import resource
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import ray

from sweeps.processes import identity
from sweeps.processes.identity import ProcessIdentity
from sweeps.processes.stop import deaf_children
from transfusion.cgroups import bounds
from transfusion.problems import SettingError

PRIVATE: Any = importlib.import_module("ray._raylet")
"""Ray's own extension module, which has no types."""

PREFIX, OWNER = "sweep-", "driver.json"
PLACES = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
"""Where Ray's folder may lie, after TMPDIR."""

SOCKET_PATH = 107
"""Bytes that the path of a socket may have."""
BELOW = len("/sweep-12345678/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store.1")
"""What comes behind the place, up to Ray's longest socket."""

THREADS, THREADS_A_SLOT = 200, 60
"""Processes and threads that Ray takes, and with every trial at a time (260 measured with two)."""

FILES = 128
"""Open files without which Ray would wait in vain for its own processes (48 were too few, 128 enough for two
trials at a time)."""

TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")


def start(cleanup: ExitStack, options: Mapping[str, Any]) -> None:
    """Start Ray on this machine, reachable from it alone; all that it left lying goes with `cleanup`.

    Raises:
        SettingError: what this machine refuses.
    """
    cores = bounds().cores  # what a batch system or a container leaves us, not what there is
    refuse_few_processes(cores)
    refuse_few_files()
    give_back_memory()
    folder = cleanup.enter_context(own_folder())
    cleanup.enter_context(own_token())
    try:
        # "local": a cluster that happens to run on this machine is joined only where `--address` asks for it.
        with deaf_children():
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(folder),
                **options,
            )
    except Exception as error:
        raise SettingError(told(error, _last_word(folder))) from error
    _end_what_is_not_needed()


def give_back_memory() -> None:
    """Hand what the plan took back to the system, for the trials."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library has no such function
        ctypes.CDLL(None).malloc_trim(0)


def _end_what_is_not_needed() -> None:
    """End those of Ray's processes that serve its dashboard, logs in the terminal and cloud machines.

    They take 160 MiB (measured), and a sweep has no use for them.
    """
    node: Any = ray._private.worker._global_node
    for end in (node.kill_log_monitor, node.kill_monitor, node.kill_dashboard):
        end(check_alive=False)


def told(error: BaseException, word: str) -> str:
    """Why Ray could not start, and what to do.

    Args:
        word: what its first processes said last; they say nothing where the machine leaves them no time.
    """
    if SLOW.search(str(error)) and not word:
        return (
            f"Ray: its processes did not answer in time ({_last_line(error)}; load {os.getloadavg()[0]:.1f} "
            f"on {os.cpu_count()} cores), expected them to start within half a minute; run the same command "
            "again when this machine and its disk are less busy (if they are idle, look at `ulimit -a`)"
        )
    return (
        f"Ray: could not start here ({_last_line(error)}); {word}expected room for its processes, files and "
        "sockets; look at `ulimit -a`, and at the space in TMPDIR and /dev/shm"
    )


SLOW = re.compile("timed? ?out|deadline exceeded|not started in time", re.IGNORECASE)
"""How Ray tells that a process of its own, which is there, did not answer in time."""


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else type(error).__name__


def _last_word(folder: Path) -> str:
    """What Ray's first processes said last; empty where they said nothing."""
    for name in ("gcs_server.err", "raylet.err"):
        for file in folder.glob(f"session_2*/logs/{name}"):
            if lines := file.read_text(errors="replace").strip().splitlines():
                return f"its {name} says: {lines[0][:200]}; "
    return ""


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder for Ray's files, removed at the end, as are those that dead drivers of ours left behind.

    Raises:
        SettingError: nothing can be written anywhere, or only where paths are too long for sockets.
    """
    folder = _make()
    (folder / OWNER).write_text(json.dumps(asdict(identity.own())))
    try:
        yield folder
    finally:
        with suppress(OSError):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove it, the owner's name last: what is cut short, or filled again by a process that ends late, is
    found by the next start."""
    for one in folder.iterdir():
        if one.name != OWNER:
            shutil.rmtree(one, ignore_errors=True) if one.is_dir() and not one.is_symlink() else one.unlink()
    if [one.name for one in folder.iterdir()] == [OWNER]:
        shutil.rmtree(folder, ignore_errors=True)


def _make() -> Path:
    reasons = []
    for place in dict.fromkeys([Path(os.environ.get("TMPDIR") or "/tmp"), *PLACES]):
        if len(os.fsencode(place)) + BELOW > SOCKET_PATH:
            reasons.append(f"{place}: too long a path for sockets ({SOCKET_PATH - BELOW} bytes at most)")
            continue
        try:
            _sweep_up(place)
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        except OSError as error:
            reasons.append(f"{place}: {(error.strerror or str(error)).lower()}")
    raise SettingError(
        f"TMPDIR: found no folder for Ray's files ({'; '.join(reasons)}), expected one that can be written "
        "and has a short path; set TMPDIR to one"
    )


def _sweep_up(place: Path) -> None:
    """Remove folders that drivers of this user left in `place` when they were killed."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError):
            owner = ProcessIdentity.of_record(json.loads((folder / OWNER).read_text()))
            if folder.stat().st_uid == os.getuid() and identity.state(owner) == "dead":
                _remove(folder)


@contextmanager
def own_token() -> Iterator[None]:
    """A token for this Ray alone, handed on to its processes, written nowhere; unless the user has set one.

    Where authentication is off by `RAY_AUTH_MODE`, it stays off.
    """
    with ExitStack() as cleanup:
        if not any(os.environ.get(name) for name in TOKEN):
            os.environ[TOKEN[0]] = secrets.token_hex(32)
            cleanup.callback(_forget_token)
            PRIVATE.AuthenticationTokenLoader.instance().reset_cache()
        yield


def _forget_token() -> None:
    """Take the token, and the mode that Ray has set for it, away again."""
    for name in TOKEN:
        os.environ.pop(name, None)
    PRIVATE.Config.initialize("")  # reads the variables again
    PRIVATE.AuthenticationTokenLoader.instance().reset_cache()


def refuse_few_processes(slots: int) -> None:
    """Make sure that limits leave enough processes; without them Ray would hang or abort.

    Raises:
        SettingError: too few, with the limit's name.
    """
    needed = THREADS + slots * THREADS_A_SLOT
    for name, left, cure in _processes_left(needed):
        if left < needed:
            raise SettingError(
                f"{name}: found room for {max(left, 0)} more processes and threads, expected {needed} for "
                f"Ray and {slots} trials at a time; {cure}"
            )


def refuse_few_files() -> None:
    """Make sure that a process may open enough files; without them Ray would hang for half a minute.

    Raises:
        SettingError: too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES:
        return
    raised = hard == resource.RLIM_INFINITY or hard >= FILES
    cure = (
        f"ulimit -n {FILES} before the command, or more"
        if raised
        else "let an administrator raise it (nofile in /etc/security/limits.conf; LimitNOFILE of a service)"
    )
    raise SettingError(f"ulimit -n: found {soft} open files, expected {FILES} or more for Ray; {cure}")


def _processes_left(needed: int) -> Iterator[tuple[str, int, str]]:
    """Every limit of processes and threads: its name, what it leaves, and how to have `needed` of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        own = _own_threads()
        raised = hard == resource.RLIM_INFINITY or hard - own >= needed
        cure = (
            f"ulimit -u {own + needed} before the command"
            if raised
            else "let an administrator raise it (nproc in /etc/security/limits.conf; TasksMax of a service)"
        )
        yield "ulimit -u", soft - own, f"{cure}, or end processes of your own"
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/pids")):
        with suppress(OSError, ValueError):
            most = int((folder / "pids.max").read_text())  # "max" is no number, and no limit
            used = int((folder / "pids.current").read_text())
            yield f"pids limit of the container ({folder}/pids.max)", most - used, "raise --pids-limit"


def _own_threads() -> int:
    """Threads of all processes of this user."""
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.uids().real == os.getuid():
                count += process.num_threads()
    return count
