"""What all code of a process shares, put back at the end: variables, signals, logging, random numbers."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def variables(*beginnings: str) -> Iterator[None]:
    """At the end, the variables whose names begin so are those of before, whoever has changed them."""
    before = _named(beginnings)
    try:
        yield
    finally:
        for name in _named(beginnings).keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def _named(beginnings: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(beginnings)}


@contextmanager
def handlers() -> Iterator[None]:
    """At the end, every signal has its handler of before, and those that this thread blocked are blocked
    again. In another thread than the main one no handler can be set, nor is it put back."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                # None: a handler that is not Python's, and cannot be set from here
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


@contextmanager
def level(name: str) -> Iterator[None]:
    """At the end, the logger of this name has the level of before."""
    logger = logging.getLogger(name)
    before = logger.level
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def random_numbers() -> Iterator[None]:
    """At the end, Python's own generator goes on where it was: who has seeded it relies on that."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)
