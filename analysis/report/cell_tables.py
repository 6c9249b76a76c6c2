"""Tables of cells and images: which cells failed or have a flag, and the labels of every part."""

from __future__ import annotations

import pandas as pd

from analysis.report.render import Table, table
from analysis.report.wording import FROZEN, column, start
from analysis.tables.columns import is_true
from analysis.tables.networks import Networks


def failed(trials: pd.DataFrame, networks: Networks) -> Table | None:
    """The cells that failed and why; rows of `trials`."""
    rows = trials[trials["status"] == "failed"]
    columns = ["cell_id", "architecture", "train_images", "init", "freeze", "seed", "failure", "error"]
    known = {"architecture": [networks[one].network if pd.notna(one) else "" for one in rows["architecture"]]}
    known["init"] = [start(one) if pd.notna(one) else "" for one in rows["init"]]
    known["freeze"] = [FROZEN.get(one, one) for one in rows["freeze"]]
    return table(rows[columns].assign(**known).rename(columns=column), "trials.parquet")


def flagged(trials: pd.DataFrame, networks: Networks) -> Table | None:
    """The cells with a flag; rows of `trials`."""
    flags = {"still_falling": "still falling", "collapsed": "collapsed"}
    rows = trials[trials[list(flags)].apply(is_true).any(axis=1)]
    said = [
        ", ".join(text for name, text in flags.items() if row[name] is True) for _, row in rows.iterrows()
    ]
    columns = ["cell_id", "architecture", "train_images", "init", "freeze", "seed", "learning_rate"]
    shown = {
        "architecture": [networks[one].network for one in rows["architecture"]],
        "init": [start(one) for one in rows["init"]],
        "freeze": [FROZEN.get(one, one) for one in rows["freeze"]],
        "learning_rate": [f"{rate:.2g}" if pd.notna(rate) else "" for rate in rows["learning_rate"]],
    }
    return table(rows[columns].assign(**shown, flag=said).rename(columns=column), "trials.parquet")


def labels(record: object) -> Table | None:
    """Patients, images and labels of every trained finding in each part; `labels` of the table `sweep`."""
    if not isinstance(record, list) or not record or not all(isinstance(row, dict) for row in record):
        return None
    rows = pd.DataFrame(record)
    names = [name for name in LABEL_COLUMNS if name in rows]
    return table(rows[names].rename(columns=column), "sweep.parquet, name labels")


LABEL_COLUMNS = (
    "finding", "part", "patients", "images", "positive", "negative", "uncertain", "uncertain_became", "blank",
    "blank_became", "trained_positive", "trained_negative", "ignored",
)  # fmt: skip
