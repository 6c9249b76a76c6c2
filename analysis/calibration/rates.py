"""python -m analysis.calibration: how often verdicts are wrong, effects found and intervals right, on planted
truth.

Three truths: no effect at all (0 margins), effects of exactly the margin (1), and of twice the margin (2).
Under each, whole grids are simulated (`analysis.calibration.simulate`) and judged by the very code that
judges a real grid.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.calibration.simulate import Setting, planted, simulate
from analysis.claims.conjectures import (
    CLAIMS,
    CONJECTURES,
    LARGE_TEST,
    SMALL_TEST,
    Claim,
    contrast_of,
    grid_of,
)
from analysis.claims.verdicts import Verdict, judge, overall
from analysis.statistics.contrasts import coefficients
from analysis.statistics.measures import Measures

EFFECTS = (0.0, 1.0, 2.0)
OVERALL, ANY = "overall ", "any claim"
DEMO = Setting(
    "demo",
    (48, 96, 192, 384),
    1,
    147,
    395,
    SMALL_TEST,
    prevalence=0.29,
    auroc=0.73,
    auroc_sd=0.02,
    loss_sd=0.08,
)
CHEXPERT = Setting(
    "chexpert", (5_000, 50_000, 100_000, 200_000), 3, 6_450, 22_000, LARGE_TEST, auroc_sd=0.004
)
UNEVEN = (1.47, 1.47, 1.47, 0.37, 0.37, 0.37, 0.37)
"""Scatter of the networks that is four times as large in the ResNets, one in the square mean."""
SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        DEMO,
        replace(DEMO, name="demo, uneven scatter", auroc_sd=0.04, scatter=UNEVEN),
        replace(DEMO, name="demo, balanced classes too", balanced=True),
        replace(DEMO, name="demo, 3 seeds", seeds=3),
        replace(
            DEMO,
            name="demo, AUROC near 1",
            auroc=0.985,
            auroc_per_doubling=0.002,
            auroc_sd=0.003,
            network_sd=0.001,
        ),
        CHEXPERT,
        replace(CHEXPERT, name="chexpert, twice the seed noise", auroc_sd=0.008),
        replace(CHEXPERT, name="chexpert, 2 seeds", seeds=2),
        replace(CHEXPERT, name="chexpert, 1 seed", seeds=1),
    )
}


def simulated_claims(setting: Setting = DEMO) -> list[Claim]:
    """The claims that the simulated grid can test; without an axis `balance` that leaves one out."""
    return [claim for claim in CLAIMS if setting.balanced or len(claim.balance) == 1]


def one_grid(
    number: int, *, setting: Setting, truth: pd.DataFrame, key: tuple[int, ...]
) -> list[dict[str, object]]:
    """Simulate and judge one grid; a row per claim, one per conjecture and one for all claims together.

    Args:
        truth: as from `analysis.calibration.simulate.planted`.
        key: seeds the random numbers, together with `number`.
    """
    claims = simulated_claims(setting)
    rng = np.random.default_rng([*key, number])
    judged = judge(simulate(setting, truth, rng), "natural", setting.margins, claims)
    rows: list[dict[str, object]] = []
    for j, true in zip(judged, true_effects(truth, claims), strict=True):
        if j.found is None:
            raise ValueError(f"{setting.name}: no estimate for {j.claim.name}")
        right = right_verdict(j.claim, true, j.margin)
        rows.append(
            {
                "claim": j.claim.name,
                "true": true,
                "right_verdict": right,
                "wrong": j.verdict not in (right, "undecided"),
                "right": j.verdict == right,
                "covered": j.found.low <= true <= j.found.high,
                "error": j.found.estimate - true,
                "standard_error": j.found.standard_error,
            }
        )
    needed = [(j, row["right_verdict"]) for j, row in zip(judged, rows, strict=True) if j.claim.needed]
    for conjecture in CONJECTURES:
        rights = {right for j, right in needed if j.claim.conjecture == conjecture}
        right = "refuted" if "refuted" in rights else "supported"
        verdict = overall([j for j in judged if j.claim.conjecture == conjecture])
        rows.append(
            {
                "claim": f"{OVERALL}{conjecture}",
                "wrong": verdict not in (right, "undecided"),
                "right": verdict == right,
            }
        )
    rows.append({"claim": ANY, "wrong": any(bool(row["wrong"]) for row in rows[: len(judged)])})
    return rows


def true_effects(truth: pd.DataFrame, claims: list[Claim]) -> list[float]:
    """The planted value of every claim's contrast."""
    measures = Measures(truth)
    grid = grid_of(measures, "natural")
    effects = []
    for claim in claims:
        contrast = contrast_of(claim, grid)
        if contrast is None:
            raise ValueError(f"{claim.name}: the simulated grid cannot test it")
        effects.append(float(coefficients(measures, contrast) @ measures.values(claim.metric)))
    return effects


