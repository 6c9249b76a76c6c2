"""Processes that run side by side, of which any may die; and parts of a benchmark, of which any may fail."""

from __future__ import annotations

import multiprocessing
import queue
import time
import traceback
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any

Job = Callable[[int, Callable[[], Any]], float]
"""From the number of processes, and what waits until all have begun, to images a second."""


def side_by_side(job: Job, count: int, patience: float = 600.0) -> list[float | str]:
    """What each of `count` processes that run `job` at once answers, or what it died of; none is waited for
    longer than `patience` seconds."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    members = [context.Process(target=one_of, args=(job, i, barrier, answers)) for i in range(count)]
    for member in members:
        member.start()
    found: dict[int, float | str] = {}
    deadline = time.monotonic() + patience
    while len(found) < count and time.monotonic() < deadline:
        dead = [i for i, member in enumerate(members) if member.exitcode is not None]
        try:
            index, answer = answers.get(timeout=1)
            found[index] = answer
            continue
        except queue.Empty:
            pass
        for i in dead:  # dead before the queue was seen to be empty: it has not answered
            found.setdefault(i, f"died, exit code {members[i].exitcode}")
            barrier.abort()
    for member in members:
        member.join(timeout=1)
        member.kill()
    return [found.get(i, f"no answer in {patience:.0f} s") for i in range(count)]


def one_of(job: Job, index: int, barrier: Barrier, answers: Queue) -> None:
    try:
        answers.put((index, job(barrier.parties, barrier.wait)))
    except BrokenBarrierError:
        answers.put((index, "another of them died"))
    except Exception as error:
        answers.put((index, f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"))
        barrier.abort()


WELL = "well"


def outcome_of(part: Callable[[], None]) -> str:
    """`well`, or what went wrong, after the traceback has been printed."""
    try:
        part()
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return WELL
