"""Checks tables from whomever before they are judged: columns, types, words, ranges, nulls and repeated rows.

Everything that is wrong is told at once. Long tables are read a row group at a time, and numbers whose range
the file itself states are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.tables.columns import Column
from analysis.tables.conditions import CONDITION, DEFAULTS, filled
from analysis.tables.schema import NEVER_NULL, REQUIRED, TABLES, UNIQUE, EvidenceError
from analysis.tables.store import evidence_folder

FIRST = 5
"""How many rows, or values, a problem names."""
MOST_ROWS_COMPARED = 50_000_000
"""A longer table is not searched for repeated rows: only a sweep's own steps are so many."""
ADVICE = "Columns, types and meanings of all tables: analysis/tables/schema.py"
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
COPIES = "if they are copies, delete all but one"
REPEATED = {
    "trials": f"{COPIES}; if they are different cells, give each its own cell_id, in the other tables too",
    "predictions": f"{COPIES}; if they are different images, give each its own name",
}
"""What to do about rows with the same keys; `COPIES` in other tables."""


def check(out: Path) -> None:
    """Refuse tables of evidence in `out` that cannot mean what they say.

    Raises:
        EvidenceError: naming all that is wrong in all tables: file, column, rows, found, expected.
    """
    folder = evidence_folder(out)
    files = {table: folder / f"{table}.parquet" for table in REQUIRED}
    lacking = [text for table, file in files.items() if file.exists() for text in _missing(table, file)]
    problems = lacking + [
        text for table, file in files.items() if file.exists() for text in _table(table, file)
    ]
    if not problems:
        problems = [*_strangers(files), *_findings(files["trials"]), *_contradictions(files)]
    if problems:
        raise EvidenceError("\n".join([*problems, ADVICE] if lacking else problems))


def wrong_values(row: dict[str, Any], table: str) -> list[str]:
    """What a single row, of JSON, has that its table cannot hold; values that are absent are not missed."""
    return [
        f"{column.name}: found {row[column.name]!r}, expected {column.expected()}"
        for column in TABLES[table]
        if row.get(column.name) is not None and not _possible(row[column.name], column)
    ]


def impossible(data: pa.Table, table: str, file: Path) -> list[str]:
    """What one cell's table has that cannot be: values out of range, nulls, and rows that say the same."""
    found = []
    for column in TABLES[table]:
        if column.name not in data.column_names:
            continue
        stored = data.column(column.name)
        if not _fits(stored.type, column):
            found.append(
                f"{file}: column {column.name}: found {_word(stored.type)}, expected {column.expected()}"
            )
            continue
        never = column.name in NEVER_NULL[table]
        bad = _bad(_common(stored).combine_chunks(), column, never).to_numpy(zero_copy_only=False)
        if bad.any():
            first = int(bad.argmax())
            found.append(
                f"{file}: column {column.name}, {_rows((np.flatnonzero(bad) + 1).tolist())}: "
                f"found {stored[first].as_py()!r}, expected {column.expected()}"
            )
    keys = [name for name in UNIQUE.get(table, ()) if name != "cell_id" and name in data.column_names]
    if keys and not found:
        frame = data.select(keys).to_pandas().dropna()
        frame.index = frame.index + 1
        found += list(_same(file, frame, "one row for each"))
    return found


def _possible(value: Any, column: Column) -> bool:
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


def _missing(table: str, file: Path) -> Iterator[str]:
    """Columns that the table lacks, and what to write into them."""
    try:
        names = pq.read_schema(file).names
    except (pa.ArrowException, OSError):
        return  # `_table` says so
    if missing := [name for name in REQUIRED[table] if name not in names]:
        yield (
            f"{file}: found columns {', '.join(names)}; the table {table} needs {', '.join(missing)} as well"
            + "".join(f"; in {name}, {TO_WRITE[name]}" for name in missing if name in TO_WRITE)
        )


def _advice(column: Column) -> str:
    return f"; {TO_WRITE[column.name]}" if column.name in TO_WRITE else ""


def _table(table: str, file: Path) -> Iterator[str]:
    """What is wrong with one table by itself."""
    try:
        stored = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as problem:
        yield f"{file}: found no readable Parquet file ({problem}); expected the table {table}: copy it again"
        return
    names = stored.schema_arrow.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"{file}: found the columns {', '.join(twice)} twice, expected each once"
        return
    sound = set()
    for column in TABLES[table]:
        if column.name not in names:
            continue
        found = stored.schema_arrow.field(column.name).type
        if not _fits(found, column):
            first = _first(stored, column.name)
            yield (
                f"{file}: column {column.name}: found {_word(found)}{first}, expected {column.expected()}"
                f"{_advice(column)}"
            )
            continue
        problems = list(_column(file, stored, column, column.name in NEVER_NULL[table]))
        yield from problems
        if not problems:
            sound.add(column.name)
    yield from _repeated(table, file, stored, sound)


