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
from contextlib import contextmanager, suppress
from typing import Any

from sweeps.processes import marked
from transfusion import restored

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a sweep early; SIGHUP, as of a closed terminal, unless it is ignored (`nohup`)."""

GRACE_SECONDS = 20.0
"""Below what batch systems leave between SIGTERM and SIGKILL (30 s with Slurm and Kubernetes)."""

ONE_SIGNAL_SECONDS = 2.0
"""SIGTERM so soon after a signal is the same one: batch systems send it to a job and to its processes."""

UNWINDING_SECONDS = 5.0
"""For a sweep that trains nothing, from a signal to its end: what cannot be interrupted is then cut off."""

LAST_SECONDS = 6.0
"""After the grace, for Tune to cut off what still runs; then everything ends: without some of Ray's processes
Tune would wait for ever."""

INTERRUPTED = 130
"""Exit status of a sweep that was interrupted."""

_ENDING = threading.Lock()
"""Held by the first that ends this process."""


class Stop:
    """The request to stop.

    Attributes:
        reason: why, in words; empty while nothing was requested.
        by_signal: whether a signal asked for it.
        executing: whether Tune is running and will look at the request.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self.reason, self.by_signal, self.executing = "", False, False
        self.grace, self.deadline = grace, float("inf")
        self.heard = float("-inf")
        self.watchdog: threading.Timer | None = None

    def request(self, reason: str, *, by_signal: bool = False) -> None:
        """Ask for the end; the first reason stays. Safe in a signal handler."""
        if not self.reason:
            self.reason, self.by_signal = reason, by_signal
            self.deadline = time.monotonic() + self.grace

    def overdue(self) -> bool:
        """Whether what still runs is to be cut off."""
        return time.monotonic() > self.deadline


@contextmanager
def on_signals(stop: Stop) -> Iterator[None]:
    """Turn the first of `SIGNALS` into a request to stop, and a second into an end at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with restored.handlers(), _heard_at_once(stop):
        try:
            install(stop)
            yield
        finally:
            if stop.watchdog is not None:
                stop.watchdog.cancel()


@contextmanager
def _heard_at_once(stop: Stop) -> Iterator[None]:
    """A thread that hears signals while the main one is deaf to them, as in a connection that waits."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def listen() -> None:
        while heard := os.read(read, 1):
            if heard[0] in heeded() and not stop.reason:
                time.sleep(UNWINDING_SECONDS)
                if not stop.reason:
                    end_at_once(f"{signal.Signals(heard[0]).name}; the same command continues")
        os.close(read)

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write)  # ends the thread


def heeded() -> list[signal.Signals]:
    """Those of `SIGNALS` that count for this process: not a SIGHUP that it was told to ignore."""
    return [
        number
        for number in SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]


def install(stop: Stop) -> None:
    """Set the handlers; again after `ray.init`, which sets its own."""
    if threading.current_thread() is not threading.main_thread():
        return

    def handle(number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGTERM and time.monotonic() < stop.heard + ONE_SIGNAL_SECONDS:
            return
        if stop.reason and number == signal.SIGHUP:  # of the system and of the shell, for one terminal
            return
        if stop.reason:
            end_at_once()
        stop.heard = time.monotonic()
        stop.request(name, by_signal=True)
        seconds = stop.grace + LAST_SECONDS if stop.executing else UNWINDING_SECONDS
        stop.watchdog = threading.Timer(seconds, end_at_once)
        stop.watchdog.daemon = True
        stop.watchdog.start()
        if not stop.executing:
            raise KeyboardInterrupt(name)
        say(f"{name}: saving what is running, at most {stop.grace:.0f} s; once more stops at once")

    for number in heeded():
        signal.signal(number, handle)
    # Ray's workers block SIGINT, and a driver that one of them starts inherits that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started herein do not hear `SIGNALS`, nor do their children.

    A batch system sends SIGTERM to all processes, a terminal SIGINT and SIGHUP. Were Ray's to end by it, so
    would the trials before they could save, and the driver with Ray's own status.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_once(
    message: str = "stopped at once; the same command continues", status: int = INTERRUPTED
) -> None:
    """End this process and all of its children now; what is on disk is whole, and the next run continues.

    Once: Ray, which ends with it, must not be taken for a Ray that died.
    """
    if not _ENDING.acquire(blocking=False):
        if threading.current_thread() is not threading.main_thread():
            time.sleep(LAST_SECONDS)
        return
    try:
        say(message)
        marked.end_own()
        os._exit(status)
    finally:
        _ENDING.release()


def say(text: str) -> None:
    """Write a line on standard error from wherever the program is, if anybody reads it."""
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), f"\n{text}\n".encode())
