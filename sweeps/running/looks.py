"""Seeds in looks: which cells each look asks for; `look_costs` says what they cost.

What is fixed and what has been decided stands in `OUT/looks.json`, which the analysis writes; here it is read
as the plan of a sweep. Every round of a sweep is the plan of all looks up to the next one, so that a killed
driver, a second call and the next look are the same thing: what is wanted minus what is done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.spaces import Preset, with_axes
from transfusion.cell import AXES, Cell
from transfusion.problems import SettingError

FILE = "looks.json"
Axes = tuple[tuple[str, Any], ...]
"""Names and values of the axes of one condition, by name."""


@dataclass(frozen=True)
class Asked:
    """What a command asks of looks; all of it is fixed before the first.

    Attributes:
        until: `conjectures` or `claims`: what is to be decided.
        seeds: after how many to look; empty for those that are fixed, or the usual ones.
        margins: the smallest effects that matter, where they are not the usual ones.
        grid: values by axis.
        recipe: settings of training.
    """

    until: str
    seeds: tuple[int, ...]
    margins: Mapping[str, float]
    grid: Mapping[str, Any]
    recipe: Mapping[str, Any]


def grid_of(preset: Preset) -> dict[str, list[Any]]:
    """The values of every axis but the seed in a preset's cells, and how many conditions there are."""
    cells = preset.cells()
    names = [axis.name for axis in AXES if axis.name != "seed"]
    values = {name: sorted({getattr(cell, name) for cell in cells}) for name in names}
    if values["subset"] == [0]:
        del values["subset"]  # looks that were fixed before there was this axis do not name it
    return {**values, "conditions": [len({axes_of(cell, names) for cell in cells})]}


def axes_of(cell: Cell, names: Sequence[str]) -> Axes:
    """The values of these axes of a cell."""
    return tuple((name, getattr(cell, name)) for name in sorted(names))


@dataclass(frozen=True)
class LookPlan:
    """The looks of an OUT.

    Attributes:
        seeds: of every look that is asked for.
        weights: the share of the level that each spends.
        reserved: seeds of looks that may be added.
        needs: for every look taken, the conditions that its open claims need further seeds of.
        taken: what every look taken has decided: the records of `looks.json`.
    """

    seeds: tuple[int, ...]
    weights: tuple[float, ...]
    reserved: tuple[int, ...] = ()
    needs: tuple[frozenset[Axes], ...] = ()
    taken: tuple[Mapping[str, Any], ...] = ()

    @property
    def ended(self) -> bool:
        """Whether no further look is to be taken."""
        return bool(self.taken) and (len(self.taken) >= len(self.seeds) or not self.taken[-1]["open"])

    @property
    def looks(self) -> int:
        """Looks up to and with the next one."""
        return len(self.taken) + (not self.ended)

    def look_of(self, cell: Cell) -> int:
        """The look, from 0, that a cell is first seen at, by its seed."""
        return next(i for i, seeds in enumerate(self.seeds) if cell.seed < seeds)

    def wants(self, cell: Cell) -> bool:
        """Whether a cell is trained: every one before the first look, later those that a claim needs, which
        for looks to come are at most those that it needs now."""
        look = self.look_of(cell)
        if not look or not self.needs:
            return True
        needed = self.needs[min(look, len(self.needs)) - 1]
        names = [name for name, _ in next(iter(needed), ())]
        return axes_of(cell, names) in needed

    def preset(self, preset: Preset, looks: int | None = None) -> Preset:
        """`preset` with the cells of the first `looks`; of those up to the next if nothing is said."""
        count = self.looks if looks is None else looks
        own = preset.where
        space = with_axes(preset.space, {"seed": range(self.seeds[count - 1])})
        return dataclasses.replace(preset, space=space, where=lambda cell: own(cell) and self.wants(cell))


def look_plan(record: Mapping[str, Any]) -> LookPlan:
    """From the record that the analysis keeps."""
    planned = record["planned"]
    return LookPlan(
        seeds=tuple(record["seeds"][:planned]),
        weights=tuple(record["weights"][:planned]),
        reserved=tuple(record["seeds"][planned:]),
        needs=tuple(
            frozenset(tuple(sorted(axes.items())) for axes in one["needs"]) for one in record["taken"]
        ),
        taken=tuple(record["taken"]),
    )


def refuse_other_cells(plan: LookPlan, ids: set[str]) -> None:
    """Looks that were taken on cells that the plan does not name: of other data, or of other weights.

    Raises:
        SettingError: naming how many.
    """
    lost = {one for look in plan.taken for one in look["cells"]} - ids
    if lost:
        raise SettingError(
            f"{FILE}: found {len(lost)} cells that a look was taken on and that this command does not plan, "
            "expected all of them: data or weights are others now; give those of the first look, or name "
            "another --out"
        )
