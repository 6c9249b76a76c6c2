"""What each check of the catalogue finds in an analysis."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.checks.catalogue import (
    CHECKS,
    CODES,
    DROP_DEVIATIONS,
    LOST_SHARE,
    POWER,
    PREVALENCE_DEVIATIONS,
    PREVALENCE_FACTOR,
)
from analysis.claims.analysed import Analysis
from analysis.names import arm_name
from analysis.tables.columns import is_true
from analysis.tables.networks import networks
from analysis.tables.origins import left_out, origins
from analysis.tables.schema import EvidenceError

CONDITION = ["architecture", "init", "freeze", "balance"]
SHOWN = 5
"""Cells, or other things, that are named."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a check found.

    Attributes:
        text: in words, with numbers; empty where there is nothing to doubt.
        cells: ids of the cells that it concerns.
        known: whether the evidence could tell at all.
    """

    text: str = ""
    cells: tuple[str, ...] = ()
    known: bool = True


NOT_KNOWN = Doubt(known=False)


def check_table(found: Analysis, muted: Collection[str] = ()) -> pd.DataFrame:
    """A row for every check, columns of `analysis.tables.schema.CHECKS`; those that found something first.

    Args:
        muted: codes whose doubts were looked at and are not to be told again.

    Raises:
        EvidenceError: there is no such code.
    """
    if unknown := sorted(set(muted) - set(CODES)):
        raise EvidenceError(f"--mute: found {', '.join(unknown)}; expected codes among {', '.join(CODES)}")
    rows = []
    for check in CHECKS:
        doubt = FINDERS[check.code](found)
        told = "muted" if check.code in muted else "doubt"
        rows.append(
            {
                "code": check.code,
                "title": check.title,
                "result": "not known" if not doubt.known else told if doubt.text else "clear",
                "found": doubt.text or None,
                "cells": len(doubt.cells),
                "cell_ids": " ".join(doubt.cells) or None,
                "how": check.how,
                "why": check.why,
                "action": check.action,
            }
        )
    order = {"doubt": 0, "muted": 1, "not known": 2, "clear": 3}
    return pd.DataFrame(rows).sort_values("result", key=lambda column: column.map(order), kind="stable")


def rate_at_edge(found: Analysis) -> Doubt:
    """TS001."""
    cells = _done(found)
    known = cells["rate_at_edge"].dropna() if "rate_at_edge" in cells else pd.Series(dtype=object)
    if known.empty:
        return NOT_KNOWN
    ends = [(end, cells[cells["rate_at_edge"] == end]) for end in ("low", "high")]
    said = [f"{_of(rows, len(known))} at the {end} end ({_named(rows)})" for end, rows in ends if len(rows)]
    return Doubt("; ".join(said), _ids(cells[cells["rate_at_edge"].isin(["low", "high"])]))


def still_falling(found: Analysis) -> Doubt:
    """TS002."""
    return _flag(found, "still_falling", "late_fall", "falling by up to {:.3g} nats")


def collapsed(found: Analysis) -> Doubt:
    """TS003."""
    return _flag(found, "collapsed", "", "")


def few_patients(found: Analysis) -> Doubt:
    """TS004."""
    covariance = found.measures.covariance.get("test_auroc")
    if covariance is None:
        return NOT_KNOWN
    rows = np.flatnonzero(np.isfinite(np.diag(covariance)))
    if len(rows) < 2:
        return NOT_KNOWN
    part = covariance[np.ix_(rows, rows)]
    variances = np.diag(part)[:, None] + np.diag(part)[None, :] - 2 * part
    pairs = variances[np.triu_indices(len(rows), 1)]
    least = POWER * float(np.median(np.sqrt(np.clip(pairs, 0, None))))
    margin = found.margins.auroc
    if least <= margin:
        return Doubt()
    patients = found.measures.patients.get("test_auroc", 0)
    need = float(f"{patients * (least / margin) ** 2:.1e}")
    return Doubt(
        f"{patients:,} patients of the test find a difference of {least:.3f} AUROC in four of five "
        f"studies, and "
        f"the margin is {margin:g}; about {need:,.0f} patients would find that"
    )


def other_prevalence(found: Analysis) -> Doubt:
    """TS005."""
    record = found.evidence.sweep.get("labels")
    rows = [row for row in record if isinstance(row, dict)] if isinstance(record, list) else []
    counts = [row for row in rows if _is_count(row)]
    if not counts:
        return NOT_KNOWN
    said = []
    for finding in dict.fromkeys(row["finding"] for row in counts):
        parts = {row["part"]: row for row in counts if row["finding"] == finding}
        if "train" not in parts:
            continue
        here, people = _prevalence(parts["train"]), parts["train"]["patients"]
        for name in ("selection", "test", "official"):
            if name not in parts or here is None or (there := _prevalence(parts[name])) is None:
                continue
            both = (here * people + there * parts[name]["patients"]) / (people + parts[name]["patients"])
            spread = np.sqrt(both * (1 - both) * (1 / people + 1 / parts[name]["patients"]))
            factor = max(here, there) / max(min(here, there), 1e-12)
            if factor >= PREVALENCE_FACTOR and abs(here - there) > PREVALENCE_DEVIATIONS * spread:
                said.append(
                    f"{finding}: {100 * there:.1f} % positive in {name}, {100 * here:.1f} % in training"
                )
    return Doubt("; ".join(said))


def _is_count(row: dict[str, Any]) -> bool:
    """Whether a record of labels holds what is compared: it may be another program's."""
    numbers = [row.get(name) for name in ("patients", "trained_positive", "trained_negative")]
    whole = all(isinstance(number, int) and number >= 0 for number in numbers)
    return whole and bool(row["patients"]) and "finding" in row and "part" in row


