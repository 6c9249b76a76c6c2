"""How well a finished, uninterrupted run used its slots.

    python tests/benchmarks/slot_use.py OUT [OUT ...]

Work is what a cell spends in its range test, features, epochs and evaluation. The share of work is that of
the wall time of all slots, from the start of the first cell to the end of the last. The idle tail is the time
at the end in which not every slot has a cell.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WORK = ("range_test_seconds", "feature_seconds", "epoch_seconds", "evaluation_seconds")


@dataclass(frozen=True)
class Use:
    """Attributes:
    cells, slots: how many.
    seconds: from the start of the first cell to the end of the last.
    first: when the first cell started, in seconds since 1970.
    work: share of all slots' time inside training or evaluation.
    in_cells: share of all slots' time inside cells.
    tail: share of `seconds` in which not every slot has a cell any more.
    """

    cells: int
    slots: int
    seconds: float
    first: float
    work: float
    in_cells: float
    tail: float


def use(out: Path) -> Use:
    """The use of the slots by the cells in `out`."""
    records = [json.loads(path.read_text()) for path in out.glob("cells/*/result.json")]
    spans = [
        tuple(datetime.fromisoformat(r[end]).timestamp() for end in ("started", "finished")) for r in records
    ]
    slots = most_at_once(spans)
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    work = sum(worked(record["metrics"]) for record in records)
    inside = sum(end - start for start, end in spans)
    full_until = sorted((end for _, end in spans), reverse=True)[slots - 1]
    seconds = last - first
    return Use(
        len(spans), slots, seconds, first, work / slots / seconds, inside / slots / seconds,
        (last - full_until) / seconds,
    )  # fmt: skip


def worked(metrics: dict[str, Any]) -> float:
    """Seconds of a cell inside training or evaluation."""
    if "epoch_seconds" not in metrics:
        raise SystemExit("this OUT was written by a version that did not record the parts of a trial's time")
    return sum(metrics.get(name) or 0.0 for name in WORK)


def most_at_once(spans: Sequence[tuple[float, ...]]) -> int:
    """How many of the spans overlap at most; those that touch do not."""
    steps = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


def main() -> None:
    print("| run | cells | slots | seconds | in training or evaluation | in cells | idle tail |")
    print("|---|---|---|---|---|---|---|")
    for name in sys.argv[1:]:
        found = use(Path(name))
        print(
            f"| {name} | {found.cells} | {found.slots} | {found.seconds:.0f} | {found.work:.3f} "
            f"| {found.in_cells:.3f} | {found.tail:.3f} |"
        )


if __name__ == "__main__":
    main()
