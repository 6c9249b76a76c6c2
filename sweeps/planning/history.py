"""What OUT/cells holds, read once: the records of finished cells, and which cells have only begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transfusion.problems import SettingError
from transfusion.records import attempts, results


@dataclass(frozen=True)
class History:
    """Attributes:
    folder: OUT/cells.
    records: of every finished cell, whichever plan it belongs to.
    unfinished: ids of the cells that have a folder but no result.
    retry_failed: failed cells count as missing. A loss that is not finite stays: it is a result.
    """

    folder: Path
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    retry_failed: bool = False

    def exhausted_share(self, cell_id: str) -> float | None:
        """The largest share of a device at which an unfinished or failed cell ran out of memory, or None."""
        if cell_id in self.unfinished or self.records.get(cell_id, {}).get("status") == "failed":
            return attempts.exhausted_share(self.folder / cell_id)
        return None


def read(folder: Path, retry_failed: bool = False) -> History:
    """The history in `folder`; empty if there is none.

    Raises:
        SettingError: a record is damaged, naming its file and what to do.
    """
    try:
        records, unfinished = results.read_all(folder)
    except ValueError as error:
        raise SettingError(str(error)) from error
    return History(folder, records, frozenset(unfinished), retry_failed)
