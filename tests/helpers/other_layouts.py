"""A phantom written once more, as others lay their data out."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from transfusion.layouts import chexpert, nih

NIH_NAMES = {"Pleural Effusion": "Effusion", "Lung Lesion": "Nodule", "Pleural Other": "Pleural_Thickening"}


def as_nih(phantom: Path, folder: Path, lists: bool = True) -> Path:
    """The frontal images as ChestX-ray14: entries, PNG files in two folders, and the two lists if wanted."""
    dataset = chexpert.read(phantom)
    fields, official = [], []
    patients: dict[str, int] = {}
    for number, row in enumerate(dataset.frame.to_dict("records")):
        patient = patients.setdefault(row["patient"], len(patients) + 1)
        name = f"{patient:08d}_{number:03d}.png"
        present = [NIH_NAMES.get(finding, finding) for finding in dataset.findings if row[finding] == 1]
        known = [finding for finding in present if finding in nih.FINDINGS and finding != "No Finding"]
        fields.append(
            [name, "|".join(known) or "No Finding", number, patient, 60, "M", "PA", 64, 64, 0.1, 0.1]
        )
        official.append(row["part"] == "official")
        target = folder / f"images_{1 + number % 2:03d}" / "images" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(dataset.root / row["image"]).save(target)
    header = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender"]
    header += ["View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"]
    with (folder / nih.ENTRIES[0]).open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *fields])
    if lists:
        for name, wanted in ((nih.TEST_LIST, True), (nih.TRAINING_LIST, False)):
            names = [
                row[0] for row, is_official in zip(fields, official, strict=True) if is_official == wanted
            ]
            (folder / name).write_text("\n".join(names) + "\n")
    return folder


def as_own_table(phantom: Path, folder: Path, findings: tuple[str, ...] = ("Edema", "Consolidation")) -> Path:
    """The frontal images as one CSV with columns of its own: `file`, `person` and the findings."""
    dataset = chexpert.read(phantom)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, row in enumerate(dataset.frame.to_dict("records")):
        name = f"scan{number}.png"
        Image.open(dataset.root / row["image"]).save(folder / name)
        labels = [int(row[finding]) if row[finding] == row[finding] else "" for finding in findings]
        rows.append([name, row["patient"], *labels])
    file = folder / "scans.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["file", "person", *findings], *rows])
    return file
