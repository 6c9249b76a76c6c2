"""`--address ray://host:port`: the same command on a node of that cluster, its output shown here.

Tune through Ray Client would run apart from the queue, the terminal and the signals that steer it. So all of
them go to the cluster, where this package has to be installed, and paths are those of its nodes.
"""

from __future__ import annotations

import codecs
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray

from sweeps.execution import addresses
from sweeps.processes.stop import heeded
from transfusion import restored
from transfusion.problems import SettingError

PATHS = ("out", "data", "cache", "imagenet", "study")
"""The options that are paths."""
POLL_SECONDS = 1.0
"""How soon a signal is passed on."""
ATTEMPTS = 3
"""To connect, where somebody listens."""


class Command:
    """A Ray actor that runs the command on its node."""

    def __init__(self, arguments: Sequence[str], columns: int) -> None:
        address = ray.get_runtime_context().gcs_address
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).parents[1] / "full_grid.py"),
                *arguments,
                "--address",
                address,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": str(columns), "PYTHONUNBUFFERED": "1"},
        )

    def read(self) -> bytes:
        """What it has printed since the last call; waits for some, and is empty only at its end."""
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), 65536)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def status(self) -> int:
        """Waits for its end; the exit status."""
        return self.process.wait()


def run(paths: Mapping[str, Path | str | None], address: str, arguments: Sequence[str]) -> int:
    """Run the command on the cluster at `address`; SIGINT and SIGTERM are passed on to it.

    Args:
        paths: what the options of `PATHS` say; None for those left out.

    Returns:
        Its exit status.

    Raises:
        SettingError: relative paths, which mean nothing there, or a cluster that cannot be reached.
    """
    refuse_relative(paths)
    with addresses.mode_restored(), restored.level("ray"):
        connect(address)
        try:
            columns = shutil.get_terminal_size().columns
            actor: Any = ray.remote(Command)
            command = actor.options(num_cpus=0, max_concurrency=2).remote(list(arguments), columns)
            with signals() as received:
                show = printer()
                while text := wait_for(command.read.remote(), command, received):
                    show(text)
            return int(ray.get(command.status.remote()))
        finally:
            ray.shutdown()


def printer() -> Callable[[bytes], None]:
    """Prints bytes as they come; a notebook's standard output takes text alone."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(text: bytes) -> None:
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(text)
        else:
            sys.stdout.write(decoder.decode(text))
        sys.stdout.flush()

    return show


def wait_for(answer: Any, command: Any, received: list[int]) -> bytes:
    """The actor's answer; meanwhile every signal is passed on."""
    while True:
        while received:
            ray.get(command.signal.remote(received.pop(0)))
        with suppress(ray.exceptions.GetTimeoutError):
            return bytes(ray.get(answer, timeout=POLL_SECONDS))


def refuse_relative(paths: Mapping[str, Path | str | None]) -> None:
    """Every folder must be an absolute one of the cluster's nodes, and OUT be named.

    Raises:
        SettingError: naming all that are not.
    """
    wrong = [
        f"--{name}: found {value or 'nothing'}, expected a path that starts with / and that all nodes share"
        for name, value in paths.items()
        if (value is None and name == "out")
        or (value is not None and "://" not in str(value) and not Path(value).is_absolute())
    ]
    if wrong:
        raise SettingError("\n".join(wrong))


def connect(address: str) -> None:
    """Connect through Ray Client, with the token of Ray's authentication where there is one.

    Raises:
        SettingError: no answer from there.
    """
    place = addresses.resolve(address)
    addresses.reach(place)
    logging.getLogger("ray").setLevel(logging.ERROR)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            ray.init(place.text)
            return
        except (ConnectionError, ValueError, RuntimeError) as error:
            # On a busy node Ray gives its own server for this client too little time to start.
            ray.shutdown()
            if attempt == ATTEMPTS:
                raise SettingError(
                    f"{place.told}: found no cluster ({error}), expected Ray's client server, mostly port "
                    "10001 of the head node; check it, and that the same Ray and Python are here as there"
                ) from error


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect the signals that end a sweep instead of ending by them; a thread of a program hears none."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    with restored.handlers():
        for number in heeded():
            signal.signal(number, lambda number, _frame: received.append(number))
        yield received
