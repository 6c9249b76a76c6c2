"""One cell's folder on disk: its records while it runs, and `result.json`, written last and atomically.

A cell is finished when its `result.json` exists, and not before; everything else in the folder is then whole.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from transfusion.cell import NOTHING_SUPPLIED, SCHEMA, Cell, Recipe, Supplied, cell_id, upstream_of
from transfusion.files import atomic, unwatched
from transfusion.records.code_version import code_version
from transfusion.records.failures import Failure

RESULT, WEIGHTS, CHECKPOINT = "result.json", "weights.safetensors", "checkpoint.pt"
TRACEBACK = "traceback.txt"
TABLES = ("epochs", "steps", "range_test", "predictions")


def write_table(
    folder: Path, name: str, columns: dict[str, Any], check: Callable[[], None] = unwatched
) -> None:
    """Write `columns` as the Parquet table `name` (one of `TABLES`) of a cell's folder.

    Args:
        check: as of `atomic`.
    """
    with atomic(folder / f"{name}.parquet", check) as path:
        table = pa.table({column: pa.array(values, from_pandas=True) for column, values in columns.items()})
        repeated = [column.name for column in table.schema if pa.types.is_string(column.type)]
        # Thousands of these small files are collected: numbers without a dictionary, and by LZ4, are read in
        # half the time.
        compression = {name: "zstd" if name in repeated else "lz4" for name in table.column_names}
        pq.write_table(table, path, compression=compression, use_dictionary=repeated)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """All that a result follows from: what makes the identity of a cell.

    Attributes:
        fingerprint: of the data set.
        supplied: what `init=imagenet` starts from.
    """

    cell: Cell
    recipe: Recipe
    fingerprint: str
    supplied: Supplied = NOTHING_SUPPLIED


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a cell ended: `done` with its metrics, or `failed`, why and with what error."""

    status: Literal["done", "failed"]
    metrics: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    error: str | None = None


def write_result(
    folder: Path,
    origin: Origin,
    outcome: Outcome,
    *,
    environment: dict[str, Any],
    started: str,
    finished: str,
    check: Callable[[], None] = unwatched,
) -> dict[str, Any]:
    """Finish a cell: write `result.json`, then drop the checkpoint. Returns the record."""
    cell, recipe, supplied = origin.cell, origin.recipe, origin.supplied
    upstream = upstream_of(cell, recipe, supplied)
    record = {
        "schema": SCHEMA,
        "cell_id": folder.name,
        "cell": dataclasses.asdict(cell),
        "recipe": dataclasses.asdict(recipe),
        "data": origin.fingerprint,
        "upstream": cell_id(upstream, recipe, origin.fingerprint, supplied) if upstream else None,
        "weights": supplied.weights_of(cell),
        "weights_input": supplied.input_of(cell).text() if supplied.weights_of(cell) else None,
        "status": outcome.status,
        "failure": outcome.failure,
        "error": outcome.error,
        "metrics": outcome.metrics,
        "environment": environment,
        "code": code_version().record(),
        "started": started,
        "finished": finished,
    }
    text = json.dumps(record, indent=1, allow_nan=False)
    with atomic(folder / RESULT, check) as path:
        path.write_text(text)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return json.loads(text)


def read_result(folder: Path) -> dict[str, Any] | None:
    """The record of a finished cell, or None if the cell has not finished.

    Raises:
        ValueError: if the file is not a record, naming it.
    """
    path = folder / RESULT
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}: found no valid JSON ({error}); delete the file to run the cell again"
        ) from error
    return record


def reopen(folder: Path) -> None:
    """Remove a cell's result, so that it is trained again."""
    (folder / RESULT).unlink(missing_ok=True)
    (folder / TRACEBACK).unlink(missing_ok=True)


def read_all(cells: Path) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """The records of every finished cell by id, and the ids of those that have a folder but no result.

    Raises:
        ValueError: a record is damaged; see `read_result`.
    """
    records: dict[str, dict[str, Any]] = {}
    unfinished: set[str] = set()
    if not cells.is_dir():
        return records, unfinished
    with os.scandir(cells) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        record = read_result(cells / name)
        if record is None:
            unfinished.add(name)
        else:
            records[name] = record
    return records, unfinished
