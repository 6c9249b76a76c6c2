"""Checks of one column: its type, words, range and nulls; which rows are wrong, and what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.tables.columns import Column

FIRST = 5
"""How many rows, or values, a problem names."""
LOSS = "write the cross-entropy, which is never below 0, or leave the field null"
TO_WRITE = {
    "freeze": 'write the word "none" (all layers are trained) or "backbone" (the head alone is trained)',
    "label": "write 0 or 1 as used in training, or null where it was masked, or delete these rows",
    "split": 'write "test" (hold-out patients) or "official" (official validation set), '
    "and delete rows of other parts",
    "train_loss": LOSS,
    "selection_loss": LOSS,
    "loss": LOSS,
}
"""What to do about a column whose name and values do not say it."""


def possible(value: Any, column: Column) -> bool:
    if pa.types.is_string(column.type):
        fits = not column.pattern or (isinstance(value, str) and re.fullmatch(column.pattern[0], value))
        return bool(isinstance(value, str) and fits and (not column.words or value in column.words))
    if pa.types.is_boolean(column.type) or isinstance(value, bool):
        return pa.types.is_boolean(column.type) and isinstance(value, bool)
    if not isinstance(value, int | float) or (pa.types.is_integer(column.type) and value != value // 1):
        return False
    if pa.types.is_integer(column.type) and abs(value) >= 2**63:
        return False
    return (column.low is None or value >= column.low) and (column.high is None or value <= column.high)


def advice(column: Column) -> str:
    return f"; {TO_WRITE[column.name]}" if column.name in TO_WRITE else ""


def type_word(found: pa.DataType) -> str:
    return "text" if "string" in str(found) else str(found)


def type_fits(found: pa.DataType, column: Column) -> bool:
    """Whether this type may stand for the column's: names may be whole numbers, never words for numbers."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_null(found):
        return True
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    if pa.types.is_string(column.type):
        text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
        return text or (pa.types.is_integer(found) and not column.words)
    return pa.types.is_boolean(found) if pa.types.is_boolean(column.type) else number


def column_problems(file: Path, stored: pq.ParquetFile, column: Column, never_null: bool) -> Iterator[str]:
    """Values of one column that cannot be, each once with its first rows."""
    rows: dict[str, list[int]] = {}
    start = 0
    for group in range(stored.num_row_groups):
        count = stored.metadata.row_group(group).num_rows
        if not _stated_sound(stored, group, column, never_null):
            data = computable(stored.read_row_group(group, columns=[column.name]).column(0)).combine_chunks()
            bad = np.flatnonzero(impossible_values(data, column, never_null).to_numpy(zero_copy_only=False))
            for index, value in zip(bad.tolist(), data.take(pa.array(bad)).to_pylist(), strict=True):
                rows.setdefault("nothing" if value is None else repr(value), []).append(start + index + 1)
        start += count
    for value, where in list(rows.items())[:FIRST]:
        yield (
            f"{file}: column {column.name}, {rows_named(where)}: found {value}, expected {column.expected()}"
            + (" (a share, not per cent)" if column.high == 1 else _spelled(value, column) + advice(column))
        )
    if len(rows) > FIRST:
        count = sum(map(len, list(rows.values())[FIRST:]))
        yield f"{file}: column {column.name}: {len(rows) - FIRST} more such values in {count:,} rows"


def _stated_sound(stored: pq.ParquetFile, group: int, column: Column, never_null: bool) -> bool:
    """Whether the file itself says that all numbers of the column in a row group lie in its range."""
    bounded = column.low is not None or column.words or column.ours or column.pattern
    if not bounded and not never_null and not pa.types.is_integer(column.type):
        return True
    index = stored.schema_arrow.get_field_index(column.name)
    if stored.metadata.num_columns != len(stored.schema_arrow.names):
        return False
    chunk = stored.metadata.row_group(group).column(index)
    stated = chunk.statistics
    if (
        column.words
        or column.ours
        or column.pattern
        or stated is None
        or not stated.has_min_max
        or not stated.has_null_count
    ):
        return False
    if not isinstance(stated.min, int | float):  # halves are stated as bytes
        return False
    if (never_null and (stated.null_count or chunk.physical_type in ("FLOAT", "DOUBLE"))) or (
        pa.types.is_integer(column.type) and chunk.physical_type not in ("INT32", "INT64")
    ):
        return False
    if column.low is None:
        return True
    return bool(stated.min >= column.low and (column.high is None or stated.max <= column.high))


def impossible_values(data: pa.Array, column: Column, never_null: bool) -> pa.Array:
    """Which values cannot be; NaN is null."""
    if pa.types.is_dictionary(data.type):
        data = data.dictionary_decode()
    if pa.types.is_floating(data.type):
        data = pc.if_else(pc.is_nan(data), pa.scalar(None, data.type), data)
    if pa.types.is_null(data.type):
        return pa.array([never_null] * len(data))
    bad = pa.array(np.zeros(len(data), bool))
    if column.pattern:
        bad = pc.invert(pc.match_substring_regex(data.cast(pa.string()), f"^{column.pattern[0]}$"))
    elif pa.types.is_string(column.type) and not column.words:
        bad = _misnamed(data, column, never_null)
    elif pa.types.is_string(column.type):
        bad = pc.invert(pc.is_in(data.cast(pa.string()), value_set=pa.array(column.words)))
    elif not pa.types.is_boolean(column.type):
        numbers = data.cast(pa.float64())
        if column.words:
            bad = pc.invert(pc.is_in(numbers, value_set=pa.array([float(word) for word in column.words])))
        if column.low is not None:
            bad = pc.or_(bad, pc.less(numbers, column.low))
        if column.high is not None:
            bad = pc.or_(bad, pc.greater(numbers, column.high))
        if pa.types.is_integer(column.type):
            bad = pc.or_(bad, pc.not_equal(pc.floor(numbers), numbers))
            bad = pc.or_(bad, pc.is_inf(numbers))
    return pc.if_else(pc.is_null(data), pa.scalar(never_null), bad)


def _misnamed(data: pa.Array, column: Column, never_null: bool) -> pa.Array:
    """Which names are empty, or one of ours in another spelling, which would be taken for another thing."""
    ours = {_letters(name): name for name in column.ours}
    if pa.types.is_integer(data.type) or not (never_null or ours):
        return pa.array(np.zeros(len(data), bool))
    names = [name for name in pc.unique(data).to_pylist() if name is not None]
    wrong = [
        name for name in names if (never_null and not name.strip()) or ours.get(_letters(name), name) != name
    ]
    return pc.is_in(data.cast(pa.string()), value_set=pa.array(wrong, pa.string()))


def _spelled(value: str, column: Column) -> str:
    """How a name of ours is written that `value` means."""
    return next((f", written {name}" for name in column.ours if _letters(name) == _letters(value)), "")


def _letters(name: str) -> str:
    """A name without case, spaces and marks."""
    return "".join(filter(str.isalnum, name.lower()))


def computable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as a type that Arrow can compute with: of views and halves it cannot do much."""
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column


def rows_named(where: list[int]) -> str:
    """`row 3`, `rows 3 and 7`, `rows 1, 2, 3, 4, 5 and 120 more`; the first row is row 1."""
    if len(where) == 1:
        return f"row {where[0]:,}"
    if len(where) <= FIRST:
        return f"rows {', '.join(f'{one:,}' for one in where[:-1])} and {where[-1]:,}"
    return f"rows {', '.join(f'{one:,}' for one in where[:FIRST])} and {len(where) - FIRST:,} more"
