"""Are forecasts of what more seeds decide right? `python tests/benchmarks/seeds_forecast.py [--grids 200]`.

Grids are simulated with many seeds and judged on the first few; of every claim that is undecided then it is
forecast how likely more seeds decide it, and the same grid is judged with those seeds. True effects are drawn
anew for every grid, between -1 and 3 margins: the forecast has a flat prior of them. `--at 0 1 2` plants
those margins instead; there it need not be right on average, which the table shows.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from analysis.calibration.further import forecasts
from analysis.calibration.settings import CHEXPERT, DEMO, NETWORKS, Setting
from analysis.calibration.worlds import PLAIN, WORLDS

NAMES = ("resnet50", "resnet18", "cbr_large_wide", "cbr_tiny")
SMALLER = {"networks": {name: NETWORKS[name] for name in NAMES}}
SETTINGS: dict[str, Setting] = {
    "chexpert": dataclasses.replace(CHEXPERT, sizes=(5_000, 50_000, 200_000), **SMALLER),
    "demo": dataclasses.replace(DEMO, sizes=(48, 96, 384), patients=600, images=1_600, **SMALLER),
}
LOWEST, HIGHEST = -1.0, 3.0


def drawn(grids: int, at: Sequence[float]) -> Iterator[float]:
    """The planted effects, in margins."""
    if at:
        return iter([effect for effect in at for _ in range(grids)])
    return iter(np.random.default_rng(5).uniform(LOWEST, HIGHEST, grids).tolist())


def main() -> None:
    """Print forecast beside truth."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--grids", type=int, default=200)
    p.add_argument("--at", type=float, nargs="*", default=())
    p.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    p.add_argument("--worlds", nargs="+", default=[PLAIN.name, "upstream luck", "common order"])
    options = p.parse_args()
    for name in options.settings:
        for world in (one for one in WORLDS if one.name in options.worlds):
            for first, more in ((3, (2, 5)), (2, (3,))):
                table = forecasts(SETTINGS[name], world, first, more, drawn(options.grids, options.at))
                groups = [*(["effect"] if options.at else []), "more"]
                for key, rows in table.groupby(groups):
                    said, truth = rows["forecast"].mean(), rows["decided"].mean()
                    mine = rows[rows["wanted"]]
                    just = f"{mine['forecast'].mean():.2f} {mine['decided'].mean():.2f} of {len(mine)}"
                    where = f"{name}, {world.name}, {first} seeds, {', '.join(groups)} {key}"
                    print(f"{where}: forecast {said:.3f}, truth {truth:.3f} of {len(rows)} undecided; "
                          f"where just so many are said to be needed: {just}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
