"""What a study is made of: a space of cells, a recipe, and embedded data where it has them.

A space is a Ray Tune search space whose keys are fields of `Cell`; every axis is a grid search.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any

from transfusion.cell import AXES, Cell, Recipe
from transfusion.phantom.settings import Phantom as Phantom
from transfusion.problems import SettingError

Space = dict[str, Any]


def grid_search(values: Iterable[Any]) -> dict[str, Any]:
    """What `ray.tune.grid_search` gives, without importing Ray for it."""
    return {"grid_search": list(values)}


def every_cell(cell: Cell) -> bool:
    """The condition of a study that leaves no cell out."""
    return True


MARGINS = ("auroc", "loss", "spikes")
"""What the analysis has margins of."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A whole sweep as a value.

    Attributes:
        name: of letters, digits, `-` and `_`; results go to `results/NAME` where nothing else is said.
        summary: one line of the help.
        space: the axes and their values.
        recipe: what all of its cells share.
        phantom: the embedded data that it is sized for; None where it needs data.
        where: which cells of the space are wanted; all, if nothing is said.
        margins: the smallest effects that matter, by the names of the analysis's `--margin`, where they
            differ from its usual ones; with a phantom, on that alone.
        margins_why: what fixes them, a sentence for the report.
    """

    name: str
    space: Space
    recipe: Recipe
    summary: str = ""
    phantom: Phantom | None = None
    where: Callable[[Cell], bool] = every_cell
    margins: Mapping[str, float] = field(default_factory=dict)
    margins_why: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.name):
            raise SettingError(f"name: found {self.name!r}, expected letters, digits, - and _")
        wrong = {name: value for name, value in self.margins.items() if name not in MARGINS or not value > 0}
        if wrong:
            raise SettingError(f"margins: found {wrong}, expected numbers above 0 by {', '.join(MARGINS)}")
        refuse_unknown(self.space)

    def margins_on(self, embedded: bool) -> dict[str, float]:
        """Its own margins, where they hold: those of a phantom on that alone.

        Args:
            embedded: whether the data are the embedded ones.
        """
        return dict(self.margins) if embedded or self.phantom is None else {}

    def cells(self) -> list[Cell]:
        """The wanted cells.

        Raises:
            SettingError: see `cells`; or none is wanted.
        """
        found = [cell for cell in cells(self.space) if self.where(cell)]
        if not found:
            raise SettingError(f"{self.name}: found no cell that meets its condition, expected one or more")
        return found


def grid(**axes: Any) -> Space:
    """The grid over these axes: each a field of `Cell` with its values, or with the one that it has.

    Raises:
        SettingError: a name that is no axis.
    """
    refuse_unknown(axes)
    return {name: values if _single(values) else grid_search(values) for name, values in axes.items()}


def _single(values: Any) -> bool:
    return isinstance(values, str | bytes) or not isinstance(values, Iterable)


def refuse_unknown(space: Space) -> None:
    """Refuse keys that are no axis.

    Raises:
        SettingError: naming all of them.
    """
    names = sorted(axis.name for axis in AXES)
    if unknown := [name for name in space if name not in names]:
        raise SettingError(
            "; ".join(f"search space: found {name!r}, expected one of {', '.join(names)}" for name in unknown)
        )


def cells(space: Space) -> list[Cell]:
    """Every cell of a space, a frozen random backbone left out.

    Raises:
        SettingError: if a key is no axis, or a value is none of its axis; all of them at once.
    """
    refuse_unknown(space)
    if missing := [axis.name for axis in AXES if axis.default is MISSING and axis.name not in space]:
        raise SettingError(f"search space: found no {', '.join(missing)}, expected values of every such axis")
    values = [value["grid_search"] if isinstance(value, dict) else [value] for value in space.values()]
    found: list[Cell] = []
    problems: list[str] = []
    for combination in itertools.product(*values):
        chosen = dict(zip(space, combination, strict=True))
        if chosen.get("init") == "random" and chosen.get("freeze") == "backbone":
            continue
        try:
            found.append(Cell(**chosen))
        except SettingError as error:
            problems.extend(text for text in str(error).split("; ") if text not in problems)
    if problems:
        raise SettingError("; ".join(problems))
    if not found:
        raise SettingError(
            "search space: found no cell, expected one or more; random weights are never frozen"
        )
    return found


def with_axes(space: Space, given: Mapping[str, Iterable[Any]]) -> Space:
    """`space` with these values of these axes, each once, in place of its own."""
    return {**space, **{name: grid_search(dict.fromkeys(values)) for name, values in given.items()}}
