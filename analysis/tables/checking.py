"""Checks tables from whomever before they are judged: columns, types, words, ranges, nulls and repeated rows.

Everything that is wrong is told at once. Long tables are read a row group at a time, and numbers whose range
the file itself states are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.tables.column_checks import (
    TO_WRITE,
    advice,
    column_problems,
    computable,
    impossible_values,
    possible,
    rows_named,
    type_fits,
    type_word,
)
from analysis.tables.row_checks import contradictions, repeated, same_keys, several_findings, strangers
from analysis.tables.schema import NEVER_NULL, REQUIRED, TABLES, UNIQUE, EvidenceError
from analysis.tables.store import evidence_folder

ADVICE = "Columns, types and meanings of all tables: analysis/tables/schema.py"


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
        problems = [*strangers(files), *several_findings(files["trials"]), *contradictions(files)]
    if problems:
        raise EvidenceError("\n".join([*problems, ADVICE] if lacking else problems))


def wrong_values(row: dict[str, Any], table: str) -> list[str]:
    """What a single row, of JSON, has that its table cannot hold; values that are absent are not missed."""
    return [
        f"{column.name}: found {row[column.name]!r}, expected {column.expected()}"
        for column in TABLES[table]
        if row.get(column.name) is not None and not possible(row[column.name], column)
    ]


def impossible(data: pa.Table, table: str, file: Path) -> list[str]:
    """What one cell's table has that cannot be: values out of range, nulls, and rows that say the same."""
    found = []
    for column in TABLES[table]:
        if column.name not in data.column_names:
            continue
        stored = data.column(column.name)
        if not type_fits(stored.type, column):
            found.append(
                f"{file}: column {column.name}: found {type_word(stored.type)}, expected {column.expected()}"
            )
            continue
        never = column.name in NEVER_NULL[table]
        bad = impossible_values(computable(stored).combine_chunks(), column, never).to_numpy(
            zero_copy_only=False
        )
        if bad.any():
            first = int(bad.argmax())
            found.append(
                f"{file}: column {column.name}, {rows_named((np.flatnonzero(bad) + 1).tolist())}: "
                f"found {stored[first].as_py()!r}, expected {column.expected()}"
            )
    keys = [name for name in UNIQUE.get(table, ()) if name != "cell_id" and name in data.column_names]
    if keys and not found:
        frame = data.select(keys).to_pandas().dropna()
        frame.index = frame.index + 1
        found += list(same_keys(file, frame, "one row for each"))
    return found


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
        if not type_fits(found, column):
            first = _first(stored, column.name)
            yield (
                f"{file}: column {column.name}: found {type_word(found)}{first}, expected {column.expected()}"
                f"{advice(column)}"
            )
            continue
        problems = list(column_problems(file, stored, column, column.name in NEVER_NULL[table]))
        yield from problems
        if not problems:
            sound.add(column.name)
    yield from repeated(table, file, stored, sound)


def _first(stored: pq.ParquetFile, name: str) -> str:
    """The first value of a column, in brackets; nothing where it has none."""
    for batch in stored.iter_batches(batch_size=1, columns=[name]):
        return f" ({batch.column(0)[0].as_py()!r} in row 1)"
    return ""
