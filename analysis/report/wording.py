"""Names of columns, tests and effects in words."""

from __future__ import annotations

import pandas as pd

from analysis.names import init_name
from analysis.numbers import digits_seen, one_seed, signed
from analysis.report.render import number
from analysis.statistics.catalogue import MEASURES

COLUMNS = {
    "architecture": "network",
    "train_images": "training images",
    "init": "starts from",
    "freeze": "trained",
    "cell_id": "cell",
    "error": "what went wrong",
    "uncertain_became": "uncertain became",
    "blank_became": "blank became",
    "trained_positive": "trained as positive",
    "trained_negative": "trained as negative",
    "ignored": "left out",
}
"""Columns of tables that a reader would not know by their names; others lose their underscores."""

EXPECTED = {
    "positive": "an increase",
    "negative": "a decrease",
    "zero": "no difference that matters",
    "not_positive": "no increase that matters",
}
SEEDS = {
    "measured": "measured between seeds",
    "runs": "judged by the scatter of single runs (one seed)",
    "unknown": "not known (one seed)",
}
SAME = 1e-9
"""Ends of an interval that are no further apart are one."""
FROZEN = {"none": "the whole network", "backbone": "the last layer alone"}
EFFECTS = {
    "gain": "better",
    "small gain": "better, but by less than matters",
    "none": "no difference that matters",
    "small loss": "worse, but by less than matters",
    "loss": "worse",
    "unknown": "",
}
"""What was found, as in the column `effect` of the verdicts; what is not known is not said."""


def column(name: str) -> str:
    """The heading of a column."""
    return COLUMNS.get(name, name.replace("_", " "))


def digits_of(metric: object) -> int:
    """Decimals of a measure."""
    return MEASURES[str(metric)].digits if str(metric) in MEASURES else 3


def interval(rows: pd.DataFrame) -> str:
    """What a heading says of the intervals below it."""
    known = (rows["low"].notna() & rows["high"].notna()).any()
    return "(95 % interval)" if known else "(no intervals yet)"


def levels_interval(rows: pd.DataFrame) -> str:
    """The same of levels, which have none where there is one seed."""
    return "(one seed, no interval)" if one_seed(rows["seeds"]).all() else "(95 % interval)"


def without(rows: pd.DataFrame) -> str:
    """What a row without an interval says of it, where others have one."""
    return " (no interval)" if interval(rows) == "(95 % interval)" else ""


def level(row: pd.Series) -> str:
    """A level with its interval, without signs: `0.812 (0.790 to 0.833)`; of one seed alone, without."""
    value, low, high = (row[name] for name in ("estimate", "low", "high"))
    if pd.isna(value):
        return ""
    digits = digits_of(row["metric"])
    if one_seed(row.get("seeds")):
        return number(value, digits)
    if pd.isna(low) or pd.isna(high):
        return f"{number(value, digits)} (no interval)"
    return f"{number(value, digits)} ({number(low, digits)} to {number(high, digits)})"


def difference(row: pd.Series, lacking: str = " (no interval)") -> str:
    """A difference with its interval, all with signs: `+0.112 (+0.075 to +0.148)`.

    Args:
        lacking: said where there is no interval.
    """
    value, low, high = (row[name] for name in ("estimate", "low", "high"))
    if pd.isna(value):
        return ""
    digits = digits_seen(value, digits_of(row["metric"]))
    if one_seed(row.get("seeds")) or pd.isna(low) or pd.isna(high):
        return f"{signed(value, digits)}{lacking}"
    if varies_not(row):
        return f"{signed(value, digits)} (no variation)"
    return f"{signed(value, digits)} ({signed(low, digits)} to {signed(high, digits)})"


def varies_not(row: pd.Series) -> bool:
    """Whether an interval has no width, as where every network is right on every image."""
    return bool(abs(row["high"] - row["low"]) < SAME)


def repeated(row: pd.Series) -> str:
    """The interval that holds for all claims and looks together; empty where seeds do not come in looks."""
    low, high, digits = row["repeated_low"], row["repeated_high"], digits_of(row["metric"])
    return "" if pd.isna(low) or pd.isna(high) else f"{signed(low, digits)} to {signed(high, digits)}"


def counted(row: pd.Series) -> str:
    """The n behind an estimate: patients, seeds, cells, and cells that are not there."""
    parts = [
        f"{int(row[name]):,} {what}{'' if row[name] == 1 else 's'}"
        for name, what in (("patients", "patient"), ("seeds", "seed"), ("cells", "cell"))
        if name in row and pd.notna(row[name])
    ]
    if pd.notna(row.get("estimate")) and pd.notna(row.get("cells_missing")) and row["cells_missing"]:
        parts.append(f"{int(row['cells_missing']):,} more missing or left out")
    return ", ".join(parts)


def start(init: str) -> str:
    """Where weights come from, for a cell of a table."""
    return "scratch" if init == "random" else init_name(init)
