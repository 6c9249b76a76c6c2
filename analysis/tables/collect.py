"""Cell results -> Parquet tables, reading only what is new since the last time.

    OUT/plan.parquet + OUT/cells/<cell_id>/...  ->
    OUT/evidence/{trials,epochs,steps,range_tests,predictions}.parquet

`evidence/collected.parquet` remembers every finished cell that was read, with the time and size of its
`result.json`; it is written last, so that an interrupted collection is simply repeated. All of these tables
are derived: one that cannot be read is written anew. A cell that cannot be read is a failed one that says so;
its rows are left out, and it is tried again at every collection.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.tables.cell_result import METRICS, read_result, unreadable_row
from analysis.tables.conform import conform
from analysis.tables.long_tables import LONG_TABLES, parallel, rewrite
from analysis.tables.schema import UnreadableError, arrow_schema
from analysis.tables.store import UNREADABLE, replace

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
    for name, record in zip(new, parallel(lambda name: read_result(cells / name), new), strict=True):
        records[name] = {**record, "modified_ns": found[name][0], "size": found[name][1], "in_tables": False}

    trials, note = _trials(plan_file, records)
    wanted = [name for name in trials.column("cell_id").to_pylist() if name in records]
    keep = {name for name in wanted if records[name]["in_tables"]}
    fill = [name for name in wanted if name not in keep and records[name].get("failure") != UNREADABLE]
    stored = {name for name, row in known.items() if row["in_tables"]}
    stale = [table for table in LONG_TABLES if not (folder / f"{table}.parquet").exists()]
    broken: dict[str, str] = {}
    for table in LONG_TABLES if fill or stored - keep else stale:
        while bad := rewrite(folder, table, keep, cells, [n for n in fill if n not in broken], strict=anew):
            broken |= bad
    if broken:  # tables that were written before a cell turned out to be damaged hold rows of it
        for table in LONG_TABLES:
            rewrite(folder, table, keep, cells, [n for n in fill if n not in broken], strict=anew)
    for name, why in broken.items():
        axes = {key: value for key, value in records[name].items() if key not in METRICS}
        records[name] = {**axes, **unreadable_row(name, why)}
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
        except OSError:  # `read_result` says why
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
