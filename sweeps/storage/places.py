"""Where a sweep keeps what it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweeps.storage.object_store import ObjectStore
from transfusion.files import unwatched


@dataclass(frozen=True)
class Places:
    """Where a sweep keeps what it knows.

    Attributes:
        out: the folder of the sweep.
        cache: where decoded images lie.
        store: what `out` mirrors, if anything.
        look: at the lease on `out`, before every write there; raises `LostError` where another sweep has it.
    """

    out: Path
    cache: Path
    store: ObjectStore | None = None
    look: Callable[[], None] = unwatched

    @property
    def cells(self) -> Path:
        """The folder of all cells."""
        return self.out / "cells"
