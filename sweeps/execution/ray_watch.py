"""Notices that Ray has ended under a sweep, as by `ray stop`, and ends the sweep with a word on it.

Ray itself tries for a minute to reach what is gone, and then aborts the driver. A cluster that cannot be
reached for a while, as over a network that fails, is waited for: a head has ended that refuses
connections, or that has not answered for most of that minute. On this machine a process of Ray that stands
still is told by its state.
"""

from __future__ import annotations

import importlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
import ray

PRIVATE: Any = importlib.import_module("ray._raylet")
"""Ray's own extension module, which has no types."""

LOOK_EVERY = 0.5
REFUSED_SECONDS = 3.0
"""How long a head may refuse connections: one that is started again at once goes on."""

STILL_SECONDS = 3.0
"""How long a process of Ray here may be stopped (SIGSTOP): Ctrl-Z stops this driver as well."""
ANSWER_SECONDS = 5.0
"""How long a head may take for one answer."""
SILENT_SECONDS = 45.0
"""How long a head may give none; Ray aborts the driver after 60 s."""

ENDED = "Stopped: Ray has ended under the sweep ({what}). What was done is kept; the same command continues."


class RayWatch:
    """Watches the Ray that is connected, from a thread.

    Time is counted in looks, so that none passes while this process is stopped or the machine sleeps.

    Attributes:
        silent: looks since the head last answered.
        family: processes of Ray on this machine, if this driver has started it. Two of them lose the mark of
            the sweep's processes by giving themselves a title.
    """

    def __init__(self, ended: Callable[[str], None]) -> None:
        node: Any = ray._private.worker._global_node
        self.ended = ended
        started = [info.process.pid for infos in node.all_processes.values() for info in infos]
        self.roots = [found for pid in started if (found := _process(pid)) is not None]
        named = {one: one.name() for one in self.roots if _runs(one)}
        self.vital = {one: name for one, name in named.items() if name in ("raylet", "gcs_server")}
        self.address: str = ray.get_runtime_context().gcs_address
        self.family: set[psutil.Process] = set(self.roots)
        self.stopped = threading.Event()
        self.silent = 0
        self.thread = threading.Thread(target=self._look, name="ray-watch", daemon=True)
        self.thread.start()
        threading.Thread(target=self._ask, name="ray-answers", daemon=True).start()

    def close(self) -> None:
        """Watch no more."""
        self.stopped.set()
        self.thread.join()
        self._meet()

    def end_family(self) -> None:
        """End those processes of Ray that this driver has started, and their children."""
        for process in self.family:
            with suppress(psutil.Error):
                process.kill()  # not another one of the same number: psutil compares the start
        psutil.wait_procs(self.family, timeout=LOOK_EVERY)

    def _look(self) -> None:
        refused_since = float("inf")
        still = dict.fromkeys(self.vital, 0)
        while not self.stopped.wait(LOOK_EVERY):
            gone = [name for one, name in self.vital.items() if not _runs(one)]
            refused_since = min(refused_since, time.monotonic()) if self._refuses() else float("inf")
            still = {one: looks + 1 if _stands_still(one) else 0 for one, looks in still.items()}
            self.silent += 1
            if not gone and time.monotonic() - refused_since > REFUSED_SECONDS:
                gone = [f"its head at {self.address} refuses connections"]
            if not gone:
                gone = [
                    f"{self.vital[one]} was stopped"
                    for one, looks in still.items()
                    if looks * LOOK_EVERY > STILL_SECONDS
                ]
            if not gone and self.silent * LOOK_EVERY > SILENT_SECONDS:
                gone = [f"its head at {self.address} has not answered for {SILENT_SECONDS:.0f} s"]
            if gone and not self.stopped.is_set():
                self._meet()
                self.end_family()
                self.ended(ENDED.format(what=", ".join(gone)))
                return
            self._meet()

    def _ask(self) -> None:
        """Ask the head for an answer again and again."""
        client = PRIVATE.GcsClient(address=self.address)
        while not self.stopped.wait(LOOK_EVERY):
            with suppress(ray.exceptions.RayError):
                client.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster", timeout=ANSWER_SECONDS)
                self.silent = 0

    def _meet(self) -> None:
        """Get to know what Ray has started since."""
        for process in [one for one in self.roots if _runs(one)]:
            with suppress(psutil.Error):
                self.family.update(process.children(recursive=True))

    def _refuses(self) -> bool:
        if self.vital:
            return False
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _stands_still(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() == psutil.STATUS_STOPPED
    return False


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
