"""Further sections of the report: the study's findings, what is missing, data, methods, and the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.claims import decisions, robust
from analysis.claims.analysed import Analysis
from analysis.names import data_name, init_name, is_phantom
from analysis.report import cell_tables, claim_tables, level_tables, looks
from analysis.report.codes import codes, several
from analysis.report.doubts import TITLE, doubts, others
from analysis.report.render import Fold, Table, sentences, table, text_of
from analysis.report.wording import column
from analysis.statistics.curves import SPIKE_DEFINITION
from analysis.statistics.flags import COLLAPSED, STILL_FALLING
from analysis.tables.collect import Collection, completeness
from analysis.tables.origins import starts
from analysis.tables.store import sweep_note

ONE_SEED = (
    "With one seed neither claims nor levels have an interval, since both are about what another seed would "
    "show. Those of levels over patients alone are in the table estimates."
)

Record = list[tuple[str, Any]]
"""Names with a text or a record each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section: paragraphs, tables, pictures, folded parts, and a record of names and values."""

    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[Table | None, ...] = ()
    pictures: Any = None
    folds: tuple[Fold | None, ...] = ()
    record: Record | None = None

    @property
    def filled(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.texts or any(self.tables) or any(self.folds) or self.record)


def sections(analysis: Analysis, collection: Collection | None, pictures: Mapping[str, Any]) -> list[Section]:
    """Those that there is something to say in.

    Args:
        pictures: of the parts `robust`, `small` and `methods`.
    """
    every = (
        Section(title="Seeds in looks", texts=tuple(looks.texts(analysis)), tables=(looks.rows(analysis),)),
        _robust(analysis, pictures["robust"]),
        _small(analysis, pictures["small"]),
        _study(analysis),
        _published(analysis),
        _doubts(analysis),
        _complete(analysis, collection),
        _starts(analysis),
        Section(
            title="The numbers", folds=(level_tables.levels(analysis.estimates, analysis.evidence.networks),)
        ),
        _labels(analysis),
        Section(
            title="How it was measured",
            texts=tuple(filter(None, _methods(analysis))),
            pictures=pictures["methods"],
        ),
        _sweep(analysis),
    )
    return [section for section in every if section.filled]


def shared_images(sweep: dict[str, Any]) -> list[str]:
    """Images that are the same in two parts, so that they are not held out."""
    return [
        f"How well it does on images not seen before, for some of them: {text}."
        for text in equal_images(sweep, True)
    ]


def equal_images(sweep: dict[str, Any], across_parts: bool = False) -> list[str]:
    """What the sweep recorded of images that are the same, as sentences without a full stop.

    Args:
        across_parts: only those in two parts.
    """
    data = sweep.get("data")
    rows = data.get("equal_images") if isinstance(data, dict) else None
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [str(row.get("text")) for row in found if not across_parts or row.get("part") != row.get("other")]


def _study(analysis: Analysis) -> Section:
    rows = analysis.study_results
    shown = claim_tables.study_results(rows, analysis.verdicts)
    counts = rows.loc[rows["estimate"].notna(), "verdict"].value_counts()
    told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    lead = "What the study found on its own data, with one seed and without intervals, beside this grid" + (
        f": {told}." if told else "."
    )
    left = rows[rows["estimate"].isna()]
    why = table(pd.DataFrame({"the study found": left["finding"], "why": left["why"]}))
    about = f"{len(left)} of {len(rows)}, and why"
    folds = (Fold("Findings that could not be tested", about, (why,)),) if why else ()
    return Section(title="The study's own findings", texts=(lead,), tables=(shown,), folds=folds)


def _robust(analysis: Analysis, pictures: Any) -> Section:
    """Whether the verdicts rest on a choice of whoever analyses."""
    rows = analysis.robustness
    lead = (
        "Every verdict again with one choice made otherwise, by the same tests; that these are many is not "
        "corrected for, since nothing is decided by them."
    )
    if analysis.looked is not None:
        lead += " Here all of them, the first line too, are judged as at a single look."
    shown = claim_tables.robustness(rows)
    about = "each alternative with the four verdicts and the claims that change"
    return Section(
        title="Do the verdicts rest on a choice?",
        texts=tuple(filter(None, (lead, robust.missing_choices(rows)))),
        pictures=pictures,
        folds=(Fold("Alternative by alternative", about, (shown,)),) if shown else (),
    )


def _small(analysis: Analysis, pictures: Any) -> Section:
    """How small the study could have been."""
    said = decisions.sentences(analysis.decisions)
    return Section(title="How small the study could have been", texts=tuple(said), pictures=pictures)


def _published(analysis: Analysis) -> Section:
    shown = level_tables.published(analysis.published, analysis.evidence.networks)
    if shown is None:
        return Section(title="")
    ours = analysis.published[analysis.published["estimate"].notna()]
    natural = init_name(analysis.evidence.natural) if analysis.evidence.natural else "natural images"
    phantom = is_phantom(analysis.evidence.sweep)
    text = (
        f"Source: {'; '.join(dict.fromkeys(ours['source']))}. Ours: the same finding on "
        f"{data_name(analysis.evidence.sweep)}, hold-out test split; its largest size beside all "
        f"images; {natural} beside ImageNet."
        + (" Ours are of drawn images, so that the two need not agree." if phantom else "")
    )
    return Section(title="Published AUROC beside ours", texts=(text,), tables=(shown,))


def _doubts(analysis: Analysis) -> Section:
    """What the checks found."""
    checks = analysis.evidence.checks
    told = others(checks)
    return Section(title=TITLE, texts=(told,) if told else (), tables=(table(doubts(checks)),))


def _complete(analysis: Analysis, collection: Collection | None) -> Section:
    trials, networks = analysis.evidence.trials, analysis.evidence.networks
    said = list(equal_images(analysis.evidence.sweep))
    if collection is not None:
        if collection.note:
            said.append(f"Note: {collection.note}")
        if note := sweep_note(analysis.evidence.out):
            said.append(f"Note: {note}")
        if collection.foreign:
            said.append(
                f"{collection.foreign} finished cells belong to other recipes, data or spaces; "
                "they are left out"
            )
        if collection.running:
            said.append(f"{collection.running} cells are running or were interrupted")
    counts = completeness(trials)
    counts["architecture"] = [networks[name].network if name else "all" for name in counts["architecture"]]
    counts["kind"] = counts["kind"].replace({"grid": "of the study", "upstream": "pretraining", "all": ""})
    shown = table(
        counts.rename(columns={"missing": "not finished", **{n: column(n) for n in ("architecture",)}})
    )
    whole = bool((trials["status"] == "done").all())
    lost = cell_tables.failed(trials, networks)
    folds = [Fold("Cells by network", "nothing is missing", (shown,))] if whole and shown else []
    folds += [Fold("Failed cells", f"{len(lost.rows)} of them, and what went wrong", (lost,))] if lost else []
    doubted = cell_tables.flagged(trials, networks)
    if doubted:
        about = f"{len(doubted.rows)} that were still learning when they ended, or collapsed"
        notes = tuple(f"{text[0].upper()}{text[1:]}." for text in (STILL_FALLING, COLLAPSED))
        folds.append(Fold("Cells in doubt", about, (doubted,), notes))
    return Section(
        title="What is here and what is missing",
        texts=tuple(sentences(said)),
        tables=() if whole else (shown,),
        folds=tuple(folds),
    )


def _starts(analysis: Analysis) -> Section:
    """Which weights the cells start from, and what their files held."""
    evidence, networks = analysis.evidence, analysis.evidence.networks
    rows = starts(evidence.trials)
    if rows.empty:
        return Section(title="")
    listed = evidence.sweep.get("weights")
    notes = [
        f"{one.get('architecture')}, {one.get('name')}: {'; '.join(map(str, one['notes']))}"
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and one.get("notes")
    ]
    names = [", ".join(networks[name].network for name in text.split(", ")) for text in rows["networks"]]
    weights = [init_name(name) for name in rows["weights"]]
    shown = table(rows.assign(networks=names, weights=weights))
    return Section(title="Where the networks start", texts=tuple(sentences(notes)), tables=(shown,))


def _labels(analysis: Analysis) -> Section:
    """Who is in which part, what the labels are and became, as the sweep recorded it."""
    sweep = analysis.evidence.sweep
    data = sweep.get("data")
    known = data if isinstance(data, dict) else {}
    split = known.get("split")
    why = str(split.get("why") or "") if isinstance(split, dict) else ""
    notes = known.get("notes")
    said = [f"Split: {why}" if why else "", *(map(str, notes) if isinstance(notes, list) else ())]
    shown = cell_tables.labels(sweep.get("labels"))
    if shown is None:
        said.append("The sweep did not record how many patients and labels each part has")
    return Section(title="Patients and labels", texts=tuple(sentences(said)), tables=(shown,))


def _methods(analysis: Analysis) -> list[str]:
    margins = analysis.margins
    return [
        f"The smallest effects that matter, fixed before any result: AUROC {margins.auroc:g}, training loss "
        f"{margins.loss:g} nats, {margins.spikes:g} spikes per run. AUROC: the chance that the network ranks "
        "a positive image above a negative one; 0.5 is guessing, 1 is never wrong.",
        "Intervals hold both patients (all images of a patient together, the same patients for all networks) "
        "and seeds (paired within each network). Claims are tested at 5 %, corrected for their number; that "
        "an effect is too small to matter is tested by two one-sided tests. The correction costs power: in "
        "simulated grids of the preset chexpert with effects of two margins 42 % of the claims are decided "
        "rightly with three seeds and 80 % with five, 88 % and 99 % if each claim were tested alone. How "
        "often that is wrong on grids with a planted truth: python -m analysis.calibration. Per study: the "
        "largest label and logit of its views.",
        f"{SPIKE_DEFINITION}. Convergence: the first epoch with 95 % of the final gain in training loss.",
        ONE_SEED if len(analysis.measures.seeds) == 1 else "",
        analysis.margins_told,
        "Every number here is a row of a table in evidence/, named below each table. Columns and units: "
        "analysis/tables/schema.py.",
    ]


def _sweep(analysis: Analysis) -> Section:
    trials, sweep = analysis.evidence.trials, analysis.evidence.sweep
    record = {key: value for key, value in sweep.items() if key not in ("schema", "labels", "weights")}
    if "recipe" not in record and trials["recipe"].notna().any():
        record["recipe"] = trials["recipe"].dropna().iloc[0]
    if "data" not in record and trials["data"].notna().any():
        record["data fingerprint"] = ", ".join(sorted(trials["data"].dropna().unique()))
    if isinstance(record.get("data"), dict):
        record["data"] = {
            k: v for k, v in record["data"].items() if k not in ("equal_images", "split", "notes")
        }
    estimated, took = record.get("estimated_seconds"), record.get("wall_seconds")
    if isinstance(estimated, int | float) and isinstance(took, int | float) and took > 0:
        record["estimate over truth"] = estimated / took
    record |= {
        "training hours, all cells together": _hours(trials["train_seconds"]),
        "hours of all cells together": _hours(trials["seconds"]),
        "code": "; ".join(codes(trials)),
        "devices": ", ".join(sorted(trials["device"].dropna().unique())),
    }
    text = several(trials)
    return Section(title="The sweep", texts=(text,) if text else (), record=_nested(record))


def _hours(seconds: pd.Series) -> float | None:
    """Hours of all together; None where none is known."""
    return float(seconds.sum()) / 3600 if seconds.notna().any() else None


def _setting(value: Any) -> str:
    """A setting as one writes it: `0.1`, not `0.100`."""
    if isinstance(value, float) and 1e-9 < abs(value) < 1000:
        return f"{value:.4g}"
    return text_of(value)


def _nested(record: dict[str, Any]) -> Record:
    """Names and values for reading, records in it as records of their own; nothing for null."""
    return [
        (name.replace("_", " "), _nested(value) if isinstance(value, dict) else _setting(value))
        for name, value in record.items()
        if value is not None and value != {} and value != "" and value != []
    ]
