"""Rows of labels for synthetic radiographs, with the prevalences of CheXpert.

Only labels are drawn here; `render` turns a row into an image, real rows just as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from transfusion.layouts.chexpert import COLUMNS, FINDINGS
from transfusion.layouts.chexpert_folders import FOLDERS

LABEL_SHARES: dict[str, tuple[float, float, float]] = {
    "No Finding": (0.1002, 0.0000, 0.0000),
    "Enlarged Cardiomediastinum": (0.0483, 0.0969, 0.0555),
    "Cardiomegaly": (0.1209, 0.0498, 0.0362),
    "Lung Opacity": (0.4726, 0.0295, 0.0251),
    "Lung Lesion": (0.0411, 0.0057, 0.0067),
    "Edema": (0.2339, 0.0928, 0.0581),
    "Consolidation": (0.0662, 0.1258, 0.1242),
    "Pneumonia": (0.0270, 0.0125, 0.0840),
    "Atelectasis": (0.1494, 0.0059, 0.1510),
    "Pneumothorax": (0.0870, 0.2522, 0.0141),
    "Pleural Effusion": (0.3858, 0.1584, 0.0520),
    "Pleural Other": (0.0158, 0.0014, 0.0119),
    "Fracture": (0.0405, 0.0112, 0.0029),
    "Support Devices": (0.5192, 0.0275, 0.0048),
}
"""Shares of 1, 0 and -1 among the 223,414 rows of CheXpert's training CSV; the rest is blank."""

OFFICIAL_SHARES: dict[str, float] = {
    "No Finding": 0.13,
    "Enlarged Cardiomediastinum": 0.50,
    "Cardiomegaly": 0.33,
    "Lung Opacity": 0.58,
    "Lung Lesion": 0.01,
    "Edema": 0.21,
    "Consolidation": 0.16,
    "Pneumonia": 0.04,
    "Atelectasis": 0.37,
    "Pneumothorax": 0.04,
    "Pleural Effusion": 0.32,
    "Pleural Other": 0.01,
    "Fracture": 0.01,
    "Support Devices": 0.50,
}
"""Share of positive studies in the official part. Edema is CheXpert's own (42 of 200 studies); the others are
assumptions, not counts of its validation CSV, which was not at hand. Every finding has both classes."""

SEVERITY_LOADING: dict[str, float] = {
    "Edema": 0.55,
    "Pleural Effusion": 0.40,
    "Support Devices": 0.40,
    "Lung Opacity": 0.30,
    "Cardiomegaly": 0.30,
    "Atelectasis": 0.15,
    "Pneumothorax": -0.20,
    "Lung Lesion": -0.20,
}
"""Correlation of a finding with how ill the patient is, in the order of the correlations in CheXpert."""

PA_SHARE = 29_420 / (161_590 + 29_420)
LATERAL_SHARE = {"PA": 0.70, "AP": 0.07}
SECOND_FRONTAL_SHARE = 0.02
MALE_SHARE = 132_636 / 223_414


class Radiograph(NamedTuple):
    """One row of a CSV in CheXpert's format; `labels` are 1, 0, -1 or NaN in the order of `FINDINGS`."""

    path: str
    sex: str
    age: int
    view: str
    projection: str
    labels: tuple[float, ...]


def training_rows(images: int, seed: int) -> list[Radiograph]:
    """As many rows as asked for: whole patients, but for the last, with several studies and views each."""
    rows: list[Radiograph] = []
    generator = np.random.default_rng([seed, 1])
    patient = 0
    while len(rows) < images:
        patient += 1
        rows += _patient("train", patient, generator)
    return rows[:images]


