"""Cell results -> Parquet tables, reading only what is new since the last time.

    OUT/plan.parquet + OUT/cells/<cell_id>/...  ->
    OUT/evidence/{trials,epochs,steps,range_tests,predictions}.parquet

`evidence/collected.parquet` remembers every finished cell that was read, with the time and size of its
`result.json`; it is written last, so that an interrupted collection is simply repeated. All of these tables
are derived: one that cannot be read is written anew. A cell that cannot be read is a failed one that says so;
its rows are left out, and it is tried again at every collection.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.tables.axes import AXES
from analysis.tables.checking import impossible, wrong_values
from analysis.tables.conform import conform
from analysis.tables.schema import (
    NETWORK,
    REQUIRED,
    TRIALS,
    EvidenceError,
    UnreadableError,
    arrow_schema,
)
from analysis.tables.store import UNREADABLE, replace

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
AXIS_NAMES = tuple(c.name for c in AXES)
_METRICS = frozenset(c.name for c in TRIALS if pa.types.is_floating(c.type)) | {
    "epochs", "best_epoch", *(c.name for c in NETWORK),
}  # fmt: skip
_INDEX = pa.schema(
    [*arrow_schema("trials"), ("modified_ns", pa.int64()), ("size", pa.int64()), ("in_tables", pa.bool_())]
)


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection found.

    Attributes:
        wanted: rows of `trials.parquet`.
        read: finished cells that were read now, because they are new or have changed.
        foreign: finished cells that belong to other recipes, data or spaces; left out.
        running: folders without a result: running or interrupted.
        note: how the wanted cells were chosen when there is no plan that can be read; else empty.
        unreadable: cell -> what of it cannot be read; failed cells of `trials.parquet`.
    """

    wanted: int
    read: int
    foreign: int
    running: int
    note: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)


def collect(out: Path, to: Path | None = None, *, anew: bool = False) -> Collection | None:
    """Bring the tables of evidence of `out` up to date; None if `out` has no `cells` and no plan.

    Args:
        to: where `evidence` is written; `out` itself by default.
        anew: read every cell again, and leave out those with a value that cannot be.

    Raises:
        EvidenceError: `plan.parquet` lacks a column.
    """
    try:
        return _collect(out, to or out, anew)
    except UnreadableError:  # a derived table whose end is there and whose rows are not
        return _collect(out, to or out, True)


def _collect(out: Path, to: Path, anew: bool) -> Collection | None:
    """As `collect`; raises `UnreadableError` where a derived table is damaged."""
    cells, plan_file = out / "cells", out / "plan.parquet"
    if not cells.is_dir() and not plan_file.exists():
        return None
    folder = to / "evidence"
    folder.mkdir(parents=True, exist_ok=True)

    found, running = _finished(cells)
    known = {} if anew else _known(folder)
    unchanged = {
        name: row for name, row in known.items() if (row["modified_ns"], row["size"]) == found.get(name)
    }
    new = sorted(set(found) - set(unchanged))
    records = dict(unchanged)
    for name, record in zip(new, _parallel(lambda name: _read_result(cells / name), new), strict=True):
        records[name] = {**record, "modified_ns": found[name][0], "size": found[name][1], "in_tables": False}

    trials, note = _trials(plan_file, records)
    wanted = [name for name in trials.column("cell_id").to_pylist() if name in records]
    keep = {name for name in wanted if records[name]["in_tables"]}
    fill = [name for name in wanted if name not in keep and records[name].get("failure") != UNREADABLE]
    stored = {name for name, row in known.items() if row["in_tables"]}
    stale = [table for table in LONG_TABLES if not (folder / f"{table}.parquet").exists()]
    broken: dict[str, str] = {}
    for table in LONG_TABLES if fill or stored - keep else stale:
        while bad := _rewrite(folder, table, keep, cells, [n for n in fill if n not in broken], strict=anew):
            broken |= bad
    if broken:  # tables that were written before a cell turned out to be damaged hold rows of it
        for table in LONG_TABLES:
            _rewrite(folder, table, keep, cells, [n for n in fill if n not in broken], strict=anew)
    for name, why in broken.items():
        axes = {key: value for key, value in records[name].items() if key not in _METRICS}
        records[name] = {**axes, **_unreadable(name, why)}
    trials, note = _trials(plan_file, records) if broken else (trials, note)
    replace(trials, folder / "trials.parquet")
    stored_now = keep | (set(fill) - set(broken))
    for name, row in records.items():
        row["in_tables"] = name in stored_now
    if new or fill or set(known) != set(records) or stored - keep:
        replace(pa.Table.from_pylist(list(records.values()), schema=_INDEX), folder / "collected.parquet")
    planned = set(trials.column("cell_id").to_pylist()) if plan_file.exists() else set(records)
    unreadable = {
        name: str(row["error"])
        for name, row in records.items()
        if row.get("failure") == UNREADABLE and name in planned
    }
    return Collection(trials.num_rows, len(new), len(records) - len(wanted), running, note, unreadable)


def _finished(cells: Path) -> tuple[dict[str, tuple[int, int]], int]:
    """cell_id -> (time, size) of every `result.json`, and the number of folders without one."""
    finished: dict[str, tuple[int, int]] = {}
    running = 0
    if not cells.is_dir():
        return finished, running
    for entry in os.scandir(cells):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        try:
            status = os.stat(f"{entry.path}/result.json")  # noqa: PTH116 - ten thousand times
        except FileNotFoundError:
            running += 1
            continue
        except OSError:  # `_read_result` says why
            finished[entry.name] = (0, 0)
            continue
        finished[entry.name] = (status.st_mtime_ns, status.st_size)
    return finished, running


