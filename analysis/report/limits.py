"""What a grid cannot say: the size of the study and its limits, each a sentence for the first page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.claims.analysed import Analysis
from analysis.names import data_name, is_phantom
from analysis.statistics.measures import Measures
from analysis.tables.columns import is_true

DRAWN = (
    "Anything about patients: the images are drawn by a program. Such a phantom shows how these networks "
    "learn a task whose answer is known, and that the software works; whether it is so on radiographs it "
    "cannot show."
)


def where(analysis: Analysis) -> str:
    """The data with their test patients and seeds, to begin a sentence with."""
    measures = analysis.measures
    patients = measures.patients.get("test_auroc")
    seeds = count(len(measures.seeds), "seed")
    who = f"{patients:,} test patients, {seeds}" if patients else seeds
    return f"On {data_name(analysis.evidence.sweep)} ({who})"


def count(number: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size(analysis: Analysis) -> list[str]:
    """The size of the study, as sentences."""
    measures, trials = analysis.measures, analysis.evidence.trials
    status = trials["status"].value_counts()
    sizes = [f"{size:,}" for size in analysis.grid.sizes]
    grid = (
        f"{count(len(measures.architectures), 'network')}, {count(len(sizes), 'size')} of training set "
        f"({', '.join(sizes)} images), {count(len(measures.seeds), 'seed')}."
    )
    diverged = int((trials["failure"] == "diverged").sum())
    cells = (
        f"{count(len(trials), 'cell')} planned: {status.get('done', 0):,} done, "
        f"{status.get('failed', 0):,} failed"
        + (f" ({diverged:,} of them because the loss became infinite)" if diverged else "")
        + f", {status.get('missing', 0):,} not finished. A cell is one trained network."
    )
    return [grid, *_tested(measures), cells]


def _tested(measures: Measures) -> list[str]:
    found = []
    for split, name in (("test", "Tested on"), ("official", "The official validation split has")):
        metric = f"{split}_auroc"
        if metric in measures.patients:
            found.append(
                f"{name} {count(measures.patients[metric], 'patient')}; "
                f"{count(measures.positives[metric], 'image')} of theirs positive."
            )
    return found


def cannot(analysis: Analysis) -> list[str]:
    """What this grid cannot say, and what keeps it from saying more."""
    measures, trials = analysis.measures, analysis.evidence.trials
    said = [DRAWN] if is_phantom(analysis.evidence.sweep) else []
    if len(measures.seeds) == 1:
        said.append(
            "Which way any effect goes: with one seed nothing is decided, since what its runs have in common "
            "cannot be told from an effect. Two more seeds would."
        )
    said.append(_other_sets(len(measures.subsets)))
    if len(analysis.grid.sizes) == 1:
        said.append("What more data bring: the grid has one size.")
    if len(measures.architectures) == 2:
        said.append("Parameters and depth apart: with two networks they are one comparison.")
    if analysis.sequence_told:
        said.append(f"All of it at 5 %. {analysis.sequence_told}")
    said += _doubted(trials)
    said += _perfect(measures)
    said += _undefined(measures)
    if not (trials["status"] == "done").any():
        said.append("Anything yet: no cell has finished.")
    return said


def _other_sets(orders: int) -> str:
    if orders == 1:
        return (
            "Whether another training set of the same size would do the same: all sizes are parts of one "
            "set, cut from one order of its patients, so that how many images and which ones go together."
        )
    return (
        f"Whether another training set would do the same: every estimate is the mean over {orders} orders "
        "that the subsets of one set are cut from, and its interval does not hold what they differ by. What "
        "each says by itself stands among the choices of the analyst."
    )


def _doubted(trials: pd.DataFrame) -> list[str]:
    """Flags of cells that a conclusion rests on."""
    done = int((trials["status"] == "done").sum())
    falling, collapsed = (int(is_true(trials[name]).sum()) for name in ("still_falling", "collapsed"))
    said = []
    if falling:
        said.append(
            f"Where longer training would end: the training loss of {falling:,} of {done:,} networks was "
            "still falling."
        )
    if collapsed:
        said.append(
            f"What {count(collapsed, 'network')} that collapsed would do at another learning rate: see below."
        )
    return said


def _perfect(measures: Measures) -> list[str]:
    """That the task is too easy to tell networks apart, where most are right on every image."""
    areas = measures.values("test_auroc")
    known = int(np.isfinite(areas).sum())
    perfect = int((areas == 1).sum())
    if 2 * perfect <= known:
        return []
    return [
        f"How networks differ: {perfect:,} of {known:,} have a test AUROC of exactly 1, so that this task is "
        "too easy, or this test too small, to tell them apart."
    ]


def _undefined(measures: Measures) -> list[str]:
    """Finished cells without an area, and why."""
    said = []
    done = measures.cells["status"] == "done"
    splits = {name.split("_")[0] for name in measures.patients}
    for split in ("test", "official"):
        without = int((done & ~np.isfinite(measures.values(f"{split}_auroc"))).sum())
        if split == "official" and split not in splits:
            continue  # a table of one's own need not have one
        if without and split not in splits:
            said.append(f"{without:,} finished cells have no predictions on the {split} split and no AUROC.")
        elif without:
            positives = measures.positives.get(f"{split}_auroc", 0)
            said.append(
                f"{without:,} finished cells have no AUROC on the {split} split: its images are all of one "
                f"class, or a prediction is not finite ({positives:,} positive images in all)."
            )
    return said


def untested(rows: pd.DataFrame) -> list[str]:
    """Claims without an estimate, joined by why: not planned and not finished are told apart."""
    rows = rows[rows["estimate"].isna()]
    return [f"{' '.join(same['question'])} {why}" for why, same in rows.groupby("why", sort=False)]