def official_rows(images: int, seed: int, first_patient: int) -> list[Radiograph]:
    """Rows without blanks and without -1; one study for each patient, 200 studies in 234 images.

    The number of positive studies of a finding is exact.
    """
    generator = np.random.default_rng([seed, 2])
    studies = max(1, round(images * 200 / 234))
    quotas = {finding: max(1, round(share * studies)) for finding, share in OFFICIAL_SHARES.items()}
    positive = np.zeros((studies, len(FINDINGS)))
    healthy = generator.permutation(studies) < quotas["No Finding"]
    positive[:, 0] = healthy
    severity = generator.standard_normal(studies)
    for column, finding in enumerate(FINDINGS[1:], start=1):
        latent = _latent(finding, severity, generator)
        if finding != "Support Devices":
            latent[healthy] = -np.inf
        positive[np.argsort(-latent, kind="stable")[: quotas[finding]], column] = 1
    extra = images - studies
    second_frontals = round(extra * 2 / 34)
    views = [["frontal"] for _ in range(studies)]
    for rank, study in enumerate(generator.permutation(studies)[:extra]):
        views[study].append("frontal" if rank < second_frontals else "lateral")
    rows: list[Radiograph] = []
    for study in range(studies):
        folder = f"{FOLDERS[0]}/valid/patient{first_patient + study:05d}/study1"
        sex, age = _sex_and_age(generator)
        labels = tuple(positive[study].tolist())
        rows += _views(folder, views[study], sex, age, _projection(severity[study], generator), labels)
    return rows


def as_fields(row: Radiograph) -> list[str]:
    """The row as the fields of CheXpert's CSV, labels spelled `1.0`, `0.0`, `-1.0` or empty."""
    labels = ["" if np.isnan(label) else f"{label:.1f}" for label in row.labels]
    return [row.path, row.sex, str(row.age), row.view.capitalize(), row.projection, *labels]


def header() -> list[str]:
    """The columns of CheXpert's CSV."""
    return list(COLUMNS)


def _patient(folder: str, number: int, generator: np.random.Generator) -> Iterator[Radiograph]:
    sex, age = _sex_and_age(generator)
    illness = generator.standard_normal()
    studies = int(np.clip(np.rint(generator.lognormal(0.35, 1.1)), 1, 30))
    for study in range(1, studies + 1):
        severity = np.sqrt(0.6) * illness + np.sqrt(0.4) * generator.standard_normal()
        projection = _projection(severity, generator)
        views = ["frontal"]
        if generator.random() < SECOND_FRONTAL_SHARE:
            views.append("frontal")
        if generator.random() < LATERAL_SHARE[projection]:
            views.append("lateral")
        labels = _study_labels(severity, generator)
        place = f"{FOLDERS[0]}/{folder}/patient{number:05d}/study{study}"
        yield from _views(place, views, sex, age, projection, labels)


def _study_labels(severity: float, generator: np.random.Generator) -> tuple[float, ...]:
    """Labels with the shares of `LABEL_SHARES`; with No Finding only Support Devices may be 1 or -1."""
    no_finding = LABEL_SHARES["No Finding"][0]
    healthy = generator.random() < no_finding
    labels = [1.0 if healthy else np.nan]
    for finding in FINDINGS[1:]:
        positive, negative, uncertain = LABEL_SHARES[finding]
        latent = float(_latent(finding, np.array([severity]), generator)[0])
        if finding != "Support Devices":
            scale = 0.0 if healthy else 1 / (1 - no_finding)
            positive, uncertain = positive * scale, uncertain * scale
        if latent > -ndtri(positive):
            labels.append(1.0)
        elif latent > -ndtri(positive + uncertain):
            labels.append(-1.0)
        else:
            labels.append(0.0 if latent < ndtri(negative) else np.nan)
    return tuple(labels)


def _latent(finding: str, severity: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    loading = SEVERITY_LOADING.get(finding, 0.0)
    return loading * severity + np.sqrt(1 - loading**2) * generator.standard_normal(len(severity))


def _projection(severity: float, generator: np.random.Generator) -> str:
    return "PA" if 0.6 * severity + 0.8 * generator.standard_normal() < ndtri(PA_SHARE) else "AP"


def _sex_and_age(generator: np.random.Generator) -> tuple[str, int]:
    sex = "Male" if generator.random() < MALE_SHARE else "Female"
    return sex, int(np.clip(np.rint(generator.normal(60.4, 17.8)), 18, 90))


def _views(
    folder: str, views: list[str], sex: str, age: int, projection: str, labels: tuple[float, ...]
) -> Iterator[Radiograph]:
    for number, view in enumerate(views, start=1):
        path = f"{folder}/view{number}_{view}.jpg"
        yield Radiograph(path, sex, age, view, projection if view == "frontal" else "", labels)
