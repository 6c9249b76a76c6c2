"""Draw and save the figures of one OUT folder, as PNG for screens and PDF for print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims.published import published
from analysis.figures import conjecture, study
from analysis.figures.canvas import as_written
from analysis.figures.verdict import verdicts_at_a_glance
from analysis.statistics import curves
from analysis.statistics.catalogue import Margins
from analysis.statistics.measures import Measures
from analysis.statistics.power_law import PowerLaw
from analysis.tables.store import Evidence, read

DOTS_PER_INCH = 300
LARGE = ("cbr_large_wide", "cbr_large_tall", "resnet50", "resnet34", "resnet18")
FOCUS = "cbr_large_wide"


Drawing = Callable[[], Figure]


def study_figures(evidence: Evidence, measures: Measures, estimates: pd.DataFrame) -> dict[str, Drawing]:
    """figure1 ... figure6, for the cells that exist; each is drawn when it is called.

    Args:
        estimates: rows of the table `estimates`.
    """
    natural, cells = evidence.natural, _natural_classes(measures)
    mine = cells.loc[cells["architecture"] == FOCUS, "init"]
    pretrained = [*([natural] if natural else []), *(a for a in measures.other_weights if (mine == a).any())]
    levels = level_rows(estimates)
    scratch = cells[(cells["init"] == "random") & (cells["freeze"] == "none")]
    trained = scratch[scratch["cell_id"].isin(evidence.epochs["cell_id"])]
    largest = int(trained["train_images"].max()) if len(trained) else 0
    fitted = trained[(trained["train_images"] == largest) & (trained["status"] == "done")]
    losses = curves.bands(evidence.epochs, fitted)
    lines = evidence.epochs.merge(fitted[["cell_id", "architecture"]], on="cell_id")
    networks = evidence.networks
    findings = cells["finding"].dropna()
    return {
        "figure1": lambda: _figure1(evidence, trained),
        "figure2": lambda: study.training_losses(
            losses, lines, networks=networks, title="CBR-Large-Wide and the ResNets", train_images=largest,
            wanted=("cbr_large_wide", "resnet18", "resnet34", "resnet50"),
        ),
        "figure3": lambda: study.training_losses(
            losses, lines, networks=networks, title="The five large networks", train_images=largest,
            wanted=LARGE,
        ),
        "figure4": lambda: study.auroc_by_size(
            levels, cells, networks=networks, architecture=FOCUS, natural=natural,
            title="data and pretraining", arms=[("random", "none"), *((arm, "none") for arm in pretrained)],
        ),
        "figure5": lambda: study.auroc_by_network(
            levels, scratch, networks=networks,
            published=published(str(findings.iloc[0]) if len(findings) else ""),
        ),
        "figure6": lambda: study.auroc_by_size(
            levels, cells, networks=networks, architecture=FOCUS, natural=natural,
            title="in-domain pretraining",
            arms=[("random", "none"), ("consolidation", "none"), ("consolidation", "backbone")],
        ),
    }  # fmt: skip


def conjecture_figures(
    evidence: Evidence,
    measures: Measures,
    estimates: pd.DataFrame,
    verdicts: pd.DataFrame,
    margins: Margins,
    law: PowerLaw | None,
) -> dict[str, Drawing]:
    """`verdicts` and `verdicts_column`, `learning_curve`, `gains` and `range_tests`; as `study_figures`."""
    cells = _natural_classes(measures)
    scratch = cells[(cells["init"] == "random") & cells["cell_id"].isin(evidence.range_tests["cell_id"])]
    largest = scratch[scratch["train_images"] == scratch["train_images"].max()]
    return {
        "verdicts": lambda: verdicts_at_a_glance(verdicts),
        "verdicts_column": lambda: verdicts_at_a_glance(verdicts, narrow=True),
        "learning_curve": lambda: conjecture.learning_curve(
            level_rows(estimates), networks=evidence.networks, law=law
        ),
        "gains": lambda: conjecture.gains(
            estimates,
            networks=evidence.networks,
            inits=[
                *([evidence.natural] if evidence.natural else []),
                "consolidation",
                *measures.other_weights,
            ],
            margin=margins.auroc,
        ),
        "range_tests": lambda: conjecture.range_tests(
            evidence.range_tests, largest, networks=evidence.networks
        ),
    }


def level_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """The rows of `estimates` that are the level of one condition with natural classes."""
    return estimates[(estimates["kind"] == "level") & (estimates["balance"] == "natural")]


def _natural_classes(measures: Measures) -> pd.DataFrame:
    return measures.cells[measures.cells["balance"] == "natural"]


def _figure1(evidence: Evidence, trained: pd.DataFrame, architecture: str = "resnet50") -> Figure:
    """ResNet-50 at its largest size, cells that diverged included."""
    cells = trained[trained["architecture"] == architecture]
    size = int(cells["train_images"].max()) if len(cells) else 0
    cells = cells[cells["train_images"] == size]
    steps = read(
        evidence.out, "steps", filters=[("cell_id", "in", list(cells["cell_id"]) or [""])]
    ).to_pandas()
    runs: dict[int, curves.Spikes] = {}
    epochs = 1
    for cell in cells.itertuples():
        mine = evidence.epochs[evidence.epochs["cell_id"] == cell.cell_id]
        losses = steps.loc[steps["cell_id"] == cell.cell_id].sort_values("step")["train_loss"]
        losses = losses if len(losses) else mine.sort_values("epoch")["train_loss"]
        found = curves.spikes(losses.to_numpy(np.float64))
        if found is not None:
            runs[int(cell.seed)] = found
            epochs = max(epochs, int(mine["epoch"].max()))
    return study.training_spikes(
        runs, networks=evidence.networks, architecture=architecture, train_images=size, epochs=epochs
    )


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `name.png` and `name.pdf`, neither ever half written."""
    folder.mkdir(parents=True, exist_ok=True)
    as_written(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is done, once for both forms
    for suffix, options in ((".png", {"dpi": DOTS_PER_INCH}), (".pdf", {"metadata": {"CreationDate": None}})):
        part = folder / f".{name}.part{suffix}"
        figure.savefig(part, **options)
        part.replace(folder / f"{name}{suffix}")
