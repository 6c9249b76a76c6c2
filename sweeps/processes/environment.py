"""This process's environment variables, put back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def restored(*beginnings: str) -> Iterator[None]:
    """At the end, the variables whose names begin so are those of before, whoever has changed them."""
    before = _named(beginnings)
    try:
        yield
    finally:
        for name in _named(beginnings).keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _named(beginnings: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(beginnings)}
