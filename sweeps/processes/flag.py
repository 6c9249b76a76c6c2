"""What running trials ask whether to stop. It imports nothing, so that its process stays small."""

from __future__ import annotations


class Flag:
    """A Ray actor that running trials ask whether to stop; it works across nodes without shared storage."""

    def __init__(self) -> None:
        self.up = False

    def raise_it(self) -> None:
        self.up = True

    def is_up(self) -> bool:
        return self.up
