"""One cell's `result.json` as a row of `trials`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.tables.axes import AXES
from analysis.tables.checking import wrong_values
from analysis.tables.schema import NETWORK, TRIALS
from analysis.tables.store import UNREADABLE

AXIS_NAMES = tuple(c.name for c in AXES)
METRICS = frozenset(c.name for c in TRIALS if pa.types.is_floating(c.type)) | {
    "epochs", "best_epoch", *(c.name for c in NETWORK),
}  # fmt: skip


def read_result(folder: Path) -> dict[str, Any]:
    """One row of `trials` from a cell's `result.json`; a damaged file is a failed cell that says so."""
    file = folder / "result.json"
    try:
        result = json.loads(file.read_bytes())
        row = {name: result["cell"].get(name) for name in AXIS_NAMES}
        metrics = {n: _number(v) for n, v in (result.get("metrics") or {}).items() if n in METRICS}
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
        return unreadable_row(folder.name, f"{file}: found no file that can be read ({problem.strerror})")
    except KeyError as problem:
        return unreadable_row(folder.name, f"{file}: found no {problem} in it, expected a cell's result")
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        return unreadable_row(folder.name, f"{file}: found no valid result ({problem!r})")
    if found["status"] not in ("done", "failed"):
        said = f"status: found {found['status']!r}, expected done or failed"
        return unreadable_row(folder.name, f"{file}: {said}")
    if wrong := wrong_values(found, "trials"):
        return unreadable_row(folder.name, f"{file}: {'; '.join(wrong)}")
    return found


def unreadable_row(name: str, why: str) -> dict[str, Any]:
    """The row of a cell that cannot be read."""
    advice = "remove the cell's folder and run the sweep again"
    return {"cell_id": name, "status": "failed", "failure": UNREADABLE, "error": f"{why}; {advice}"}


def _number(value: Any) -> float | int | None:
    """A finite number or None: what is undefined stays null."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if number else None
