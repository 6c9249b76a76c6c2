"""Values into the page: how numbers are rounded, what a table holds, and the templates that lay it out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
LONG = 40
"""Characters from which on a text takes several lines of its column."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: its text, whether its column holds numbers alone, and whether it is long."""

    text: str
    number: bool
    long: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table for reading.

    Attributes:
        columns: its headings.
        rows: a cell for every column.
        source: where the rows can be read in full precision; empty for none.
        stack: on a narrow screen every row becomes a block of its own.
        wide: too wide for an upright sheet of paper.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str = ""
    stack: bool = True
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """Something long that opens on a click, with a line that says what is in it; on paper it is open."""

    title: str
    about: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def table(frame: pd.DataFrame, source: str = "", *, stack: bool = True, wide: bool = False) -> Table | None:
    """A frame as a table without its empty columns; None for no rows."""
    if frame.empty:
        return None
    names = [name for name in frame.columns if any(text_of(value) for value in frame[name])]
    numbers = [all(_is_number(value) for value in frame[name] if text_of(value)) for name in names]
    rows = tuple(
        tuple(_cell(value, number) for value, number in zip(row, numbers, strict=True))
        for row in frame[names].itertuples(index=False, name=None)
    )
    return Table(tuple(str(name) for name in names), rows, source, stack, wide)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _cell(value: Any, number: bool) -> Cell:
    text = text_of(value)
    return Cell(text, number, len(text) > LONG)


def text_of(value: Any) -> str:
    """A value for reading; what is missing is empty."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return number(float(value))
    if isinstance(value, list | tuple):
        return ", ".join(
            ": ".join(map(text_of, v)) if isinstance(v, list | tuple) else text_of(v) for v in value
        )
    return str(value)


def number(value: float, digits: int = 3) -> str:
    """A number to read: counts in full, others with `digits` decimals, very small ones with two digits."""
    if not np.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) >= 10.0 ** (1 - digits) else f"{value:.2g}"


def probability(value: float) -> str:
    """A p-value: three decimals, or that it is smaller."""
    if not np.isfinite(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def data_uri(png: bytes) -> str:
    """A picture inside of the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def fill(template: str, values: dict[str, Any]) -> str:
    """`template` with `values`; every text is escaped, and a value that is not there is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # ours, no value of anybody's
    return environment.get_template(template).render(style=style, data_uri=data_uri, **values)


def sentences(parts: Sequence[str]) -> list[str]:
    """Those of `parts` that say something, each with its full stop."""
    return [part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part]
