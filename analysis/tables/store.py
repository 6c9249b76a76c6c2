"""Reading a folder of evidence: `load(OUT)` gives its tables as data frames."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.tables.conform import conform
from analysis.tables.networks import Networks, networks
from analysis.tables.origins import natural_arm
from analysis.tables.schema import EvidenceError, UnreadableError, arrow_schema

UNREADABLE = "unreadable"
"""The failure of a cell whose files cannot be read."""


@dataclass(frozen=True)
class Evidence:
    """The evidence of one OUT folder; large tables are read when first asked for.

    Attributes:
        out: the folder.
        trials: one row per wanted cell; columns in `analysis.tables.schema.TRIALS`.
        epochs: one row per cell and epoch; `EPOCHS`.
        sweep: what the sweep recorded of itself (recipe, data, versions, hardware); may be empty.
        cache: what was computed from these tables and is worth keeping.
    """

    out: Path
    trials: pd.DataFrame
    epochs: pd.DataFrame
    sweep: dict[str, Any] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row per cell and optimiser step; `STEPS`."""
        return read(self.out, "steps").to_pandas()

    @cached_property
    def range_tests(self) -> pd.DataFrame:
        """The learning-rate range tests' curves; `RANGE_TESTS`."""
        return read(self.out, "range_tests").to_pandas()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per cell and image; `PREDICTIONS`, names as categories."""
        return read(self.out, "predictions", names_as_categories=True).to_pandas()

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Every contrast with its interval; `ESTIMATES`. Empty before the first `analysis.run`."""
        return read(self.out, "estimates").to_pandas()

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """The claims of the four conjectures; `VERDICTS`. Empty before the first `analysis.run`."""
        return read(self.out, "verdicts").to_pandas()

    @cached_property
    def findings(self) -> pd.DataFrame:
        """The study's own findings beside ours; `FINDINGS`. Empty before the first `analysis.run`."""
        return read(self.out, "findings").to_pandas()

    @cached_property
    def published(self) -> pd.DataFrame:
        """Published AUROC beside ours; `PUBLISHED`. Empty before the first `analysis.run`."""
        return read(self.out, "published").to_pandas()

    @cached_property
    def networks(self) -> Networks:
        """What the networks are called and how they are drawn."""
        return networks(self.trials)

    @cached_property
    def checks(self) -> pd.DataFrame:
        """What the checks of docs/checks.md found; `CHECKS`. Empty before the first `analysis.run`."""
        return read(self.out, "checks").to_pandas()

    @property
    def natural(self) -> str | None:
        """The arm of natural images (`imagenet`, `photos`, the weights' own name), None if there is none."""
        return natural_arm(self.trials, self.sweep.get("natural_images"))


def evidence_folder(out: Path) -> Path:
    """Where the tables of `out` lie: `out/evidence`, or `out` itself if that holds the tables."""
    return out if (out / "trials.parquet").exists() and not (out / "evidence").exists() else out / "evidence"


def load(out: str | Path) -> Evidence:
    """Read the evidence below `out` as `python -m analysis` left it.

    Raises:
        EvidenceError: there is no evidence, or a table lacks a column.
    """
    out = Path(out)
    if not (evidence_folder(out) / "trials.parquet").exists():
        raise EvidenceError(_nothing_in(out))
    trials = read(out, "trials").to_pandas()
    duplicates = trials["cell_id"][trials["cell_id"].duplicated()]
    if len(duplicates):
        raise EvidenceError(
            f"{evidence_folder(out) / 'trials.parquet'}: found {len(duplicates)} repeated cell_id, "
            f"{duplicates.iloc[0]} first; expected one row per cell"
        )
    return Evidence(out, trials, read(out, "epochs").to_pandas(), read_sweep(out))


