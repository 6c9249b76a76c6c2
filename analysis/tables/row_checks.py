"""Checks of rows against each other: repeated ones, ids without a cell, several findings, labels at odds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.tables.column_checks import FIRST, computable, rows_named
from analysis.tables.conditions import CONDITION, DEFAULTS, filled
from analysis.tables.schema import UNIQUE

MOST_ROWS_COMPARED = 50_000_000
"""A longer table is not searched for repeated rows: only a sweep's own steps are so many."""
COPIES = "if they are copies, delete all but one"
REPEATED = {
    "trials": f"{COPIES}; if they are different cells, give each its own cell_id, in the other tables too",
    "predictions": f"{COPIES}; if they are different images, give each its own name",
}
"""What to do about rows with the same keys; `COPIES` in other tables."""


def repeated(table: str, file: Path, stored: pq.ParquetFile, sound: set[str]) -> Iterator[str]:
    """Rows that say the same cell, or the same of it, again."""
    if table == "trials":
        expected = f"one row for each; {REPEATED[table]}"
        yield from same_keys(file, _keys(stored, ("cell_id",), sound), expected)
        expected = (
            "one cell for each condition and seed of the grid; if they are repeats, give each its own seed"
        )
        yield from same_keys(file, _conditions(stored, sound), f"{expected}; {COPIES}")
    elif table in UNIQUE and stored.metadata.num_rows <= MOST_ROWS_COMPARED:
        expected = f"one row for each; {REPEATED.get(table, COPIES)}"
        yield from same_keys(file, _keys(stored, UNIQUE[table], sound), expected)


def _keys(stored: pq.ParquetFile, names: tuple[str, ...], sound: set[str]) -> pd.DataFrame | None:
    """These columns as codes, rows with a null in them left out; None if one is absent or unsound."""
    if not set(names) <= sound:
        return None
    data = stored.read(columns=list(names))
    frame = pd.DataFrame(index=range(1, data.num_rows + 1))
    for name in names:
        column = computable(data.column(name))
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


def same_keys(file: Path, keys: pd.DataFrame | None, expected: str) -> Iterator[str]:
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
        yield f"{file}: {rows_named(places[where].tolist())}: found {said} in each, expected {expected}"
    if len(groups) > FIRST:
        yield f"{file}: {len(groups) - FIRST:,} more are repeated so"


def strangers(files: dict[str, Path]) -> list[str]:
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


def several_findings(file: Path) -> Iterator[str]:
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


def contradictions(files: dict[str, Path]) -> Iterator[str]:
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
    column = computable(column)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column if pa.types.is_integer(column.type) else column.cast(pa.string())


def _ids(file: Path) -> list[str]:
    """The cells of a table."""
    stored = pq.ParquetFile(file)
    seen: dict[str, None] = {}
    for group in range(stored.num_row_groups):
        ids = pc.unique(computable(stored.read_row_group(group, columns=["cell_id"]).column(0)))
        seen |= dict.fromkeys(ids.cast(pa.string()).to_pylist())
    return list(seen)
