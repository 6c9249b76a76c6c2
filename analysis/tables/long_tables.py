"""The tables with many rows a cell: those of the cells that are known stay as they are, others are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.tables.checking import impossible
from analysis.tables.conform import conform
from analysis.tables.schema import REQUIRED, EvidenceError, UnreadableError, arrow_schema

LONG_TABLES = {
    "epochs": "epochs.parquet",
    "steps": "steps.parquet",
    "range_tests": "range_test.parquet",
    "predictions": "predictions.parquet",
}
"""Table of evidence -> name of the file in a cell's folder."""

CELLS_AT_ONCE = 256
NAMES_AT_ONCE = 32
ROWS_AT_ONCE = 1 << 20


def rewrite(
    folder: Path, table: str, keep: set[str], cells: Path, fill: list[str], *, strict: bool
) -> dict[str, str]:
    """Write a long table anew: the rows of the cells in `keep` as they are, then those of `fill`.

    Returns:
        Cells of `fill` that cannot be read, and why; where there are any, nothing was written.
    """
    path, file = folder / f"{table}.parquet", LONG_TABLES[table]
    part = path.with_name(f".{path.name}.part")
    broken: dict[str, str] = {}
    with pq.ParquetWriter(part, arrow_schema(table), compression="zstd") as writer:
        if path.exists() and keep:
            names = pa.array(sorted(keep))
            with pq.ParquetFile(path) as old:
                for batch in _batches(old, path):
                    kept = batch.filter(pc.is_in(batch.column("cell_id"), value_set=names))
                    writer.write_batch(kept, row_group_size=ROWS_AT_ONCE)
        for start in range(0, len(fill), CELLS_AT_ONCE):
            chunk = fill[start : start + CELLS_AT_ONCE]
            pending: dict[str, pa.Table] = {}
            rows = 0
            read = partial(_cell_table, cells, file, table, strict=strict)
            for name, data in zip(chunk, parallel(read, chunk), strict=True):
                if isinstance(data, str):
                    broken[name] = data
                elif data is not None:
                    pending[name] = data
                    rows += len(data)
                if rows >= ROWS_AT_ONCE:
                    broken |= _append(writer, pending, table, cells)
                    pending, rows = {}, 0
            if pending:
                broken |= _append(writer, pending, table, cells)
    if broken:
        part.unlink()
    else:
        part.replace(path)
    return broken


def _batches(stored: pq.ParquetFile, file: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a table, some at a time.

    Raises:
        UnreadableError: they are damaged.
    """
    try:
        yield from stored.iter_batches(batch_size=ROWS_AT_ONCE)
    except (pa.ArrowException, OSError) as problem:
        raise UnreadableError(f"{file}: found no readable Parquet file ({problem})") from problem


def _append(
    writer: pq.ParquetWriter, pending: dict[str, pa.Table], table: str, cells: Path
) -> dict[str, str]:
    """Write the rows of the cells that have the columns of the schema; of the others, what is wrong."""
    broken: dict[str, str] = {}
    try:
        data = _joined(pending, table, cells)
    except (pa.ArrowException, EvidenceError):  # one by one, to see which of them it is
        fitted: dict[str, pa.Table] = {}
        for name, one in pending.items():
            try:
                fitted[name] = conform(one, table, cells / name / LONG_TABLES[table], without=("cell_id",))
            except EvidenceError as problem:
                broken[name] = str(problem)
        if not fitted:
            return broken
        data = _joined(fitted, table, cells)
    writer.write_table(data, row_group_size=ROWS_AT_ONCE)
    return broken


def _cell_table(cells: Path, file: str, table: str, name: str, *, strict: bool) -> pa.Table | str | None:
    """One table of one cell as it was written; None if the cell did not get that far, or what is wrong."""
    path = f"{cells}/{name}/{file}"
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - ten thousand times, as above
            content = pa.BufferReader(stream.read())  # half the time of Parquet's opening it by its name
        data = pq.ParquetFile(content).read(use_threads=False)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as problem:
        return f"{path}: found no readable Parquet file ({problem})"
    if missing := [name for name in REQUIRED[table][1:] if name not in data.column_names]:
        return f"{path}: found no column {', '.join(missing)}"
    return "; ".join(impossible(data, table, Path(path))) or data if strict else data


def _joined(tables: dict[str, pa.Table], table: str, cells: Path) -> pa.Table:
    """Cells' tables one below the other with the columns of the schema, each cell's name as `cell_id`.

    Raises:
        EvidenceError, pa.ArrowException: one of them has not these columns.
    """
    data = pa.concat_tables(tables.values(), promote_options="permissive")
    rows = np.repeat(np.arange(len(tables)), [len(t) for t in tables.values()])
    names = pa.array(list(tables)).take(pa.array(rows))
    data = conform(data, table, cells, without=("cell_id",))
    return data.add_column(0, arrow_schema(table).field(0), names)


def parallel(function: Callable[[str], Any], names: list[str]) -> Iterator[Any]:
    """`map` by a few threads, some names at a time, in the order of the names."""
    slices = [names[i : i + NAMES_AT_ONCE] for i in range(0, len(names), NAMES_AT_ONCE)]
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for results in pool.map(lambda some: [function(name) for name in some], slices):
            yield from results