def _prevalence(row: dict[str, Any]) -> float | None:
    """Positive images among those with a label; None without any."""
    positive, negative = row["trained_positive"], row["trained_negative"]
    return positive / (positive + negative) if positive + negative else None


def images_in_two_parts(found: Analysis) -> Doubt:
    """TS006."""
    data = found.evidence.sweep.get("data")
    record = data.get("equal_images") if isinstance(data, dict) else None
    if not isinstance(record, list):
        return NOT_KNOWN
    rows = [row for row in record if isinstance(row, dict) and isinstance(row.get("text"), str)]
    pairs = [row for row in rows if row.get("part") != row.get("other")]
    return Doubt("; ".join(str(row.get("text")) for row in pairs[:SHOWN]))


def unknown_weights(found: Analysis) -> Doubt:
    """TS007."""
    trials = found.evidence.trials
    grid = trials["kind"].fillna("grid") == "grid"
    arms = origins(trials)
    strange = grid & arms.arms.isin(arms.others)
    return Doubt(_told(left_out(trials)) if strange.any() else "", _ids(trials[strange]))


def _told(sentence: str) -> str:
    """The cells of a sentence on what conjecture 4 leaves out."""
    return sentence.partition("Left out of its claims: ")[2].partition(", which")[0] or sentence


def one_seed(found: Analysis) -> Doubt:
    """TS008."""
    done = _done(found)
    if len(found.measures.seeds) == 1:
        return Doubt(f"every condition has the seed {found.measures.seeds[0]} and no other")
    if done.empty:
        return NOT_KNOWN
    seeds = done.groupby([*CONDITION, "train_images"], dropna=False)["seed"].nunique()
    single = seeds[seeds == 1]
    if single.empty or seeds.max() == 1:
        return Doubt() if single.empty else Doubt("no condition has two finished seeds")
    first = f"{_condition(done, single.index[0])}, {single.index[0][-1]:,} images"
    return Doubt(f"{len(single)} of {len(seeds)} conditions have one finished seed ({first} is the first)")


def _condition(cells: pd.DataFrame, values: Sequence[str]) -> str:
    """`ResNet-50 fine-tuned from photos`, and `, classes balanced` where they are; values of `CONDITION`."""
    architecture, init, freeze, balance = values[: len(CONDITION)]
    said = f"{networks(cells)[architecture].network} {arm_name(init, freeze)}"
    return f"{said}, classes balanced" if balance == "balanced" else said


