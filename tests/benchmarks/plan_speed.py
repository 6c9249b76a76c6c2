"""How long planning takes: 100,000 wanted cells, and 10,000 finished ones to look up.

python tests/benchmarks/plan_speed.py
"""

import tempfile
import time
from pathlib import Path

from sweeps.planning import history, plan
from sweeps.planning.cost import CostModel
from sweeps.presets import demo
from sweeps.spaces import cells, grid
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import FREEZES, cell_id
from transfusion.records import results

RECIPE = demo().recipe


def main() -> None:
    space = grid(
        architecture=ARCHITECTURES, train_images=(64, 128, 256, 512),
        init=("random", "photos", "consolidation"), freeze=FREEZES, seed=range(715),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        began = time.perf_counter()
        wanted = cells(space)
        spaced = time.perf_counter()
        model = CostModel(device="cpu", evaluation_images=400, selection_images=200)
        work = plan.make(wanted, RECIPE, "data", history.read(out / "cells"), model)
        planned = time.perf_counter()
        plan.write(work, out / "plan.parquet")
        written = time.perf_counter()
        print(f"{len(wanted):,} cells of the space {spaced - began:.1f} s, {len(work.cells):,} planned "
              f"{planned - spaced:.1f} s, written {written - planned:.1f} s")  # fmt: skip

        for cell in wanted[:10_000]:
            results.write_result(
                out / "cells" / cell_id(cell, RECIPE, "data"),
                results.Origin(cell=cell, recipe=RECIPE, fingerprint="data"),
                results.Outcome(status="done", metrics={"images_per_second": 100.0}),
                environment={"device": "cpu"},
                started="",
                finished="",
            )
        began = time.perf_counter()
        past = history.read(out / "cells")
        model = CostModel("cpu", 400, 200).corrected(past.records)
        work = plan.make(wanted[:10_000], RECIPE, "data", past, model)
        print(
            f"{work.count('done'):,} finished cells looked up and planned {time.perf_counter() - began:.1f} s"
        )


if __name__ == "__main__":
    main()
