"""The terminal: text as it is, and lines drawn in ASCII where the locale has nothing else."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console


class SweepConsole(Console):
    """A console that reads no markup and no emoji from paths and messages, and never breaks a path.

    Lines are wrapped between words on a terminal, and nowhere in a file or pipe, where they are searched.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    @property
    def encoding(self) -> str:
        """What tables and bars are drawn in; text passes as it is."""
        return "ascii" if plain_locale() else super().encoding

    def print(self, *objects: Any, **options: Any) -> None:
        if all(isinstance(one, str) for one in objects) and "soft_wrap" not in options:
            options |= {"overflow": "ignore", "crop": False} if self.is_terminal else {"soft_wrap": True}
        super().print(*objects, **options)


def sweep_console(**options: Any) -> Console:
    """The console of a sweep, on standard output."""
    return SweepConsole(**options)


def plain_locale() -> bool:
    """Whether the locale is C or POSIX, or none is set; Python itself then takes UTF-8 for granted."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next(filter(None, named), "C")
    coerced = locale == "C.UTF-8" and os.environ.get("LANG", "C") in ("C", "POSIX")
    return locale in ("C", "POSIX") or coerced
