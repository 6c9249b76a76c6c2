"""From sums over grids to rates with exact intervals, and to tables that are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv

from analysis.calibration.cases import ANY
from analysis.claims.conjectures import CONJECTURES

Reals = NDArray[np.float64]
LEVEL = 0.95
CASE = ["world", "preset", "seeds", "effect"]


def clopper_pearson(successes: Reals, trials: Reals, level: float) -> tuple[Reals, Reals]:
    """Exact binomial interval (Clopper and Pearson 1934); 0 to 1 without trials, NaN stays NaN."""
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(
            successes > 0, betaincinv(np.maximum(successes, 1e-9), trials - successes + 1, tail), 0.0
        )
        high = np.where(
            successes < trials, betaincinv(successes + 1, np.maximum(trials - successes, 1e-9), 1 - tail), 1.0
        )
    return np.where(np.isnan(successes), np.nan, low), np.where(np.isnan(successes), np.nan, high)


def rates(sums: pd.DataFrame) -> pd.DataFrame:
    """Shares with exact intervals that hold together: Bonferroni over all rows of the table.

    Args:
        sums: as from `analysis.calibration.blocks.run`.

    Returns:
        A row per case and claim, conjecture or any claim: `wrong`, `right`, `misnamed`, `covered` with
        `_low` and `_high`, `bias`, `sd` of the estimates and their mean `standard_error`.
    """
    table = sums[["world", "preset", "seeds", "effect", "claim", "kind", "true"]].copy()
    table["grids"] = sums["grids"].astype(int)
    level = 1 - (1 - LEVEL) / len(sums)
    for share, of in (
        ("wrong", "grids"),
        ("right", "grids"),
        ("misnamed", "grids"),
        ("covered", "estimated"),
    ):
        count, trials = sums[share].to_numpy(float), sums[of].to_numpy(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            table[share] = count / trials
        table[f"{share}_low"], table[f"{share}_high"] = clopper_pearson(count, trials, level)
    estimated = sums["estimated"].where(sums["estimated"] > 0)
    table["estimated"] = sums["estimated"].astype(int)
    table["bias"] = sums["error"] / estimated
    table["sd"] = np.sqrt((sums["squared_error"] / estimated - table["bias"] ** 2).clip(lower=0))
    table["standard_error"] = sums["standard_error"] / estimated
    return table


def summary(table: pd.DataFrame) -> Iterator[str]:
    """The rates as a Markdown table, a row per case.

    Wrong: the worst claim, the worst conjecture and any claim, each with its exact interval. Coverage: lowest
    and highest of the claims. Right: mean over the claims, and each conjecture.
    """
    yield (
        "| world | preset, seeds | effect | grids | wrong: worst claim | worst conjecture | any claim | "
        "effect's word: worst claim | 95 % intervals cover | right: claims, mean | "
        + " | ".join(map(str, CONJECTURES))
        + " |"
    )
    yield "|---" * (10 + len(CONJECTURES)) + "|"
    for (world, preset, seeds, effect), rows in table.groupby(CASE, sort=False):
        claims, conjectures = rows[rows["kind"] == "claim"], rows[rows["kind"] == "conjecture"]
        worst, whole = claims.loc[claims["wrong"].idxmax()], conjectures.loc[conjectures["wrong"].idxmax()]
        known = claims[claims["estimated"] > 0]["covered"]
        cover = f"{known.min():.0%} to {known.max():.0%}" if len(known) else ""
        name = f" {worst['claim']}" if worst["wrong"] > 0 else ""
        yield (
            f"| {world} | {preset}, {seeds} | {effect:g} | {rows['grids'].iloc[0]:,} | {_share(worst)}{name} "
            f"| {_share(whole)} | {_share(rows[rows['claim'] == ANY].iloc[0])} "
            f"| {claims['misnamed'].max():.1%} | {cover} | "
            f"{claims['right'].mean():.2f} | " + " | ".join(f"{r:.2f}" for r in conjectures["right"]) + " |"
        )


def _share(row: pd.Series) -> str:
    return f"{row['wrong']:.1%} ({row['wrong_low']:.1%} to {row['wrong_high']:.1%})"


def over(table: pd.DataFrame, limit: float = 0.05) -> pd.DataFrame:
    """Rows of claims, conjectures and any claim that are wrong in more than the limit, worst first."""
    return table[table["wrong"] > limit].sort_values("wrong", ascending=False)


def keep(table: pd.DataFrame, out: Path, command: str) -> list[Path]:
    """Write the table as Parquet, CSV and Markdown, with the command that made it."""
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "rates.parquet", index=False)
    table.to_csv(out / "rates.csv", index=False)
    lines = ["Made by:", "", f"    {command}", "", *summary(table), ""]
    (out / "rates.md").write_text("\n".join(lines))
    return [out / f"rates.{kind}" for kind in ("parquet", "csv", "md")]
