"""Removing cells that no plan names: listed when asked, removed when asked again."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from sweeps.planning.history import History
from sweeps.planning.plan import Plan
from transfusion.files import atomic

LIST = "prune.json"


@dataclass(frozen=True)
class Pruned:
    """Attributes:
    listed: ids that the next call would remove.
    removed: ids that this call removed.
    freed: bytes of what was removed, or would be.
    """

    listed: list[str]
    removed: list[str]
    freed: int


def prune(work: Plan, history: History, out: Path) -> Pruned:
    """List the cells in `out` that neither this plan nor the last executed one names, or remove those listed.

    A cell that was not on the earlier list is listed, not removed.
    """
    named = {planned.id for planned in work.cells} | _executed(out / "plan.parquet")
    unnamed = sorted((history.records.keys() | history.unfinished) - named)
    file = out / LIST
    before = set(json.loads(file.read_text())) if file.exists() else set()
    sure = bool(unnamed) and set(unnamed) <= before
    freed = sum(_bytes(history.folder / one) for one in unnamed)
    if sure:
        for one in unnamed:
            shutil.rmtree(history.folder / one)
        file.unlink()
        return Pruned([], unnamed, freed)
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(unnamed))
    return Pruned(unnamed, [], freed)


def _executed(file: Path) -> set[str]:
    """The cells of the plan that was executed last."""
    if not file.exists():
        return set()
    return set(pq.read_table(file, columns=["cell_id"]).column("cell_id").to_pylist())


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
