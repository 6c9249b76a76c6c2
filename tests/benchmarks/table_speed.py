"""How long CheXpert's real training CSV takes from file to subsets: all 223,414 rows.

python tests/benchmarks/table_speed.py
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table as Rows

from transfusion.layouts import chexpert
from transfusion.phantom.labels import as_fields, official_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from real_csv import unpacked

SIZES = (5_000, 50_000, 100_000, 200_000)


def main() -> None:
    """Prints the seconds of every step and their sum; the aim is 5 s."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpacked("chexpert_train.csv.gz", folder / "train.csv")
        with (folder / "valid.csv").open("w", newline="") as stream:
            rows = official_rows(234, seed=0, first_patient=64_541)
            csv.writer(stream).writerows([list(chexpert.COLUMNS), *map(as_fields, rows)])
        times = [("start", clocks())]
        dataset = chexpert.read(folder, views="all")
        times.append(("parse, check and split", clocks()))
        for finding in chexpert.FINDINGS:
            for uncertain in ("ones", "zeros", "ignore"):
                for blank in ("zeros", "ignore"):
                    dataset.labels(finding, uncertain, blank)
        times.append(("six policies of fourteen findings", clocks()))
        for size in SIZES:
            dataset.rows("train", size)
        for part in ("selection", "test", "official"):
            dataset.rows(part)
        times.append(("four subsets and three parts", clocks()))
    shown = Rows("step", "seconds", "of the processor", title=f"{len(dataset.frame)} rows")
    for (_, before), (step, after) in [*pairwise(times), (times[0], ("all", times[-1][1]))]:
        shown.add_row(step, *(f"{end - start:.2f}" for start, end in zip(before, after, strict=True)))
    Console().print(shown)


def clocks() -> tuple[float, float]:
    """Wall-clock and processor time; they differ on a busy machine."""
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
