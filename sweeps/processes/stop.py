"""Ending a sweep early and cleanly: on a signal, a storage error, or the first failure if so wished.

A request lets every running trial write its checkpoint at the end of its epoch; what has not ended after the
grace is cut off and continues from its last checkpoint next time.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.processes import marked

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What ends a sweep early."""

GRACE_SECONDS = 20.0
"""Below what batch systems leave between SIGTERM and SIGKILL (30 s with Slurm and Kubernetes)."""

ONE_SIGNAL_SECONDS = 2.0
"""SIGTERM so soon after a signal is the same one: batch systems send it to a job and to its processes."""

LAST_SECONDS = 6.0
"""After the grace, for Tune to cut off what still runs; then everything ends: without some of Ray's processes
Tune would wait for ever."""

INTERRUPTED = 130
"""Exit status of a sweep that was interrupted."""


class Flag:
    """A Ray actor that running trials ask whether to stop; it works across nodes without shared storage."""

    def __init__(self) -> None:
        self.up = False

    def raise_it(self) -> None:
        self.up = True

    def is_up(self) -> bool:
        return self.up


class Stop(tune.Stopper):
    """The request to stop, as Tune sees it.

    Attributes:
        reason: why, in words; empty while nothing was requested.
        by_signal: whether a signal asked for it.
        executing: whether Tune is running and will look at the request.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self.reason, self.by_signal, self.executing = "", False, False
        self.grace, self.deadline = grace, float("inf")
        self.heard = float("-inf")
        self.flag: Any = None
        self.watchdog: threading.Timer | None = None

    def request(self, reason: str, *, by_signal: bool = False) -> None:
        """Ask for the end; the first reason stays. Safe in a signal handler."""
        if not self.reason:
            self.reason, self.by_signal = reason, by_signal
            self.deadline = time.monotonic() + self.grace

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.reason and self.flag is not None:
            self.flag.raise_it.remote()
            self.flag = None
        return time.monotonic() > self.deadline

    def raise_flag_for(self) -> Any:
        """A new flag for trials to ask; raised with the next step of Tune after a request.

        It stands on the driver's node, so that the loss of another one does not take it away.
        """
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Flag)
        self.flag = actor.options(scheduling_strategy=here).remote()
        return self.flag

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it into its own state, which nobody reads


@contextmanager
def on_signals(stop: Stop) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a request to stop, and the second into an end at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with handlers_restored():
        try:
            install(stop)
            yield
        finally:
            if stop.watchdog is not None:
                stop.watchdog.cancel()


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Whatever handlers of `SIGNALS` are set herein, those of before are set again at the end."""
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def install(stop: Stop) -> None:
    """Set the handlers; again after `ray.init`, which sets its own."""
    if threading.current_thread() is not threading.main_thread():
        return

    def handle(number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGTERM and time.monotonic() < stop.heard + ONE_SIGNAL_SECONDS:
            return
        if stop.reason:
            end_at_once()
        stop.heard = time.monotonic()
        stop.request(name, by_signal=True)
        stop.watchdog = threading.Timer(stop.grace + LAST_SECONDS, end_at_once)
        stop.watchdog.daemon = True
        stop.watchdog.start()
        if not stop.executing:
            raise KeyboardInterrupt(name)
        text = f"\n{name}: saving what is running, at most {stop.grace:.0f} s; once more stops at once\n"
        os.write(sys.stderr.fileno(), text.encode())

    for number in SIGNALS:
        signal.signal(number, handle)
    # Ray's workers block SIGINT, and a driver that one of them starts inherits that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started herein do not hear SIGTERM, nor do their children.

    A batch system sends it to all processes. Were Ray's to end by it, so would the trials before they could
    save, and the driver with Ray's own status. SIGINT is kept from them by Ray itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_once(said: str = "stopped at once; the same command continues", status: int = INTERRUPTED) -> None:
    """End this process and all of its children now; what is on disk is whole, and the next run continues."""
    os.write(sys.stderr.fileno(), f"\n{said}\n".encode())
    marked.end_own()
    os._exit(status)
