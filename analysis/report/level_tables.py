"""Tables of what was estimated: networks, gains, comparisons, every condition, and published numbers."""

from __future__ import annotations

import re

import pandas as pd

from analysis.names import init_name
from analysis.numbers import one_seed
from analysis.report.render import Fold, Table, table
from analysis.report.wording import FROZEN, column, counted, difference, level, levels_interval, start
from analysis.statistics.catalogue import AREAS, CURVES, MEASURES
from analysis.tables.networks import Networks

BY_CONJECTURE: dict[int, tuple[str, ...]] = {
    1: ("train_loss", "convergence_epochs", "spikes", "spike_height", "spike_recovery_steps"),
    2: ("test_auroc", "test_auprc", "official_auroc", "official_study_auroc", "train_loss"),
}
ALONE = (
    "What rests on one seed stands without an interval: one over its patients alone would say nothing of "
    "another seed. The intervals over patients are in the table (columns low, high)."
)
GAINS = ("test_auroc", "test_auprc", "official_auroc")


def behind(conjecture: int, estimates: pd.DataFrame, networks: Networks) -> Fold | None:
    """What stands behind a conjecture besides its claims; rows of `estimates`."""
    if conjecture in BY_CONJECTURE:
        shown = _levels_from_scratch(BY_CONJECTURE[conjecture], estimates, networks)
        one = len(set(_levels(estimates)["train_images"])) == 1
        about = f"every network from scratch{'' if one else ', at the smallest and the largest size'}"
        return Fold("The networks one by one", about, (shown,), _alone(estimates)) if shown else None
    kinds = ("gain", "power_law") if conjecture == 3 else ("difference",)
    chosen = estimates["kind"].isin(kinds) & estimates["architecture"].isna()
    rows = estimates[chosen & estimates["metric"].isin(GAINS)]
    differences = rows["kind"] != "power_law"
    shown = table(
        pd.DataFrame(
            {
                "measure": [MEASURES[metric].label for metric in rows["metric"]],
                "what": [_said(row) for _, row in rows.iterrows()],
                f"value {levels_interval(rows)}": [
                    difference(row, "" if one_seed(row["seeds"]) else " (no interval)")
                    if signed
                    else level(row)
                    for signed, (_, row) in zip(differences, rows.iterrows(), strict=True)
                ],
                "n": [counted(row) for _, row in rows.iterrows()],
            }
        ),
        "estimates.parquet",
    )
    if shown is None:
        return None
    about = "gain per doubling, size by size" if conjecture == 3 else "every comparison at every size"
    return Fold("More estimates", f"{about}, mean of the networks", (shown,), _alone(estimates))


def _said(row: pd.Series) -> str:
    """What a row of `estimates` compares, in words."""
    if row["kind"] == "power_law":
        return {"exponent": "exponent of the power law", "promised": "promised at ten times the data"}[
            row["contrast"]
        ]
    if row["kind"] == "gain":
        return f"gain per doubling, {re.sub('[0-9]{4,}', _in_full, str(row['contrast']))}"
    where = {
        "one": f"at {row['train_images']:,.0f} images" if pd.notna(row["train_images"]) else "",
        "mean": "mean of the sizes",
        "trend": "change per doubling of the data",
    }[row["sizes"]]
    words = [init_name(word) for word in str(row["contrast"]).split(" ")]
    return f"{' '.join(words)}, {where}"


def _in_full(number: re.Match[str]) -> str:
    return f"{int(number[0]):,}"


def _levels_from_scratch(
    metrics: tuple[str, ...], estimates: pd.DataFrame, networks: Networks
) -> Table | None:
    """A row per network from scratch, at the smallest and the largest size."""
    rows = _levels(estimates)
    rows = rows[(rows["init"] == "random") & rows["metric"].isin(metrics)]
    rows = rows[rows["train_images"].isin(rows["train_images"].agg(["min", "max"]))]
    if rows.empty:
        return None
    wide = _wide(rows, ["architecture", "train_images"], metrics, networks)
    wide = wide.sort_values("train_images", ascending=False, kind="stable")
    return table(_named(wide, networks), "estimates.parquet")


def levels(estimates: pd.DataFrame, networks: Networks) -> Fold | None:
    """A row per condition: its areas on both splits, then training loss, convergence and spikes."""
    rows = _levels(estimates)
    axes = ["architecture", "train_images", "init", "freeze"]
    found = []
    for metrics in (AREAS, CURVES):
        part = rows[rows["metric"].isin(metrics)]
        if len(part):
            shown = table(
                _named(_wide(part, axes, metrics, networks), networks),
                "estimates.parquet",
                stack=False,
                wide=True,
            )
            found += [shown] if shown else []
    about = "areas on both splits; training loss, convergence and spikes; a row for each"
    return Fold("Every condition", about, tuple(found), _alone(estimates)) if found else None


def _alone(estimates: pd.DataFrame) -> tuple[str, ...]:
    """Why levels of one seed have no interval, where there are any."""
    return (ALONE,) if one_seed(_levels(estimates)["seeds"]).any() else ()


def _levels(estimates: pd.DataFrame) -> pd.DataFrame:
    usual = (estimates["balance"] == "natural") & (estimates["subset"] == 0)
    return estimates[(estimates["kind"] == "level") & usual]


def _wide(rows: pd.DataFrame, axes: list[str], metrics: tuple[str, ...], networks: Networks) -> pd.DataFrame:
    shown = rows.assign(text=[level(row) for _, row in rows.iterrows()])
    wide = shown.pivot_table(index=axes, columns="metric", values="text", aggfunc="first", sort=False)
    wide = wide.reindex(columns=[m for m in metrics if m in wide]).reset_index()
    place = {name: k for k, name in enumerate(networks.ordered(set(wide["architecture"])))}
    return wide.sort_values("architecture", key=lambda names: names.map(place), kind="stable")


def _named(wide: pd.DataFrame, networks: Networks) -> pd.DataFrame:
    """Values and headings in words."""
    wide = wide.assign(architecture=[networks[name].network for name in wide["architecture"]])
    if "init" in wide:
        wide = wide.assign(init=[start(name) for name in wide["init"]])
    if "freeze" in wide:
        wide = wide.assign(freeze=[FROZEN.get(word, word) for word in wide["freeze"]])
    names = {name: _heading(name) for name in wide.columns}
    return wide.rename(columns=names)


def _heading(name: str) -> str:
    if name not in MEASURES:
        return column(name)
    measure = MEASURES[name]
    return measure.label if measure.unit in measure.label else f"{measure.label} ({measure.unit})"


def published(rows: pd.DataFrame, networks: Networks) -> Table | None:
    """Published AUROC beside ours, where there is an ours; rows of `published`."""
    rows = rows[rows["estimate"].notna()].assign(metric="test_auroc")
    return table(
        pd.DataFrame(
            {
                "network": [networks[name].network for name in rows["architecture"]],
                "data": rows["data"] + ", " + rows["finding"],
                "images": [f"{int(n):,}" if pd.notna(n) else "all" for n in rows["train_images"]],
                "starts from": [start(name) for name in rows["init"]],
                "published": rows["published_auroc"],
                f"ours {levels_interval(rows)}": [level(row) for _, row in rows.iterrows()],
                "n": [counted(row) for _, row in rows.iterrows()],
            }
        ),
        "published.parquet",
    )
