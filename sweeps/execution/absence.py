"""A cluster that has lost what every trial needs: what is waited for is said; at a limit the sweep ends."""

from __future__ import annotations

import time
from collections.abc import Callable

SAY_AFTER, SAY_EVERY = 10.0, 60.0
"""Seconds before the first word, and between two: nodes are replaced, and Ray notices late."""

LIMIT, LIMIT_ELASTIC = 1800.0, 12 * 3600.0
"""Seconds after which the sweep ends; an autoscaler may have to wait for machines to be on offer."""


class Absence:
    """How long a cluster has lacked what any trial needs.

    Args:
        say: shows a line.
        elastic: an autoscaler has been asked for it.
        clock: seconds.
    """

    def __init__(
        self, say: Callable[[str], None], *, elastic: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.say, self.elastic, self.clock = say, elastic, clock
        self.limit = LIMIT_ELASTIC if elastic else LIMIT
        self.since: float | None = None
        self.next_word = 0.0

    def heed(self, lacking: str) -> str:
        """Take note of what is lacking now, empty for nothing; the reason to stop once that is too long."""
        now = self.clock()
        if not lacking:
            if self.since is not None and now > self.since + SAY_AFTER:
                self.say(f"a node has joined after {_span(now - self.since)}")
            self.since = None
            return ""
        if self.since is None:
            self.since, self.next_word = now, now + SAY_AFTER
        waited = now - self.since
        if waited >= self.limit:
            return f"{lacking} has been lacking for {_span(waited)}, and none has joined"
        if now >= self.next_word:
            self.next_word = now + SAY_EVERY
            whom = "from the autoscaler" if self.elastic else "to join the cluster"
            self.say(
                f"no trial can run: waiting for {lacking} {whom}, for {_span(waited)} so far; in "
                f"{_span(self.limit - waited)} without one this ends (the same command then continues)"
            )
        return ""


def _span(seconds: float) -> str:
    """`40 s`, `29 min`, `12 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
