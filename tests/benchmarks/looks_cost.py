"""What seeds in looks cost and find. `python tests/benchmarks/looks_cost.py --out DIR --grids 1000`.

Whole grids of `chexpert` with `MOST` seeds are simulated at 0 and 2 margins and judged after 2, 3, ... seeds;
what was judged is kept in DIR, grid by grid, so that the same command goes on where it stopped, and more
grids are added to those that there are. Every rule in `RULES` is then applied to the same grids, by the code
that a sweep stops by (`analysis.claims.looks.decide`), beside five fixed seeds and a user who adds seeds one
by one and stops at what is decided first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.calibration.cases import Case, Planted, plant
from analysis.calibration.costs import gpu_hours
from analysis.calibration.looked import every_seed, first_seeds, fixed_seeds, prefixes, with_looks
from analysis.calibration.rates import clopper_pearson
from analysis.calibration.simulate import draw
from analysis.claims.conjectures import CONJECTURES
from analysis.claims.judged import Judged
from analysis.claims.look_record import DEFAULT_SEEDS, RESERVE
from analysis.claims.looks import Looks, planned_looks
from analysis.claims.margin_tests import decide
from analysis.claims.verdicts import judge

MOST, FIXED, BLOCK = 8, 5, 20
RULES: dict[str, Looks] = {
    "3 (0.4) 5 (0.6)": Looks((3, 5), (0.4, 0.6)),
    "3 (0.4) 4 (0.2) 5 (0.1) 8 (0.2), 0.1 kept": Looks((3, 4, 5, 8), (0.4, 0.2, 0.1, 0.2)),
    "3 (0.5) 4 (0.1) 8 (0.4)": Looks((3, 4, 8), (0.5, 0.1, 0.4)),
    "3 (0.3) 4 (0.2) 5 (0.1) 6 (0.1) 8 (0.3)": Looks((3, 4, 5, 6, 8), (0.3, 0.2, 0.1, 0.1, 0.3)),
    "3 (0.01) 5 (0.09) 8 (0.9)": Looks((3, 5, 8), (0.01, 0.09, 0.9)),
    "3 4 5 6 8 (0.18 each), the usual": planned_looks(DEFAULT_SEEDS, RESERVE),
}


def kept(case: Case, it: Planted, first: int, end: int, folder: Path) -> pd.DataFrame:
    """What is judged of these grids, a row per grid, number of seeds and claim; simulated where lacking."""
    world = case.world.replace(" ", "_")
    file = folder / f"{world}-{case.effect:g}-{case.seed}-{first:05d}-{end - 1:05d}.parquet"
    if file.exists():
        return pd.read_parquet(file)
    counts = range(2, MOST + 1)
    cut = prefixes(it.design.template, counts)
    rows = []
    for number in range(first, end):
        measures = draw(it.design, np.random.default_rng([case.entropy, 2, number]))
        for seeds in counts:
            part = first_seeds(measures, seeds, cut)
            for j in judge(part, "natural", case.setting.margins, it.claims):
                rows.append(
                    (number, seeds, j.claim.name, j.p_supported, j.p_refuted, j.tests, bool(j.same_as))
                )
    table = pd.DataFrame(
        rows, columns=["grid", "seeds", "claim", "p_supported", "p_refuted", "tests", "same"]
    )
    table.to_parquet(file.with_suffix(".part"), index=False)
    file.with_suffix(".part").rename(file)
    return table


def read_back(table: pd.DataFrame, it: Planted) -> dict[int, list[Judged]]:
    """What was judged of one grid, by number of seeds; estimates are not kept."""
    claims = {claim.name: claim for claim in it.claims}
    found: dict[int, list[Judged]] = {}
    for seeds, name, yes, no, tests, same in table[
        ["seeds", "claim", "p_supported", "p_refuted", "tests", "same"]
    ].itertuples(index=False, name=None):
        verdict = decide(yes, no, 0.05 / tests)
        one = Judged(claims[name], None, 0.0, yes, no, tests, verdict, "unknown", same_as="x" if same else "")
        found.setdefault(seeds, []).append(one)
    return found


def procedures(it: Planted) -> Iterator[tuple[str, Callable[[dict[int, list[Judged]]], dict[str, Any]]]]:
    """Every procedure by its name."""
    hours = gpu_hours(it.design.template.cells)
    yield "five fixed", lambda at: fixed_seeds(it, at[FIXED], FIXED, hours)
    for name, looks in RULES.items():
        yield f"looks {name}", lambda at, looks=looks: with_looks(it, looks, at.__getitem__, hours)
    for last in (FIXED, MOST):
        every = range(2, last + 1)
        yield f"by hand, 2 to {last}", lambda at, every=every: every_seed(it, at.__getitem__, every, hours)


def summary(table: pd.DataFrame) -> Iterator[str]:
    """Markdown, a row per effect and procedure."""
    yield (
        "| world | effect | grids | procedure | any claim wrong | any conjecture wrong | hours, of five "
        "fixed | right: 1 | 2 | 3 | 4 |"
    )
    yield "|---" * 11 + "|"
    for (world, effect, name), rows in table.groupby(["world", "effect", "procedure"], sort=False):
        count = np.array(float(len(rows)))
        texts = []
        wrong = rows[[f"wrong_{k}" for k in CONJECTURES]].any(axis=1)
        for found in (rows["any_wrong"], wrong):
            low, high = clopper_pearson(np.array(float(found.sum())), count, 0.95)
            texts.append(f"{found.mean():.1%} ({float(low):.1%} to {float(high):.1%})")
        right = " | ".join(f"{rows[f'right_{k}'].mean():.3f}" for k in CONJECTURES)
        hours = f"{rows['share'].mean():.3f} ± {2 * rows['share'].std() / np.sqrt(len(rows)):.3f}"
        yield f"| {world} | {effect:g} | {len(rows)} | {name} | {' | '.join(texts)} | {hours} | {right} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate what is missing and print the table."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--grids", type=int, default=1_000)
    p.add_argument("--effects", type=float, nargs="+", default=(0.0, 2.0))
    p.add_argument("--worlds", nargs="+", default=("plain",))
    p.add_argument(
        "--seed", type=int, default=0, help="other grids: to look at a rule on some that did not choose it"
    )
    p.add_argument("--out", type=Path, required=True)
    options = p.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    cases = [Case(w, "chexpert", MOST, e, options.seed) for w in options.worlds for e in options.effects]
    rows = []
    for first in range(0, options.grids, BLOCK):
        for case in cases:
            it = plant(case)
            found = kept(case, it, first, min(first + BLOCK, options.grids), options.out)
            for _, grid in found.groupby("grid"):
                at = read_back(grid, it)
                results = {name: run(at) for name, run in procedures(it)}
                whole = results["five fixed"]["hours"]
                rows += [
                    {
                        "world": case.world,
                        "effect": case.effect,
                        "procedure": n,
                        "share": r["hours"] / whole,
                        **r,
                    }
                    for n, r in results.items()
                ]
        if first % 100 == 0:
            print(f"{first + BLOCK} grids of each", flush=True)
    print("\n".join(summary(pd.DataFrame(rows).sort_values(["world", "effect"], kind="stable"))))


if __name__ == "__main__":
    main()