def falling_curves(found: Analysis) -> Doubt:
    """TS009."""
    cells = _done(found)
    cells = cells[cells["test_auroc"].notna() & ~is_true(cells["collapsed"])]
    if cells["train_images"].nunique() < 2:
        return NOT_KNOWN
    covariance = found.measures.covariance.get("test_auroc")
    said, ids = [], []
    for condition, rows in cells.groupby(CONDITION, sort=False, dropna=False):
        sizes = sorted(rows["train_images"].unique())
        for small, large in pairwise(sizes):
            before, after = (rows[rows["train_images"] == size] for size in (small, large))
            drop = before["test_auroc"].mean() - after["test_auroc"].mean()
            if drop > max(
                found.margins.auroc, DROP_DEVIATIONS * _error(covariance, before.index, after.index)
            ):
                said.append(
                    f"{_condition(cells, condition)}: {drop:.3f} lower with {large:,} than with {small:,}"
                )
                ids += after["cell_id"].tolist()
    more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return Doubt("; ".join(said[:SHOWN]) + more, tuple(ids))


def _error(covariance: np.ndarray | None, before: pd.Index, after: pd.Index) -> float:
    """Standard error over patients of the difference of two means over cells; 0 where it is not known."""
    if covariance is None:
        return 0.0
    rows = [*before, *after]
    weights = np.r_[np.full(len(before), 1 / len(before)), np.full(len(after), -1 / len(after))]
    part = covariance[np.ix_(rows, rows)]
    return float(np.sqrt(max(weights @ part @ weights, 0.0))) if np.isfinite(part).all() else 0.0


def failed_cells(found: Analysis) -> Doubt:
    """TS010."""
    trials = found.evidence.trials
    ended = trials[trials["status"].isin(["done", "failed"])]
    if ended.empty:
        return NOT_KNOWN
    failed = ended[ended["status"] == "failed"]
    if len(failed) <= LOST_SHARE * len(ended):
        return Doubt()
    kinds = failed["failure"].fillna("unknown").value_counts()
    said = ", ".join(f"{count} {name}" for name, count in kinds.items())
    return Doubt(f"{_of(failed, len(ended))} failed ({said}): {_named(failed)}", _ids(failed))


FINDERS: dict[str, Callable[[Analysis], Doubt]] = {
    "TS001": rate_at_edge,
    "TS002": still_falling,
    "TS003": collapsed,
    "TS004": few_patients,
    "TS005": other_prevalence,
    "TS006": images_in_two_parts,
    "TS007": unknown_weights,
    "TS008": one_seed,
    "TS009": falling_curves,
    "TS010": failed_cells,
}


def _done(found: Analysis) -> pd.DataFrame:
    """The finished cells of the grid."""
    cells = found.measures.cells
    return cells[cells["status"] == "done"]


def _flag(found: Analysis, flag: str, worst: str, words: str) -> Doubt:
    """The finished cells with a flag, of those that have one or the other answer."""
    cells = _done(found)
    known = cells[cells[flag].notna()] if flag in cells else cells.iloc[:0]
    if known.empty:
        return NOT_KNOWN
    rows = known[known[flag].astype(bool)]
    if rows.empty:
        return Doubt()
    most = f", {words.format(rows[worst].max())}" if worst else ""
    return Doubt(f"{_of(rows, len(known))}{most} ({_named(rows)})", _ids(rows))


def _of(rows: pd.DataFrame, all_of_them: int) -> str:
    return f"{len(rows):,} of {all_of_them:,} cells"


def _ids(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(rows["cell_id"].astype(str))


def _named(rows: pd.DataFrame) -> str:
    """Networks and how many cells of each, the most first."""
    looks = networks(rows)
    counts = rows["architecture"].fillna("unknown").value_counts()
    said: Sequence[str] = [
        f"{looks[str(name)].network} {count}" for name, count in counts.head(SHOWN).items()
    ]
    return ", ".join(said) + (f" and {len(counts) - SHOWN} more networks" if len(counts) > SHOWN else "")
