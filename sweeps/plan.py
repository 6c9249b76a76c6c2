"""From a space to the work: every wanted cell, what it waits for, what is finished, what the rest costs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.cost import CostModel
from transfusion import architectures, results
from transfusion.cell import NOTHING_SUPPLIED, Cell, Recipe, Supplied, cell_id, upstream_of


@dataclass(frozen=True)
class PlannedCell:
    """One wanted cell.

    Attributes:
        upstream: id of the cell that must be done before, or None.
        seconds: expected duration on one slot.
    """

    id: str
    cell: Cell
    upstream: str | None
    seconds: float


@dataclass(frozen=True)
class Plan:
    """All wanted cells, upstream cells first, with the state of those that have finished.

    Attributes:
        states: `done` or `failed` by cell id; a cell that is not there is missing.
        others: finished cells in the folder that this plan does not name (another recipe, data or space).
    """

    cells: tuple[PlannedCell, ...]
    states: dict[str, str]
    others: int
    recipe: Recipe

    def missing(self) -> list[PlannedCell]:
        """The cells to run."""
        return [planned for planned in self.cells if planned.id not in self.states]

    def count(self, state: str) -> int:
        """How many of the cells are `done`, `failed` or `missing`."""
        counts = Counter(self.states.values())
        return len(self.cells) - sum(counts.values()) if state == "missing" else counts[state]


def make(
    cells: Sequence[Cell],
    recipe: Recipe,
    data: str,
    folder: Path,
    cost: CostModel,
    supplied: Supplied = NOTHING_SUPPLIED,
) -> Plan:
    """Add the upstream cells that `cells` need and look up in `folder` which of all have finished.

    Args:
        data: fingerprint of the data set.
        folder: OUT/cells.
        supplied: what `init=imagenet` starts from besides cells.
    """
    upstreams = {above: None for cell in cells if (above := upstream_of(cell, recipe, supplied)) is not None}
    ids = {cell: cell_id(cell, recipe, data, supplied) for cell in [*upstreams, *cells]}
    planned = []
    for cell, one in ids.items():
        upstream = upstream_of(cell, recipe, supplied)
        planned.append(
            PlannedCell(one, cell, ids[upstream] if upstream else None, cost.seconds(cell, recipe))
        )
    states = results.finished(folder, ids.values())
    present = sum((entry / results.RESULT).exists() for entry in folder.iterdir()) if folder.is_dir() else 0
    return Plan(tuple(planned), states, present - len(states), recipe)


def write(plan: Plan, path: Path) -> None:
    """Write the wanted cells as a Parquet table, one row each, for the analysis to know what is missing."""
    rows: list[dict[str, Any]] = []
    for planned in plan.cells:
        numbers = architectures.size_of(planned.cell.architecture, plan.recipe.image_size)
        rows.append(
            {
                "cell_id": planned.id,
                **dataclasses.asdict(planned.cell),
                "upstream": planned.upstream,
                **numbers,
            }
        )
    with results.atomic(path) as temporary:
        pd.DataFrame(rows).to_parquet(temporary)