def _nothing_in(out: Path) -> str:
    """What to say of a folder without tables: what it holds, or that it was not analysed yet."""
    if (out / "cells").is_dir():
        return f"{out}: found cells without tables; make them: python -m analysis {out}"
    names = sorted(one.name for one in out.iterdir() if not one.name.startswith(".")) if out.is_dir() else []
    inside = [name for name in names if any((out / name / one).is_dir() for one in ("cells", "evidence"))]
    if inside:
        return f"{out}: found no results, but some in {inside[0]}; name that folder: {out / inside[0]}"
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4:,} more" if len(names) > 4 else "")
    expected = "the --out folder of a sweep, with cells or evidence in it"
    advice = "run the sweep first, or name the folder that you gave to its --out"
    return f"{out}: found {shown or 'nothing'}; expected {expected}; {advice}"


def read(out: Path, table: str, *, names_as_categories: bool = False, filters: Any = None) -> pa.Table:
    """One table of `out` with the columns of its schema; no rows if the file is not there.

    Args:
        names_as_categories: keep repeated names as dictionaries, which saves memory in long tables.
        filters: as in `pyarrow.parquet.read_table`.
    """
    file = evidence_folder(out) / f"{table}.parquet"
    schema = arrow_schema(table)
    if not file.exists():
        return schema.empty_table()
    try:
        found = set(pq.read_schema(file).names)
        names = [f.name for f in schema if f.name in found]
        data = pq.read_table(file, columns=names, filters=filters)
    except (pa.ArrowException, OSError) as problem:
        raise UnreadableError(
            f"{file}: found no readable Parquet file ({problem}); expected the table {table}: copy it again"
        ) from problem
    data = conform(data, table, file)
    if names_as_categories:
        for index, f in enumerate(schema):
            if pa.types.is_string(f.type):
                data = data.set_column(index, f.name, data.column(f.name).dictionary_encode())
    return data


def write(out: Path, table: str, frame: pd.DataFrame) -> None:
    """Write `frame` as one of the tables of `out`, in one step."""
    folder = evidence_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{table}.parquet"
    data = conform(pa.Table.from_pandas(frame, preserve_index=False), table, file)
    replace(data, file)


def write_json(file: Path, data: Any) -> None:
    """Plain values as JSON; the file is replaced whole, and stands on the disk once this returns."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o644)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def replace(data: pa.Table, file: Path) -> None:
    """Write a Parquet file beside `file` and move it there: readers see the old one or the new one."""
    part = file.with_name(f".{file.name}.part")
    pq.write_table(data, part, compression="zstd")
    part.replace(file)


def read_sweep(out: Path) -> dict[str, Any]:
    """`out/sweep.json`, else its copy in the tables of evidence, else an empty record."""
    return _recorded(out)[0]


def sweep_note(out: Path) -> str:
    """What stood in for a `sweep.json` that cannot be read, as a sentence without a full stop; else empty."""
    return _recorded(out)[1]


def _recorded(out: Path) -> tuple[dict[str, Any], str]:
    """What the sweep recorded of itself, and a note where its own file cannot be read."""
    file, note = out / "sweep.json", ""
    if file.exists():
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(record, dict):
                return record, ""
            problem = f"a {type(record).__name__}, not an object"
        except (OSError, ValueError, RecursionError) as error:
            problem = str(error)
        note = f"{file} cannot be read ({problem})"
    try:
        record = {row["name"]: json.loads(row["value"]) for row in read(out, "sweep").to_pylist()}
    except (EvidenceError, TypeError, ValueError) as error:
        record, note = {}, "; ".join(filter(None, (note, f"nor can its copy in evidence ({error})")))
    if not note:
        return record, ""
    instead = "its copy in evidence is used" if record else "the report says nothing of recipe and machine"
    return record, f"{note}; {instead}"


def sweep_table(record: dict[str, Any]) -> pd.DataFrame:
    """The table `sweep`: a copy of what the sweep recorded, so that the tables alone say it too."""
    rows = [{"name": name, "value": json.dumps(value, sort_keys=True)} for name, value in record.items()]
    return pd.DataFrame(rows, columns=["name", "value"], dtype=object)
