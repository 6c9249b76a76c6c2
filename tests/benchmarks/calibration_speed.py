"""python tests/benchmarks/calibration_speed.py: seconds of a core that one simulated and judged grid takes.

In turn, grid by grid: with the patients' part in closed form, as calibration has it from 2,000 patients on,
and with every logit drawn. Medians, one thread. `--repo DIR` times the simulation of another checkout (of
before the two ways were told apart) in turn with this one's, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"))
HERE = Path(__file__).parents[2]
BEFORE = """
import sys, time
import numpy as np
from analysis.calibration.rates import CHEXPERT, DEMO, one_grid, planted, simulated_claims
setting = {"chexpert": CHEXPERT, "demo": DEMO}[sys.argv[1]]
truth = planted(setting, 1.0, np.random.default_rng(0), simulated_claims(setting))
for number in range(int(sys.argv[2]) + 1):
    began = time.process_time()
    one_grid(number, setting=setting, truth=truth, key=(0,))
    if number:
        print(time.process_time() - began)
"""


def grids(preset: str, seeds: int, count: int) -> dict[str, list[float]]:
    """Processor seconds of every grid, both ways and their parts."""
    import time

    import numpy as np

    from analysis.calibration import simulate
    from analysis.calibration.cases import Case, plant
    from analysis.claims.verdicts import judge

    case = Case("plain", preset, seeds, 1.0)
    it = plant(case)
    found: dict[str, list[float]] = {}
    usual = simulate.LOGITS_BELOW
    for number in range(count + 1):
        for way, below in (("as calibrated", usual), ("every logit drawn", 10**9)):
            simulate.LOGITS_BELOW = below
            began = time.process_time()
            measures = simulate.draw(it.design, np.random.default_rng(number))
            drawn = time.process_time()
            judge(measures, "natural", case.setting.margins, it.claims)
            simulate.LOGITS_BELOW = usual
            if number:  # the first one warms up
                found.setdefault(f"{way}: simulated", []).append(drawn - began)
                found.setdefault(f"{way}: judged", []).append(time.process_time() - drawn)
                found.setdefault(f"{way}: both", []).append(time.process_time() - began)
    return found


def another(repo: Path, preset: str, count: int) -> list[float]:
    """Processor seconds of every grid in the checkout at `repo`."""
    command = [sys.executable, "-c", BEFORE, preset, str(count)]
    answer = subprocess.run(command, cwd=repo, check=True, capture_output=True, text=True)
    return [float(line) for line in answer.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="with --repo: turns of both checkouts")
    parser.add_argument("--repo", type=Path, help="another checkout, of before")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    print("| grid | way | ms of a core, median | least |\n|---|---|---|---|")
    for preset, seeds in (("chexpert", 3), ("demo", 1)):
        found: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            if options.repo:
                found.setdefault("before: both", []).extend(another(options.repo, preset, options.grids))
            for way, seconds in grids(preset, seeds, options.grids).items():
                found.setdefault(way, []).extend(seconds)
        for way, seconds in found.items():
            print(
                f"| {preset}, {seeds} seeds | {way} | {1e3 * statistics.median(seconds):.1f} "
                f"| {1e3 * min(seconds):.1f} |"
            )


if __name__ == "__main__":
    main()
