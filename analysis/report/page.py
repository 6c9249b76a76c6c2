"""report.html: one self-contained file that can be mailed; verdicts first, then each conjecture's page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.conjectures import CONJECTURES
from analysis.figures.palette import VERDICTS
from analysis.names import init_name
from analysis.report import tables
from analysis.report.codes import codes, several
from analysis.report.doubts import TITLE, doubts, others
from analysis.report.html import details, escape, nested, page, paragraph, picture, prose, table
from analysis.statistics.catalogue import Margins
from analysis.statistics.curves import SPIKE_DEFINITION
from analysis.statistics.measures import Measures
from analysis.tables.collect import Collection, completeness
from analysis.tables.networks import Networks
from analysis.tables.origins import left_out, starts
from analysis.tables.store import Evidence

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


def write(
    evidence: Evidence,
    measures: Measures,
    estimates: pd.DataFrame,
    verdicts: pd.DataFrame,
    findings: pd.DataFrame,
    published: pd.DataFrame,
    margins: Margins,
    collection: Collection | None,
    figures: Path,
    conclusion: str,
) -> Path:
    """Write `report.html` and return its path.

    Args:
        figures: the folder of the PNG files, which are embedded.
        conclusion: Markdown paragraphs, as from `analysis.claims.conclusion`.
    """
    natural = init_name(evidence.natural) if evidence.natural else "natural images"

    def image(name: str) -> str:
        return picture(figures / f"{name}.png", CAPTIONS[name].format(natural=natural))

    glance = picture(
        figures / "verdicts.png",
        CAPTIONS["verdicts"],
        narrow=figures / "verdicts_column.png",
        kind="page",
    )
    data = evidence.sweep.get("data")
    name = str(data.get("name") or "") if isinstance(data, dict) else ""

    body = [
        "<h1>Do we need pretraining, a larger network, or more data?</h1>",
        _badges(verdicts),
        glance,
        *(paragraph(f"Not held out: {text}.") for text in equal_images(evidence.sweep, across_parts=True)),
        "<h2>Conclusion</h2>",
        prose(conclusion),
        *(
            _conjecture(number, verdicts, estimates, image, left_out(evidence.trials), evidence.networks)
            for number in CONJECTURES
        ),
        "<h2>The study's own findings</h2>",
        paragraph(
            "What the study found on its own data, with one seed and without intervals, beside this grid."
        ),
        tables.findings(findings),
        "<h3>Published AUROC beside ours</h3>",
        tables.published(published, natural=natural, data=name, networks=evidence.networks),
        *_doubts(evidence),
        "<h2>What is here and what is missing</h2>",
        _missing(evidence, measures, collection),
        *_weights(evidence),
        "<h2>Every condition</h2>",
        details(
            "Test and official split, training loss, convergence and spikes of every condition",
            tables.levels(estimates, evidence.networks),
        ),
        "<h2>Patients and labels</h2>",
        _labels(evidence),
        "<h2>How it was measured</h2>",
        _methods(measures, margins),
        image("range_tests"),
        "<h2>The sweep</h2>",
        paragraph(several(evidence.trials)) if several(evidence.trials) else "",
        _sweep(evidence),
    ]
    file = evidence.out / "report.html"
    part = file.with_name(".report.part.html")
    part.write_text(
        page("Pretraining, a larger network, or more data: the evidence", "\n".join(body)), "utf-8"
    )
    part.replace(file)
    return file


def _doubts(evidence: Evidence) -> list[str]:
    """What the checks found."""
    rows = doubts(evidence.checks)
    told = others(evidence.checks)
    if not told and rows.empty:
        return []
    shown = table(rows, stack=True) if len(rows) else ""
    return [f"<h2>{TITLE}</h2>", shown, paragraph(told) if told else ""]


def equal_images(sweep: dict[str, Any], across_parts: bool = False) -> list[str]:
    """What the sweep recorded of images that are the same byte for byte, as sentences without a full stop.

    Args:
        across_parts: only those in two parts.
    """
    data = sweep.get("data")
    rows = data.get("equal_images") if isinstance(data, dict) else None
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [str(row.get("text")) for row in found if not across_parts or row.get("part") != row.get("other")]


def _badges(verdicts: pd.DataFrame) -> str:
    overall = verdicts[verdicts["claim"] == "overall"]
    items = "".join(
        f'<li><a href="#conjecture{row.conjecture}">{row.conjecture}. {escape(row.question)}</a> '
        f'<b style="color:{VERDICTS[row.verdict]}">{escape(row.verdict)}</b></li>'
        for row in overall.itertuples()
    )
    return f'<ul class="verdicts">{items}</ul>'


def _conjecture(
    number: int,
    verdicts: pd.DataFrame,
    estimates: pd.DataFrame,
    image: Callable[[str], str],
    beside: str,
    networks: Networks,
) -> str:
    rows = verdicts[verdicts["conjecture"] == number]
    overall = rows[rows["claim"] == "overall"].iloc[0]
    claims = rows[rows["claim"] != "overall"]
    lacking = claims[claims["estimate"].isna() | (claims["cells_missing"].fillna(0) > 0)]
    missing = [
        f"{row.question} "
        + (str(row.why) if pd.isna(row.estimate) else f"{int(row.cells_missing)} cells missing.")
        for row in lacking.itertuples()
    ]
    verdict = str(overall["verdict"])
    behind = tables.contrasts(number, estimates, networks)
    return "\n".join(
        [
            f'<h2 id="conjecture{number}">{number}. {escape(CONJECTURES[number])}: '
            f'<span style="color:{VERDICTS[verdict]}">{verdict}</span></h2>',
            paragraph(overall["why"]),
            tables.claims(claims),
            paragraph("Missing: " + " ".join(missing)) if missing else "",
            paragraph(beside) if number == 4 and beside else "",
            *(image(name) for name in BY_CONJECTURE[number]),
            details("The claims' tests in numbers", tables.tests(claims)),
            details("More estimates, with their intervals", behind) if behind else "",
        ]
    )


def _weights(evidence: Evidence) -> list[str]:
    """Which weights the cells start from, what their files held, and which ones conjecture 4 leaves out."""
    rows = starts(evidence.trials)
    if rows.empty:
        return []
    parts = ["<h2>Where the networks start</h2>", table(rows, stack=True)]
    listed = evidence.sweep.get("weights")
    for one in listed if isinstance(listed, list) else []:
        notes = one.get("notes") if isinstance(one, dict) else None
        if notes:
            parts.append(
                paragraph(f"{one.get('architecture')}, {one.get('name')}: {'; '.join(map(str, notes))}.")
            )
    if beside := left_out(evidence.trials):
        parts.append(paragraph(beside))
    return parts


def _missing(evidence: Evidence, measures: Measures, collection: Collection | None) -> str:
    trials = evidence.trials
    parts = [paragraph(text) for text in _lacks(trials, measures)]
    parts += [paragraph(f"{text}.") for text in equal_images(evidence.sweep)]
    parts.append(table(completeness(trials)))
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
        parts += ["<h3>Failed cells</h3>", table(failed[columns], stack=True)]
    if not (evidence.trials["status"] == "done").any():
        parts.append(paragraph("No cell has finished: nothing can be estimated yet."))
    return "\n".join(parts)


def _lacks(trials: pd.DataFrame, measures: Measures) -> list[str]:
    """What keeps this grid from saying more, as sentences."""
    status = trials["status"].value_counts()
    diverged = int((trials["failure"] == "diverged").sum())
    said = [
        f"{len(trials):,} cells planned: {status.get('done', 0):,} done, {status.get('failed', 0):,} failed "
        f"({diverged:,} of them because the loss became infinite), {status.get('missing', 0):,} missing."
    ]
    if len(measures.seeds) == 1:
        said.append(
            "One seed: what another seed would change is unknown. Where there are enough sizes and networks, "
            "the scatter of single runs around smooth learning curves stands in for it; elsewhere nothing is "
            "decided."
        )
    done = measures.cells["status"] == "done"
    for split in ("test", "official"):
        values = measures.values(f"{split}_auroc")
        without = int((done & ~np.isfinite(values)).sum())
        positives = measures.positives.get(f"{split}_auroc")
        if without and split not in {name.split("_")[0] for name in measures.patients}:
            said.append(f"{without:,} finished cells have no predictions on the {split} split and no AUROC.")
        elif without:
            said.append(
                f"{without:,} finished cells have no AUROC on the {split} split: its images are all of one "
                f"class, or a prediction is not finite ({positives:,} positive images in all)."
            )
    return said


def _labels(evidence: Evidence) -> str:
    """Who is in which part, what the labels are and became, as the sweep recorded it."""
    data = evidence.sweep.get("data")
    known = data if isinstance(data, dict) else {}
    split = known.get("split")
    why = str(split.get("why") or "") if isinstance(split, dict) else ""
    notes = known.get("notes")
    said = [f"Split: {why}."] if why else []
    said += [f"{note}." for note in notes] if isinstance(notes, list) else []
    rows = tables.labels(evidence.sweep.get("labels"))
    return rows + "".join(paragraph(text) for text in said)


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
            f"nats, {margins.spikes:g} spikes per run. Patients behind the areas: "
            f"{'; '.join(splits) or 'no predictions'}. Per study: the largest label and logit of its views.",
            "Intervals hold both patients (all images of a patient together, the same patients for all "
            "networks) and seeds (paired within each network). Claims are tested at 5 %, Holm-corrected over "
            "all claims; that an effect is too small to matter is tested by two one-sided tests. How often "
            "that is wrong on grids with a planted truth: python -m analysis.calibration.",
            f"{SPIKE_DEFINITION}. Convergence: the first epoch with 95 % of the final gain in training loss.",
            "Every number here is a row of a table in evidence/, named above each table; the figures draw "
            "estimates.parquet, epochs.parquet, steps.parquet and range_tests.parquet. Columns and units: "
            "analysis/tables/schema.py.",
        )
    )


def _sweep(evidence: Evidence) -> str:
    trials = evidence.trials
    cost = {
        "training hours, all cells together": float(trials["train_seconds"].sum()) / 3600,
        "hours of all cells together": float(trials["seconds"].sum()) / 3600,
        "code": "; ".join(codes(trials)) or None,
        "devices": ", ".join(sorted(trials["device"].dropna().unique())) or None,
    }
    record = {key: value for key, value in evidence.sweep.items() if key not in ("schema", "labels")}
    if "recipe" not in record and trials["recipe"].notna().any():
        record["recipe"] = trials["recipe"].dropna().iloc[0]
    if "data" not in record and trials["data"].notna().any():
        record["data fingerprint"] = ", ".join(sorted(trials["data"].dropna().unique()))
    estimated, took = record.get("estimated_seconds"), record.get("wall_seconds")
    if isinstance(estimated, int | float) and isinstance(took, int | float) and took > 0:
        record["estimate over truth"] = estimated / took
    return nested({**record, **cost})
