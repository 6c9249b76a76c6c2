"""Whether two sweeps measured the same, bit for bit: their cells are matched by axes, never by identity.

    python tests/benchmarks/same_results.py OUT OTHER

Times, places and what names the code are left out. Status 1 where anything differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

AXES = ["kind", "finding", "architecture", "train_images", "init", "freeze", "balance", "seed"]
TABLES = ("trials", "epochs", "steps", "range_tests", "predictions")
ROWS = ["part", "split", "image", "epoch", "step"]
NOT_MEASURED = {"cell_id", "upstream", "data", "started", "finished", "host", "device", "recipe"}


def main() -> int:
    outs = [Path(argument) for argument in sys.argv[1:3]]
    axes = [
        frame.set_index("cell_id")[AXES].astype(str).agg("/".join, axis=1)
        for frame in (pd.read_parquet(out / "evidence" / "trials.parquet") for out in outs)
    ]
    same = sorted(axes[0]) == sorted(axes[1])
    print(f"{len(axes[0])} and {len(axes[1])} cells, {'the same' if same else 'OTHER'} axes")
    for name in TABLES:
        one, other = (read(out, name, names) for out, names in zip(outs, axes, strict=True))
        columns = [column for column in one if column in other]
        if len(one) != len(other):
            print(f"{name}: {len(one)} and {len(other)} rows")
            same = False
            continue
        counts = {column: int((~equal(one[column], other[column])).sum()) for column in columns}
        differing = {column: count for column, count in counts.items() if count}
        print(f"{name}: {len(one)} rows, {len(columns)} columns, differing: {differing or 'nothing'}")
        same &= not differing
    return 0 if same else 1


def read(out: Path, table: str, axes: pd.Series) -> pd.DataFrame:
    """The measured columns of a table, rows in an order that hangs on axes alone."""
    frame = pd.read_parquet(out / "evidence" / f"{table}.parquet")
    frame["cell"] = frame["cell_id"].map(axes)
    order = ["cell", *(column for column in ROWS if column in frame)]
    left_out = [c for c in frame if c in NOT_MEASURED or c.endswith(("seconds", "per_second"))]
    left_out += [c for c in frame if c.startswith("code_")]
    return frame.sort_values(order, kind="stable").reset_index(drop=True).drop(columns=left_out)


def equal(one: pd.Series, other: pd.Series) -> pd.Series:
    """bool: the same value, or none in both."""
    return (one == other) | (one.isna() & other.isna())


if __name__ == "__main__":
    sys.exit(main())
