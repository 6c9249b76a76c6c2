"""From a space to the work: every wanted cell, what it waits for, what is finished, what the rest costs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.planning.cost import CostModel
from sweeps.planning.history import History
from sweeps.planning.named_weights import NamedWeights, of_cell
from sweeps.planning.resources import larger_share
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import NOTHING_SUPPLIED, SCHEMA, Cell, Recipe, Supplied, cell_id, upstream_of
from transfusion.files import atomic


@dataclass(frozen=True)
class PlannedCell:
    """One wanted cell.

    Attributes:
        upstream: id of the cell that must be done before, or None.
        seconds: expected duration on one slot.
        share: of a device that its first attempt gets.
        guessed: nothing has measured its network on this kind of machine.
    """

    id: str
    cell: Cell
    upstream: str | None
    seconds: float
    share: float = 1.0
    guessed: bool = False


@dataclass(frozen=True)
class Plan:
    """All wanted cells, upstream cells first, with the state of those that have finished.

    Attributes:
        states: `done` or `failed` by cell id; a cell that is not there is missing.
        begun: missing cells that have a folder: interrupted ones, and failed ones that are tried again.
        orphaned: finished cells in the folder that this plan does not name, by what sets them apart:
            `schema`, `recipe`, `data` or `axes`.
    """

    cells: tuple[PlannedCell, ...]
    states: dict[str, str]
    begun: frozenset[str]
    orphaned: dict[str, int]
    recipe: Recipe
    weights: tuple[NamedWeights, ...] = ()

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
    fingerprint: str,
    history: History,
    cost: CostModel,
    supplied: Supplied = NOTHING_SUPPLIED,
    *,
    share_of: Callable[[Cell], float] = lambda cell: 1.0,
) -> Plan:
    """Add the upstream cells that `cells` need, and tell which of all have finished.

    Args:
        fingerprint: of the data set.
        supplied: what `init=imagenet` starts from besides cells.
        share_of: the share of a device that a cell needs; one that ran out of memory gets the next larger.
    """
    above = {cell: upstream_of(cell, recipe, supplied) for cell in cells}
    upstreams = {upstream: None for upstream in above.values() if upstream is not None}
    ids = {cell: cell_id(cell, recipe, fingerprint, supplied) for cell in [*upstreams, *cells]}
    records = history.records
    states = {one: records[one]["status"] for one in ids.values() if one in records}
    if history.retry_failed:
        states = {one: state for one, state in states.items() if not _again(records[one])}
    planned = []
    for cell, one in ids.items():
        upstream = above.get(cell)
        share = share_of(cell)
        if one not in states and (exhausted := history.exhausted_share(one)) is not None:
            share = max(share, larger_share(exhausted))
        seconds = cost.seconds(cell, recipe, share)
        guessed = cost.guessed(cell.architecture, recipe.image_size)
        planned.append(PlannedCell(one, cell, ids[upstream] if upstream else None, seconds, share, guessed))
    begun = (history.unfinished | set(records)) & (set(ids.values()) - set(states))
    wanted = set(ids.values())
    orphaned = Counter(_difference(records[one], recipe, fingerprint) for one in records if one not in wanted)
    return Plan(tuple(planned), states, frozenset(begun), dict(orphaned), recipe)


def _again(record: dict[str, Any]) -> bool:
    return record["status"] == "failed" and record["failure"] != "diverged"


def _difference(record: dict[str, Any], recipe: Recipe, fingerprint: str) -> str:
    """What sets a finished cell apart from the plan's."""
    if record["schema"] != SCHEMA:
        return "schema"
    if Recipe(**record["recipe"]) != recipe:
        return "recipe"
    return "data" if record["data"] != fingerprint else "axes"


def write(plan: Plan, path: Path) -> None:
    """Write the wanted cells as a Parquet table, one row each, for the analysis to know what is missing.

    A file that says the same is left as it is.
    """
    by_id = {planned.id: planned.cell for planned in plan.cells}
    rows: list[dict[str, Any]] = []
    for planned in plan.cells:
        facts = facts_of(planned.cell.architecture, plan.recipe.image_size)
        axes = {name: getattr(planned.cell, name) for name in _AXES}
        above = by_id.get(planned.upstream) if planned.upstream else None
        start = of_cell(planned.cell, above, plan.weights)
        rows.append({"cell_id": planned.id, **axes, "upstream": planned.upstream, **start, **facts})
    table = pa.Table.from_pandas(pd.DataFrame(rows).astype(_TYPES), preserve_index=False)
    if path.exists() and pq.read_table(path).equals(table):
        return
    with atomic(path) as temporary:
        pq.write_table(table, temporary)


def facts_of(architecture: Architecture, image_size: int) -> dict[str, Any]:
    """The columns of `trials` that say what a network is and how it is drawn."""
    spec = ARCHITECTURES[architecture]
    looks = {"network": spec.label, "family": spec.family, "colour": spec.colour, "marker": spec.marker}
    return {**spec.size(image_size), **looks}


_AXES = tuple(field.name for field in dataclasses.fields(Cell))
_TYPES = {
    "weights": "string",
    "weights_sha256": "string",
    "weights_natural": "boolean",
    "weights_input": "string",
}
