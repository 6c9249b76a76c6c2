"""A table as it was found, in the columns of the schema."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.tables.schema import REQUIRED, EvidenceError, arrow_schema


def conform(data: pa.Table, table: str, file: Path, *, without: tuple[str, ...] = ()) -> pa.Table:
    """`data` with exactly the columns of `table`: cast, in order, absent ones null, NaN in them null.

    Args:
        file: named in errors.
        without: columns that are left out, required or not.

    Raises:
        EvidenceError: a required column is missing or a column does not have its type.
    """
    missing = [c for c in REQUIRED.get(table, ()) if c not in data.column_names and c not in without]
    if missing:
        raise EvidenceError(
            f"{file}: found columns {', '.join(data.column_names)}; the table {table} needs "
            f"{', '.join(missing)} as well. Columns and meanings: analysis/tables/schema.py"
        )
    schema = pa.schema([f for f in arrow_schema(table) if f.name not in without])
    columns = []
    for field in schema:
        if field.name not in data.column_names:
            columns.append(pa.nulls(data.num_rows, field.type))
            continue
        column = data.column(field.name)
        if column.type == field.type and not pa.types.is_floating(field.type):
            columns.append(column)
            continue
        try:
            columns.append(_cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
            raise EvidenceError(
                f"{file}: column {field.name}: found {column.type}, expected {field.type} ({problem})"
            ) from problem
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.cast(to)
