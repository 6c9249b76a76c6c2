"""Conditions: what two cells of the grid may differ in besides their seed, derived from `axes.AXES`.

An axis that is added there, with the value that a null stands for, is part of every condition from then on.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeAlias

import pandas as pd

from analysis.tables.axes import AXES

CONDITION = tuple(axis.name for axis in AXES if axis.name not in ("kind", "finding", "seed"))
"""Axes of a condition, in the order of its values: architecture, train_images, init, freeze, balance, ..."""
DEFAULTS: dict[str, str | int] = {axis.name: axis.default for axis in AXES if axis.default is not None}
"""What a null, or an absent column, stands for."""

Condition: TypeAlias = tuple[Hashable, ...]
"""A value for each of `CONDITION`."""


def condition(**axes: Hashable) -> Condition:
    """The condition with these values, defaults for the others.

    Raises:
        ValueError: an axis that has no default is left out, or a name is no axis.
    """
    if unknown := axes.keys() - set(CONDITION):
        raise ValueError(f"found axes {', '.join(sorted(unknown))}; expected some of {', '.join(CONDITION)}")
    if lacking := [name for name in CONDITION if name not in axes and name not in DEFAULTS]:
        raise ValueError(f"found no value of {', '.join(lacking)}; expected one for each axis")
    return tuple(axes.get(name, DEFAULTS.get(name)) for name in CONDITION)


def conditions(cells: pd.DataFrame) -> list[Condition]:
    """The condition of every row."""
    return list(filled(cells)[list(CONDITION)].itertuples(index=False, name=None))


def filled(cells: pd.DataFrame) -> pd.DataFrame:
    """`cells` with the axes' defaults where they are null or absent."""
    given = {
        name: cells[name].astype(object).where(cells[name].notna(), value) if name in cells else value
        for name, value in DEFAULTS.items()
    }
    return cells.assign(**given)
