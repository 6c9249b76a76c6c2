"""Cell results -> Parquet tables, reading only what is new since the last time.

    OUT/plan.parquet + OUT/cells/<cell_id>/...  ->
    OUT/evidence/{trials,epochs,steps,range_tests,predictions}.parquet

`evidence/collected.parquet` remembers every finished cell that was read, with the time and size of its
`result.json`; it is written last, so that an interrupted collection is simply repeated.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.tables.checking import wrong_values
from analysis.tables.schema import AXES, NETWORK, TRIALS, EvidenceError, arrow_schema, conform
from analysis.tables.store import replace

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
        note: how the wanted cells were chosen when there is no plan; else empty.
    """

    wanted: int
    read: int
    foreign: int
    running: int
    note: str = ""


def collect(out: Path) -> Collection | None:
    """Bring the tables of evidence of `out` up to date; None if `out` has no `cells` and no plan.

    Raises:
        EvidenceError: `plan.parquet` cannot be read.
    """
    cells, plan_file = out / "cells", out / "plan.parquet"
    if not cells.is_dir() and not plan_file.exists():
        return None
    folder = out / "evidence"
    folder.mkdir(parents=True, exist_ok=True)

    found, running = _finished(cells)
    known = _known(folder)
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
    fill = [name for name in wanted if name not in keep]
    stored = {name for name, row in known.items() if row["in_tables"]}
    for table, file in LONG_TABLES.items():
        path = folder / f"{table}.parquet"
        if fill or stored - keep or not path.exists():
            _rewrite(path, table, keep, cells, fill, file)
    replace(trials, folder / "trials.parquet")
    stored_now = set(wanted)
    for name, row in records.items():
        row["in_tables"] = name in stored_now
    if new or fill or set(known) != set(records) or stored - keep:
        replace(pa.Table.from_pylist(list(records.values()), schema=_INDEX), folder / "collected.parquet")
    return Collection(trials.num_rows, len(new), len(records) - len(wanted), running, note)


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
        finished[entry.name] = (status.st_mtime_ns, status.st_size)
    return finished, running


def _known(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of `collected.parquet`; none if it is absent or has another version's columns."""
    file = folder / "collected.parquet"
    if not file.exists() or any(not (folder / f"{table}.parquet").exists() for table in LONG_TABLES):
        return {}
    data = pq.read_table(file)
    if data.schema.names != _INDEX.names:
        return {}
    return {row["cell_id"]: row for row in data.to_pylist()}


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
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return {
            "cell_id": folder.name,
            "status": "failed",
            "failure": "unreadable",
            "error": f"{file}: found no valid result ({problem!r}); remove the cell's folder and run the "
            f"sweep again",
        }
    environment, code = result.get("environment") or {}, result.get("code") or {}
    found = {
        "cell_id": folder.name,
        **row,
        "kind": row["kind"] or "grid",
        **metrics,
        **{name: result.get(name) for name in ("status", "failure", "error", "upstream", "data")},
        **{name: result.get(name) for name in ("started", "finished", "weights_input")},
        "weights_sha256": result.get("weights"),
        **{name: environment.get(name) for name in ("device", "host")},
        **{f"code_{name}": code.get(name) for name in ("version", "commit", "clean", "digest")},
        "recipe": recipe,
    }
    if wrong := wrong_values(found, "trials"):
        return {
            "cell_id": folder.name,
            "status": "failed",
            "failure": "unreadable",
            "error": f"{file}: {'; '.join(wrong)}; remove the cell's folder and run the sweep again",
        }
    return found


def _number(value: Any) -> float | int | None:
    """A finite number or None: what is undefined stays null."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if number else None


def _trials(plan_file: Path, records: dict[str, dict[str, Any]]) -> tuple[pa.Table, str]:
    """The table `trials`: every planned cell with its result, or without a plan the newest recipe's cells."""
    schema = arrow_schema("trials")
    if not plan_file.exists():
        chosen, note = _newest(records)
        return pa.Table.from_pylist(chosen, schema=schema), note
    try:
        plan = pq.read_table(plan_file)
    except (pa.ArrowInvalid, OSError) as problem:
        raise EvidenceError(
            f"{plan_file}: found no readable Parquet file ({problem}); run the sweep's --dry-run to write "
            f"it again"
        ) from problem
    rows = conform(
        plan.append_column("status", pa.array(["missing"] * len(plan))), "trials", plan_file
    ).to_pylist()
    for row in rows:
        result = records.get(row["cell_id"], {})
        row.update({name: value for name, value in result.items() if name in row and value is not None})
    return pa.Table.from_pylist(rows, schema=schema), ""


def _newest(records: dict[str, dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The cells of the recipe and data that finished last, and a sentence if there are others."""
    groups: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for row in records.values():
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


def _rewrite(path: Path, table: str, keep: set[str], cells: Path, fill: list[str], file: str) -> None:
    """Write a long table anew: the rows of the cells in `keep` as they are, then those of `fill`."""
    part = path.with_name(f".{path.name}.part")
    with pq.ParquetWriter(part, arrow_schema(table), compression="zstd") as writer:
        if path.exists() and keep:
            names = pa.array(sorted(keep))
            with pq.ParquetFile(path) as old:
                for batch in old.iter_batches(batch_size=ROWS_AT_ONCE):
                    kept = batch.filter(pc.is_in(batch.column("cell_id"), value_set=names))
                    writer.write_batch(kept, row_group_size=ROWS_AT_ONCE)
        for start in range(0, len(fill), CELLS_AT_ONCE):
            chunk = fill[start : start + CELLS_AT_ONCE]
            pending: dict[str, pa.Table] = {}
            rows = 0
            for name, data in zip(
                chunk, _parallel(lambda name: _cell_table(f"{cells}/{name}/{file}"), chunk), strict=True
            ):
                if data is not None:
                    pending[name] = data
                    rows += len(data)
                if rows >= ROWS_AT_ONCE:
                    writer.write_table(_joined(pending, table, cells), row_group_size=ROWS_AT_ONCE)
                    pending, rows = {}, 0
            if pending:
                writer.write_table(_joined(pending, table, cells), row_group_size=ROWS_AT_ONCE)
    part.replace(path)


def _cell_table(file: str) -> pa.Table | None:
    """One table of one cell as it was written; None if the cell did not get that far."""
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - ten thousand times, as above
            content = pa.BufferReader(stream.read())  # half the time of Parquet's opening it by its name
        return pq.ParquetFile(content).read(use_threads=False)
    except FileNotFoundError:
        return None
    except (pa.ArrowInvalid, OSError) as problem:
        raise EvidenceError(
            f"{file}: found no readable Parquet file ({problem}); remove the cell's folder and run the "
            "sweep again"
        ) from problem


def _joined(tables: dict[str, pa.Table], table: str, cells: Path) -> pa.Table:
    """Cells' tables one below the other with the columns of the schema, each cell's name as `cell_id`."""
    try:
        data = pa.concat_tables(tables.values(), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
        raise EvidenceError(
            f"{cells}: found columns of the table {table} whose types differ between the cells "
            f"{', '.join(tables)} ({problem})"
        ) from problem
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