def right_verdict(claim: Claim, true: float, margin: float) -> Verdict:
    """The verdict that a planted effect asks for: it is there if it reaches the margin, else it is not."""
    sign = -1 if claim.expects == "negative" else 1
    there = (abs(true) if claim.expects == "zero" else sign * true) > margin * (1 - 1e-9)
    return "supported" if there == (claim.expects in ("positive", "negative")) else "refuted"


def calibrate(setting: Setting, effect: float, *, grids: int, seed: int, processes: int) -> pd.DataFrame:
    """Rates over `grids` simulated grids, a row per claim."""
    truth = planted(setting, effect, np.random.default_rng([seed, 1]), simulated_claims(setting))
    work = partial(one_grid, setting=setting, truth=truth, key=(seed, 2, round(100 * effect)))
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        rows = [row for grid in pool.imap_unordered(work, range(grids), chunksize=4) for row in grid]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("wrong", "right", "covered"), float))
    grouped = frame.groupby("claim", sort=False)
    table = grouped[["true", "wrong", "right", "covered"]].mean()
    table["bias"], table["sd"] = grouped["error"].mean(), grouped["error"].std()
    table["mean_standard_error"] = grouped["standard_error"].mean()
    table.insert(0, "setting", setting.name)
    table.insert(1, "effect", effect)
    table.insert(2, "grids", grids)
    return table.reset_index()


def summary(table: pd.DataFrame) -> Iterator[str]:
    """The rates as a Markdown table: a row per setting and planted effect, the worst claim in each cell."""
    yield (
        "| grid | planted effect | grids | wrong: worst claim | any of the claims | worst conjecture | "
        "right: worst claim | 95 % intervals cover |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for (setting, effect), rows in table.groupby(["setting", "effect"], sort=False):
        claims = rows[rows["covered"].notna()]
        conjectures = rows[rows["claim"].str.startswith(OVERALL)]
        family = rows.loc[rows["claim"] == ANY, "wrong"].iloc[0]
        yield (
            f"| {setting} | {effect:g} x margin | {rows['grids'].iloc[0]:,} | {claims['wrong'].max():.1%} "
            f"| {family:.1%} | {conjectures['wrong'].max():.1%} | {claims['right'].min():.1%} | "
            f"{claims['covered'].min():.1%} to {claims['covered'].max():.1%} |"
        )


def main(arguments: list[str] | None = None) -> int:
    """Simulate, print the table, and write every claim's rates if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.calibration", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--grids", type=int, default=1_000, help="simulated grids for each truth")
    parser.add_argument(
        "--settings", nargs="+", choices=SETTINGS, default=["demo", "chexpert"], metavar="NAME",
        help=f"of {', '.join(SETTINGS)}",
    )  # fmt: skip
    parser.add_argument("--effects", nargs="+", type=float, default=list(EFFECTS), help="in margins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--csv", type=Path, help="write the rates of every claim here")
    options = parser.parse_args(arguments)
    try:
        for name, effect in itertools.product(options.settings, options.effects):
            setting = SETTINGS[name]
            planted(setting, effect, np.random.default_rng([options.seed, 1]), simulated_claims(setting))
    except ValueError as problem:
        parser.error(str(problem))
    tables = []
    for name in options.settings:
        for effect in options.effects:
            tables.append(
                calibrate(
                    SETTINGS[name],
                    effect,
                    grids=options.grids,
                    seed=options.seed,
                    processes=options.processes,
                )
            )
            if options.csv:
                pd.concat(tables).to_csv(options.csv, index=False)
    print("\n".join(summary(pd.concat(tables))))
    return 0
