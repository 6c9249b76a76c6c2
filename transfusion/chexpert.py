"""CheXpert as Stanford distributes it (Irvin et al. 2019, arXiv 1901.07031), read into a `Table`.

`CheXpert-v1.0-small` and `CheXpert-v1.0` have one layout: `train.csv` and `valid.csv` beside the folders
`train` and `valid`. The CSVs name either prefix, whatever the folder is called now.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transfusion.checks import image_problems
from transfusion.label_csv import as_text, parse_labels, path_problems, read_strict, rows_where
from transfusion.table import DataError, Problem, Table, content_fingerprint, split_patients

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS)
FOLDERS = ("CheXpert-v1.0-small", "CheXpert-v1.0")
PATH = (
    r"^(?:CheXpert-v1\.0(?:-small)?/)?"
    r"(?P<image>(?:.+/)?(?P<patient>patient[^/]+)/(?P<study>study[^/]+)/[^/]+)$"
)


def read(data: Path, views: str = "frontal") -> Table:
    """Reads both CSVs below `data`.

    Args:
        data: the distributed folder, or the folder that holds it.
        views: `frontal` or `all`.

    Returns:
        The training CSV split by patient into `train`, `selection`, `test`; the validation CSV as `official`.

    Raises:
        DataError: everything that is wrong with the CSVs and, once something is, with the images too.
        ValueError: `views` is neither.
    """
    if views not in ("frontal", "all"):
        raise ValueError(f"views: found {views!r}, expected frontal or all")
    folder = _folder_of(data)
    problems: list[Problem] = []
    frames = []
    for name, official in (("train.csv", False), ("valid.csv", True)):
        try:
            frame, found = _parse(folder / name)
        except DataError as error:
            problems += error.problems
            continue
        problems += found
        frame["part"] = "official" if official else split_patients(frame["patient"])
        frames.append(frame)
    if len(frames) == 2:
        problems += _shared_patients(folder / "valid.csv", *frames)
    if not frames:
        raise DataError(problems)
    frame = pd.concat(frames, ignore_index=True)
    root = _image_root(folder, frame["image"])
    if problems:
        raise DataError([*problems, *image_problems(root, frame["image"])])
    content = [(folder / name).read_bytes() for name in ("train.csv", "valid.csv")]
    fingerprint = content_fingerprint(root, frame["image"], content)
    if views == "frontal":
        frame = frame[frame["view"] == "frontal"].reset_index(drop=True)
    return Table(root=root, frame=frame, findings=FINDINGS, fingerprint=fingerprint)


def _parse(path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """One CSV as the frame of a `Table` but for `part`; rows without a place are left out and reported."""
    raw = read_strict(path, COLUMNS)
    problems = path_problems(path, raw["Path"])
    pieces = _pieces(raw["Path"])
    placed = pieces["image"].notna().to_numpy()
    for where, i in rows_where(path, ~placed & raw["Path"].notna().to_numpy()):
        expected = "CheXpert-v1.0-small/train/patientNNNNN/studyN/NAME.jpg"
        problems.append(Problem(where, str(raw["Path"].iloc[i]), expected, "correct the path"))
    known_view = raw["Frontal/Lateral"].isin(["Frontal", "Lateral"]).to_numpy()
    for where, i in rows_where(path, ~known_view):
        found = repr(str(raw["Frontal/Lateral"].iloc[i]))
        place = f"{where}, column 'Frontal/Lateral'"
        problems.append(Problem(place, found, "Frontal or Lateral", "correct the field"))
    age = pd.to_numeric(raw["Age"], errors="coerce")
    for where, i in rows_where(path, ~age.between(0, 150).to_numpy()):
        found = repr(str(raw["Age"].iloc[i]))
        problems.append(Problem(f"{where}, column 'Age'", found, "an age in years", "correct the field"))
    labels, wrong = parse_labels(path, raw, FINDINGS)
    frame = pd.DataFrame(
        {
            "image": pieces["image"],
            "patient": pieces["patient"],
            "study": pieces["patient"] + "/" + pieces["study"],
            "view": np.where(known_view, raw["Frontal/Lateral"].astype(str).str.lower(), "unknown"),
            **labels,
        }
    )
    return frame[placed].reset_index(drop=True), problems + wrong


def _pieces(paths: pd.Series) -> pd.DataFrame:
    """`image`, `patient` and `study` of every path; missing where it is not one of CheXpert's."""
    text = pa.array(as_text(paths), pa.string())
    found = pc.extract_regex(text, PATH)
    return pd.DataFrame(
        {name: pc.struct_field(found, name).to_pandas() for name in ("image", "patient", "study")}
    )


def _shared_patients(path: Path, train: pd.DataFrame, valid: pd.DataFrame) -> list[Problem]:
    few = valid["patient"].unique()
    both = train["patient"][train["patient"].isin(few)].unique()
    shared = valid["patient"].isin(both).to_numpy()
    expected, advice = "every patient in one CSV only", "remove the patient from one of them"
    return [
        Problem(where, f"{valid['patient'].iloc[i]}, who is in train.csv too", expected, advice)
        for where, i in rows_where(path, shared)
    ]


def _folder_of(data: Path) -> Path:
    """The folder of the CSVs: `data` itself or one of the distributed names below it."""
    try:
        for folder in (data, *(data / name for name in FOLDERS)):
            if (folder / "train.csv").exists() or (folder / "valid.csv").exists():
                return folder
        found = "neither train.csv nor valid.csv" if data.exists() else "no such folder"
    except PermissionError as error:
        found = f"no permission to look into {error.filename}"
    expected = f"train.csv and valid.csv in it, in {FOLDERS[0]} or in {FOLDERS[1]}"
    raise DataError(
        [Problem(str(data), found, expected, "name the folder that CheXpert was unpacked to (--data)")]
    )


def _image_root(folder: Path, images: pd.Series) -> Path:
    """Where most of a few evenly spaced images lie: beside the CSVs, or in a distributed name below them."""
    sample = images.iloc[np.unique(np.linspace(0, len(images) - 1, 16).round().astype(int))]
    candidates = [folder, *(folder / name for name in FOLDERS)]
    return max(candidates, key=lambda root: sum(os.access(root / name, os.F_OK) for name in sample))