def _first(stored: pq.ParquetFile, name: str) -> str:
    """The first value of a column, in brackets; nothing where it has none."""
    for batch in stored.iter_batches(batch_size=1, columns=[name]):
        return f" ({batch.column(0)[0].as_py()!r} in row 1)"
    return ""


def _word(found: pa.DataType) -> str:
    return "text" if "string" in str(found) else str(found)


def _fits(found: pa.DataType, column: Column) -> bool:
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


def _column(file: Path, stored: pq.ParquetFile, column: Column, never_null: bool) -> Iterator[str]:
    """Values of one column that cannot be, each once with its first rows."""
    rows: dict[str, list[int]] = {}
    start = 0
    for group in range(stored.num_row_groups):
        count = stored.metadata.row_group(group).num_rows
        if not _stated_sound(stored, group, column, never_null):
            data = _common(stored.read_row_group(group, columns=[column.name]).column(0)).combine_chunks()
            bad = np.flatnonzero(_bad(data, column, never_null).to_numpy(zero_copy_only=False))
            for index, value in zip(bad.tolist(), data.take(pa.array(bad)).to_pylist(), strict=True):
                rows.setdefault("nothing" if value is None else repr(value), []).append(start + index + 1)
        start += count
    for value, where in list(rows.items())[:FIRST]:
        yield f"{file}: column {column.name}, {_rows(where)}: found {value}, expected {column.expected()}" + (
            " (a share, not per cent)" if column.high == 1 else _spelled(value, column) + _advice(column)
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


def _bad(data: pa.Array, column: Column, never_null: bool) -> pa.Array:
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


def _common(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as a type that Arrow can compute with: of views and halves it cannot do much."""
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column


def _repeated(table: str, file: Path, stored: pq.ParquetFile, sound: set[str]) -> Iterator[str]:
    """Rows that say the same cell, or the same of it, again."""
    if table == "trials":
        expected = f"one row for each; {REPEATED[table]}"
        yield from _same(file, _keys(stored, ("cell_id",), sound), expected)
        expected = (
            "one cell for each condition and seed of the grid; if they are repeats, give each its own seed"
        )
        yield from _same(file, _conditions(stored, sound), f"{expected}; {COPIES}")
    elif table in UNIQUE and stored.metadata.num_rows <= MOST_ROWS_COMPARED:
        expected = f"one row for each; {REPEATED.get(table, COPIES)}"
        yield from _same(file, _keys(stored, UNIQUE[table], sound), expected)


def _keys(stored: pq.ParquetFile, names: tuple[str, ...], sound: set[str]) -> pd.DataFrame | None:
    """These columns as codes, rows with a null in them left out; None if one is absent or unsound."""
    if not set(names) <= sound:
        return None
    data = stored.read(columns=list(names))
    frame = pd.DataFrame(index=range(1, data.num_rows + 1))
    for name in names:
        column = _common(data.column(name))
        words = not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type)
        codes = column.dictionary_encode() if words else column
        frame[name] = codes.to_pandas().to_numpy() if not words else codes.to_pandas().array
    return frame.dropna()


def _conditions(stored: pq.ParquetFile, sound: set[str]) -> pd.DataFrame | None:
    """Condition and seed of every cell of the grid: what tells two of them apart."""
    apart = [*CONDITION, "seed"]
    names = [name for name in (*apart, "kind") if name in sound]
    if {*apart, "kind"} - set(names) - DEFAULTS.keys():
        return None
    frame = filled(stored.read(columns=names).to_pandas())
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame.loc[frame["kind"] == "grid", apart]


def _same(file: Path, keys: pd.DataFrame | None, expected: str) -> Iterator[str]:
    """Keys that stand in several rows, the first of them with all of theirs."""
    if keys is None or keys.empty:
        return
    again = keys.duplicated(keep=False)
    if not again.any():
        return
    groups = keys[again].groupby(list(keys.columns), sort=False, observed=True).indices
    places = keys.index[again]
    for key, where in list(groups.items())[:FIRST]:
        named = key if isinstance(key, tuple) else (key,)
        said = ", ".join(f"{name} {value}" for name, value in zip(keys.columns, named, strict=True))
        yield f"{file}: {_rows(places[where].tolist())}: found {said} in each, expected {expected}"
    if len(groups) > FIRST:
        yield f"{file}: {len(groups) - FIRST:,} more are repeated so"


def _rows(where: list[int]) -> str:
    """`row 3`, `rows 3 and 7`, `rows 1, 2, 3, 4, 5 and 120 more`; the first row is row 1."""
    if len(where) == 1:
        return f"row {where[0]:,}"
    if len(where) <= FIRST:
        return f"rows {', '.join(f'{one:,}' for one in where[:-1])} and {where[-1]:,}"
    return f"rows {', '.join(f'{one:,}' for one in where[:FIRST])} and {len(where) - FIRST:,} more"


def _strangers(files: dict[str, Path]) -> list[str]:
    """Tables of which no row belongs to any cell of `trials`: their ids are written in another way."""
    if not files["trials"].exists():
        return []
    known = set(_ids(files["trials"]))
    found = []
    for table, file in files.items():
        if table == "trials" or not file.exists():
            continue
        ids = _ids(file)
        if ids and known.isdisjoint(ids):
            found.append(
                f"{file}: column cell_id: found {ids[0]!r} and others, none of them in trials.parquet, "
                "expected in every row the cell_id that the cell has there"
            )
    return found


def _findings(file: Path) -> Iterator[str]:
    """A grid of several findings: their seeds and sizes would be averaged as if they were one."""
    if not file.exists() or not {"finding"} <= set(pq.read_schema(file).names):
        return
    grid = _grid(file)
    found = list(dict.fromkeys(grid["finding"].dropna()))
    if len(found) > 1:
        yield (
            f"{file}: column finding: found {', '.join(map(str, found[:FIRST]))} among the cells of the "
            f"grid, expected one finding; write a folder for each, and run the analysis on each"
        )


def _grid(file: Path) -> pd.DataFrame:
    """Cells of the grid: id and finding."""
    names = [name for name in ("cell_id", "finding", "kind") if name in pq.read_schema(file).names]
    frame = pq.read_table(file, columns=names).to_pandas()
    return frame[frame["kind"].astype(object).fillna("grid") == "grid"] if "kind" in names else frame


def _contradictions(files: dict[str, Path]) -> Iterator[str]:
    """Images that have another label, or another patient, in one cell of the grid than in another."""
    file = files["predictions"]
    if not file.exists() or not files["trials"].exists():
        return
    stored = pq.ParquetFile(file)
    if "image" not in stored.schema_arrow.names or stored.metadata.num_rows > MOST_ROWS_COMPARED:
        return
    data = stored.read(columns=["cell_id", "split", "image", "patient", "label"])
    data = pa.table({name: _decoded(data.column(name)) for name in data.column_names})
    ids = pa.array(_grid(files["trials"])["cell_id"].astype(str), pa.string())
    data = data.filter(pc.is_in(data.column("cell_id"), value_set=ids))
    several = [("patient", "min"), ("patient", "max"), ("label", "min"), ("label", "max")]
    groups = data.group_by(["split", "image"]).aggregate(several)
    for name, meaning in (("label", "one label"), ("patient", "one patient")):
        low, high = groups.column(f"{name}_min"), groups.column(f"{name}_max")
        wrong = groups.filter(pc.fill_null(pc.not_equal(low, high), False))
        if wrong.num_rows:
            one = wrong.slice(0, 1).to_pylist()[0]
            same = pc.and_(
                pc.equal(data.column("split"), one["split"]), pc.equal(data.column("image"), one["image"])
            )
            rows = data.filter(same).select(["cell_id", name]).to_pylist()
            said = " and ".join(
                f"{value} in cell {next(row['cell_id'] for row in rows if row[name] == value)}"
                for value in (one[f"{name}_min"], one[f"{name}_max"])
            )
            images = f"{wrong.num_rows:,} image{'s' if wrong.num_rows > 1 else ''}"
            yield (
                f"{file}: column {name}: found {said} for the image {one['image']} ({one['split']}), and so "
                f"for {images}; expected {meaning} of an image in all cells of the grid; "
                f"write the same {name} in all cells, or leave out the cells of other data"
            )


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names as text and labels as numbers, without dictionaries and NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    column = _common(column)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column if pa.types.is_integer(column.type) else column.cast(pa.string())


def _ids(file: Path) -> list[str]:
    """The cells of a table."""
    stored = pq.ParquetFile(file)
    seen: dict[str, None] = {}
    for group in range(stored.num_row_groups):
        ids = pc.unique(_common(stored.read_row_group(group, columns=["cell_id"]).column(0)))
        seen |= dict.fromkeys(ids.cast(pa.string()).to_pylist())
    return list(seen)
