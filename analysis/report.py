"""report.html: one self-contained file that can be mailed; verdicts first, then each conjecture's page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.collect import Collection, completeness
from analysis.conjectures import CONJECTURES, Margins
from analysis.curves import SPIKE_DEFINITION
from analysis.draw import level_rows
from analysis.html import details, escape, nested, page, paragraph, picture, prose, table
from analysis.measures import Measures
from analysis.palette import VERDICTS, init_name
from analysis.references import PUBLISHED
from analysis.tables import Evidence

CAPTIONS = {
    "verdicts": "Every claim's effect with its 95 % interval, in units of the smallest effect that matters.",
    "figure1": "Figure 1. Training loss of ResNet-50 over training, spikes marked.",
    "figure2": "Figure 2. Training loss of CBR-Large-Wide and the three ResNets.",
    "figure3": "Figure 3. Training loss of the five large networks.",
    "figure4": "Figure 4. AUROC of CBR-Large-Wide by data set size, from scratch and pretrained on "
    "{natural}.",
    "figure5": "Figure 5. AUROC by parameters (5a) and depth (5b), at the largest and the smallest size.",
    "figure6": "Figure 6. AUROC of CBR-Large-Wide: from scratch, fine-tuned and frozen from Consolidation.",
    "learning_curve": "AUROC from scratch by data set size, and the power law of the networks' mean.",
    "gains": "What pretraining gains over training from scratch, by size and network.",
    "range_tests": "The learning-rate range tests at the largest size.",
}
BY_CONJECTURE = {
    1: ("figure1", "figure2", "figure3"),
    2: ("figure5",),
    3: ("learning_curve", "figure4"),
    4: ("gains", "figure6"),
}
LEVEL_METRICS = (
    "test_auroc", "test_auprc", "official_auroc", "official_auprc", "official_study_auroc", "train_loss",
    "convergence_epochs", "spikes", "spike_height", "spike_recovery_steps",
)  # fmt: skip
CLAIM_COLUMNS = (
    "question", "verdict", "why", "estimate", "low", "high", "margin", "unit", "seeds", "patients", "cells",
    "cells_missing", "p_supported", "p_refuted", "smallest_effect",
)  # fmt: skip


def write(
    evidence: Evidence,
    measures: Measures,
    estimates: pd.DataFrame,
    verdicts: pd.DataFrame,
    findings: pd.DataFrame,
    margins: Margins,
    collection: Collection | None,
    figures: Path,
    conclusion: str,
) -> Path:
    """Write `report.html` and return its path.

    Args:
        figures: the folder of the PNG files, which are embedded.
        conclusion: Markdown paragraphs, as from `analysis.conclusion`.
    """
    natural = init_name(evidence.natural) if evidence.natural else "natural images"

    def image(name: str) -> str:
        return picture(figures / f"{name}.png", CAPTIONS[name].format(natural=natural))

    body = [
        "<h1>Do we need pretraining, a larger network, or more data?</h1>",
        _badges(verdicts),
        image("verdicts"),
        "<h2>Conclusion</h2>",
        prose(conclusion),
        *(_conjecture(number, verdicts, image) for number in CONJECTURES),
        "<h2>The study's own findings</h2>",
        paragraph(
            "What the study found on its own data, beside this grid. Row by row in evidence/findings.parquet."
        ),
        table(findings.drop(columns=["metric"])),
        "<h3>Published AUROC</h3>",
        table(pd.DataFrame([asdict(p) for p in PUBLISHED])),
        "<h2>What is here and what is missing</h2>",
        _missing(evidence, collection),
        "<h2>Every condition</h2>",
        details(
            "Test and official split, training loss, convergence and spikes of every condition",
            levels(estimates),
        ),
        "<h2>How it was measured</h2>",
        _methods(measures, margins),
        image("range_tests"),
        "<h2>The sweep</h2>",
        _sweep(evidence),
    ]
    file = evidence.out / "report.html"
    part = file.with_name(".report.part.html")
    part.write_text(
        page("Pretraining, a larger network, or more data: the evidence", "\n".join(body)), "utf-8"
    )
    part.replace(file)
    return file


def _badges(verdicts: pd.DataFrame) -> str:
    overall = verdicts[verdicts["claim"] == "overall"]
    items = "".join(
        f'<li><a href="#conjecture{row.conjecture}">{row.conjecture}. {escape(row.question)}</a> '
        f'<b style="color:{VERDICTS[row.verdict]}">{escape(row.verdict)}</b></li>'
        for row in overall.itertuples()
    )
    return f'<ul class="verdicts">{items}</ul>'


def _conjecture(number: int, verdicts: pd.DataFrame, image: object) -> str:
    rows = verdicts[verdicts["conjecture"] == number]
    overall = rows[rows["claim"] == "overall"].iloc[0]
    claims = rows[rows["claim"] != "overall"]
    lacking = claims[claims["estimate"].isna() | (claims["cells_missing"].fillna(0) > 0)]
    missing = [
        f"{row.question} "
        + ("not tested." if pd.isna(row.estimate) else f"{int(row.cells_missing)} cells missing.")
        for row in lacking.itertuples()
    ]
    assert callable(image)
    return "\n".join(
        [
            f'<h2 id="conjecture{number}">{number}. {escape(CONJECTURES[number])}</h2>',
            paragraph(overall["why"]),
            table(claims[list(CLAIM_COLUMNS)]),
            paragraph("Missing: " + " ".join(missing)) if missing else "",
            *(image(name) for name in BY_CONJECTURE[number]),
        ]
    )


def levels(estimates: pd.DataFrame) -> str:
    """A row per condition: its areas with intervals on both splits, training loss, convergence and spikes."""
    rows = level_rows(estimates)
    if rows.empty:
        return paragraph("No cell has finished yet.")
    shown = rows.assign(text=[_with_interval(row) for row in rows.itertuples()])
    axes = ["architecture", "train_images", "init", "freeze"]
    wide = shown.pivot_table(index=axes, columns="metric", values="text", aggfunc="first", sort=False)
    return table(wide.reindex(columns=[m for m in LEVEL_METRICS if m in wide]).reset_index())


def _with_interval(row: object) -> str:
    value, low, high = (getattr(row, name) for name in ("estimate", "low", "high"))
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _missing(evidence: Evidence, collection: Collection | None) -> str:
    trials = evidence.trials
    parts = [table(completeness(trials))]
    if collection is not None:
        if collection.note:
            parts.append(paragraph(f"Note: {collection.note}."))
        if collection.foreign:
            parts.append(
                paragraph(
                    f"{collection.foreign} finished cells belong to other recipes, data or spaces; they "
                    f"are left out."
                )
            )
        if collection.running:
            parts.append(paragraph(f"{collection.running} cells are running or were interrupted."))
    failed = trials[trials["status"] == "failed"]
    if len(failed):
        columns = ["cell_id", "architecture", "train_images", "init", "freeze", "seed", "failure", "error"]
        parts += ["<h3>Failed cells</h3>", table(failed[columns])]
    if not (evidence.trials["status"] == "done").any():
        parts.append(paragraph("No cell has finished: nothing can be estimated yet."))
    return "\n".join(parts)


def _methods(measures: Measures, margins: Margins) -> str:
    splits = [
        f"{name.removesuffix('_auroc')}: {measures.patients[name]:,} patients, "
        f"{measures.positives[name]:,} positive"
        for name in measures.patients
        if name.endswith("_auroc")
    ]
    return "".join(
        paragraph(text)
        for text in (
            f"Margins, fixed before any result: AUROC {margins.auroc:g}, training loss {margins.loss:g} "
            f"nats, "
            f"{margins.spikes:g} spikes per run. Patients behind the areas: "
            f"{'; '.join(splits) or 'no predictions'}.",
            "Intervals hold both patients (all images of a patient together, the same patients for all "
            "networks) and "
            "seeds (paired within each network). Claims are tested at 5 %, Holm-corrected over all "
            "claims; that an "
            "effect is too small to matter is tested by two one-sided tests.",
            f"Spikes: {SPIKE_DEFINITION}. Convergence: the first epoch with 95 % of the final gain in "
            f"training loss.",
            "Every number here is a row of a table in evidence/: verdicts.parquet for the claims, "
            "findings.parquet for "
            "the study's findings, estimates.parquet for every level and contrast in the figures.",
        )
    )


def _sweep(evidence: Evidence) -> str:
    trials = evidence.trials
    cost = {
        "training hours, all cells together": float(trials["train_seconds"].sum()) / 3600,
        "hours of all cells together": float(trials["seconds"].sum()) / 3600,
        "devices": ", ".join(sorted(trials["device"].dropna().unique())) or None,
    }
    record = {key: value for key, value in evidence.sweep.items() if key != "schema"}
    if "recipe" not in record and trials["recipe"].notna().any():
        record["recipe"] = trials["recipe"].dropna().iloc[0]
    estimated, took = record.get("estimated_seconds"), record.get("wall_seconds")
    if isinstance(estimated, int | float) and isinstance(took, int | float) and took > 0:
        record["estimate over truth"] = estimated / took
    return nested({**record, **cost})