def _known(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of `collected.parquet`; none if a table is absent, cut, or of another version's columns.

    Unreadable cells are left out, so that they are read again.
    """
    file = folder / "collected.parquet"
    try:
        for table in LONG_TABLES:
            pq.read_schema(folder / f"{table}.parquet").field("cell_id")
        data = pq.read_table(file)
    except (pa.ArrowException, OSError, KeyError):
        return {}
    if not data.schema.equals(_INDEX):
        return {}
    return {row["cell_id"]: row for row in data.to_pylist() if row["failure"] != UNREADABLE}


def _parallel(function: Callable[[str], Any], names: list[str]) -> Iterator[Any]:
    """`map` by a few threads, some names at a time, in the order of the names."""
    slices = [names[i : i + NAMES_AT_ONCE] for i in range(0, len(names), NAMES_AT_ONCE)]
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for results in pool.map(lambda some: [function(name) for name in some], slices):
            yield from results


def _read_result(folder: Path) -> dict[str, Any]:
    """One row of `trials` from a cell's `result.json`; a damaged file is a failed cell that says so."""
    file = folder / "result.json"
    try:
        result = json.loads(file.read_bytes())
        row = {name: result["cell"].get(name) for name in AXIS_NAMES}
        metrics = {n: _number(v) for n, v in (result.get("metrics") or {}).items() if n in _METRICS}
        recipe = json.dumps(result.get("recipe"), sort_keys=True, separators=(",", ":"))
        environment, code = result.get("environment") or {}, result.get("code") or {}
        found = {
            "cell_id": folder.name,
            **row,
            "kind": row["kind"] or "grid",
            **metrics,
            **{name: result.get(name) for name in ("status", "failure", "error", "upstream", "data")},
            **{name: result.get(name) for name in ("started", "finished", "weights_input")},
            "weights_sha256": result.get("weights"),
            "rate_at_edge": (result.get("metrics") or {}).get("rate_at_edge"),
            **{name: environment.get(name) for name in ("device", "host", "threads")},
            "device_share": environment.get("share"),
            **{f"code_{name}": code.get(name) for name in ("version", "commit", "clean", "digest")},
            "recipe": recipe,
        }
    except OSError as problem:
        return _unreadable(folder.name, f"{file}: found no file that can be read ({problem.strerror})")
    except KeyError as problem:
        return _unreadable(folder.name, f"{file}: found no {problem} in it, expected a cell's result")
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        return _unreadable(folder.name, f"{file}: found no valid result ({problem!r})")
    if found["status"] not in ("done", "failed"):
        said = f"status: found {found['status']!r}, expected done or failed"
        return _unreadable(folder.name, f"{file}: {said}")
    if wrong := wrong_values(found, "trials"):
        return _unreadable(folder.name, f"{file}: {'; '.join(wrong)}")
    return found


def _unreadable(name: str, why: str) -> dict[str, Any]:
    """The row of a cell that cannot be read."""
    advice = "remove the cell's folder and run the sweep again"
    return {"cell_id": name, "status": "failed", "failure": UNREADABLE, "error": f"{why}; {advice}"}


def _number(value: Any) -> float | int | None:
    """A finite number or None: what is undefined stays null."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if number else None


def _trials(plan_file: Path, records: dict[str, dict[str, Any]]) -> tuple[pa.Table, str]:
    """The table `trials`: every planned cell with its result, or without a plan the newest recipe's cells."""
    schema = arrow_schema("trials")
    lost = ""
    try:
        plan = pq.read_table(plan_file) if plan_file.exists() else None
    except (pa.ArrowException, OSError) as problem:
        plan = None
        lost = (
            f"{plan_file} cannot be read ({problem}), so that planned cells without a result are not known; "
            "run the sweep's command again, which writes it"
        )
    if plan is None:
        chosen, note = _newest(records)
        return pa.Table.from_pylist(chosen, schema=schema), "; ".join(filter(None, (lost, note)))
    rows = conform(
        plan.append_column("status", pa.array(["missing"] * len(plan))), "trials", plan_file
    ).to_pylist()
    for row in rows:
        result = records.get(row["cell_id"], {})
        if result.get("failure") == UNREADABLE:
            row.update({name: result.get(name) for name in ("status", "failure", "error")})
            continue
        row.update({name: value for name, value in result.items() if name in row and value is not None})
    return pa.Table.from_pylist(rows, schema=schema), ""


def _newest(records: dict[str, dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The cells of the recipe and data that finished last, and a sentence if there are others."""
    groups: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for row in records.values():
        if row.get("architecture") is None:  # a result that cannot be read
            continue
        groups.setdefault((row.get("recipe"), row.get("data")), []).append(row)
    if not groups:
        return [], ""
    newest = max(groups.values(), key=lambda rows: max(row.get("finished") or "" for row in rows))
    if len(groups) == 1:
        return newest, ""
    return newest, (
        f"no plan.parquet, and the results belong to {len(groups)} recipes or data sets: "
        f"the one that finished last is used ({len(newest)} cells)"
    )


def _rewrite(
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
            for name, data in zip(chunk, _parallel(read, chunk), strict=True):
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


def completeness(trials: pd.DataFrame) -> pd.DataFrame:
    """Cells by architecture and status (`planned done failed missing`), grid cells first, a total last."""
    counts = (
        trials.assign(kind=trials["kind"].fillna("grid"))
        .pivot_table(
            index=["kind", "architecture"], columns="status", values="cell_id", aggfunc="count", fill_value=0
        )
        .reindex(columns=["done", "failed", "missing"], fill_value=0)
    )
    total = (
        counts.sum()
        .to_frame()
        .T.set_index(pd.MultiIndex.from_tuples([("all", "")], names=counts.index.names))
    )
    table = pd.concat([counts, total])
    table.insert(0, "planned", table.sum(axis=1))
    return table.reset_index()
