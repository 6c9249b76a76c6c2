"""python -m analysis.calibration: how often verdicts are wrong, effects found and intervals right, on planted
truth.

Whole grids with known effects are simulated in many worlds (`analysis.calibration.worlds`) and judged by the
very code that judges a real grid.
"""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from analysis.calibration.blocks import run
from analysis.calibration.cases import EFFECTS, cases, plant
from analysis.calibration.rates import keep, over, rates, summary
from analysis.calibration.worlds import WORLDS


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    names = [world.name for world in WORLDS]
    parser = argparse.ArgumentParser(
        prog="python -m analysis.calibration", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--grids", type=int, default=1_000, help="simulated grids for each case")
    parser.add_argument(
        "--chexpert-grids", type=int, help="for each case of chexpert, where it is another number"
    )
    parser.add_argument(
        "--worlds", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--presets", nargs="+", choices=("demo", "chexpert"), default=("demo", "chexpert"))
    parser.add_argument("--effects", nargs="+", type=float, default=list(EFFECTS), help="in margins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--out", type=Path, required=True, help="finished blocks and the tables are kept here"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Simulate what is missing, print the table and keep it."""
    options = parser().parse_args(arguments)
    of_chexpert = options.grids if options.chexpert_grids is None else options.chexpert_grids
    grids = {"demo": options.grids, "chexpert": of_chexpert}
    if min(*grids.values(), options.processes) < 1:
        parser().error("--grids, --chexpert-grids and --processes: expected at least 1")
    wanted = [c for c in cases(options.worlds, options.effects, options.seed) if c.preset in options.presets]
    problems = []
    for case in wanted:
        try:
            plant(case)
        except ValueError as problem:
            problems.append(str(problem))
    if problems or not wanted:
        parser().error("\n".join(problems) or "those worlds are not simulated with those presets")
    table = rates(run(wanted, grids, options.out, options.processes))
    chosen = shlex.join(
        [
            "python", "-m", "analysis.calibration", "--grids", str(options.grids),
            *(("--chexpert-grids", str(of_chexpert)) if of_chexpert != options.grids else ()),
            "--worlds", *options.worlds,
            "--presets", *options.presets, "--effects", *(f"{e:g}" for e in options.effects),
            "--seed", str(options.seed), "--out", options.out.name,
        ]
    )  # fmt: skip
    keep(table, options.out, chosen)
    print("\n".join(summary(table)))
    worse = over(table)
    if len(worse):
        print("\nWrong in more than 5 % of the grids:")
    for row in worse.to_dict("records"):
        print(
            f"  {row['world']}, {row['preset']}, {row['seeds']} seeds, {row['effect']:g} margins: "
            f"{row['claim']} {row['wrong']:.1%} ({row['wrong_low']:.1%} to {row['wrong_high']:.1%})"
        )
    return 0
