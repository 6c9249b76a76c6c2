"""NIH ChestX-ray14 as the NIH distributes it (Wang et al. 2017, arXiv 1705.02315), read into a `Table`.

Findings were mined from reports and stand in one column, separated by `|`; there are no blanks and no -1. All
images are frontal.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion.checks import image_problems
from transfusion.label_csv import as_text, path_problems, read_strict, rows_where
from transfusion.table import DataError, Problem, Table, content_fingerprint, split_patients

FINDINGS = (
    "No Finding",
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
COLUMNS = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "View Position")
ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
TEST_LIST = "test_list.txt"
TRAINING_LIST = "train_val_list.txt"


def read(data: Path) -> Table:
    """Reads the entries in `data`, whose images lie in it, in `images`, or in `images_001/images` and so on.

    Returns:
        The images of `test_list.txt` as `official`, the others split by patient into `train`, `selection` and
        `test`. Without that list nothing is `official`.

    Raises:
        DataError: everything that is wrong with entries and lists and, once something is, with the images.
    """
    entries = _entries_of(data)
    raw = read_strict(entries, COLUMNS)
    names = as_text(raw["Image Index"])
    labels, problems = _parse_findings(entries, raw["Finding Labels"])
    problems += path_problems(entries, raw["Image Index"])
    for where, _ in rows_where(entries, raw["Patient ID"].isna()):
        problems.append(Problem(where, "no patient", "the id of a patient", "fill it in or drop the row"))
    patients = raw["Patient ID"].astype(str)
    official, found = _official(data, entries, names, patients)
    problems += found
    frame = pd.DataFrame(
        {
            "image": _located(data, names),
            "patient": patients,
            "study": patients + "/" + raw["Follow-up #"].astype(str),
            "view": "frontal",
            "part": np.where(official, "official", split_patients(patients)),
            **labels,
        }
    )
    if problems:
        raise DataError([*problems, *image_problems(data, frame["image"][names != ""])])
    content = [file.read_bytes() for file in (entries, data / TEST_LIST) if file.exists()]
    fingerprint = content_fingerprint(data, frame["image"], content)
    return Table(root=data, frame=frame, findings=FINDINGS, fingerprint=fingerprint)


def _entries_of(data: Path) -> Path:
    for name in ENTRIES:
        if (data / name).exists():
            return data / name
    found = "no such folder" if not data.exists() else "none"
    advice = "name the folder that ChestX-ray14 was unpacked to (--data)"
    raise DataError([Problem(str(data), found, f"{' or '.join(ENTRIES)} in it", advice)])


def _parse_findings(entries: Path, column: pd.Series) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """float32 columns in {1, 0}, and a problem for every row with no finding or one that is unknown."""
    text = column.fillna("").astype(str)
    present = {finding: np.zeros(len(text), dtype=np.float32) for finding in FINDINGS}
    unknown = np.zeros(len(text), dtype=bool)
    codes, combinations = pd.factorize(text)
    for code, combination in enumerate(combinations):
        rows = codes == code
        for finding in combination.split("|"):
            if finding in present:
                present[finding][rows] = 1
            else:
                unknown |= rows
    expected = f"findings among {', '.join(FINDINGS)}, separated by |"
    return present, [
        Problem(f"{where}, column 'Finding Labels'", repr(text.iloc[i]), expected, "correct the field")
        for where, i in rows_where(entries, unknown)
    ]


def _official(
    data: Path, entries: Path, names: pd.Series, patients: pd.Series
) -> tuple[np.ndarray, list[Problem]]:
    """Which rows are on the test list, and what is wrong with the two lists."""
    problems = []
    listed = {}
    for name in (TEST_LIST, TRAINING_LIST):
        file = data / name
        lines = file.read_text().split() if file.exists() else []
        listed[name] = set(lines)
        known = set(names)
        for number, line in enumerate(lines, start=1):
            if line not in known:
                expected, advice = f"an image of {entries.name}", "fetch both files again"
                problems.append(Problem(f"{file}, row {number}", line, expected, advice))
    official = names.isin(listed[TEST_LIST]).to_numpy()
    shared = official & patients.isin(set(patients[~official])).to_numpy()
    for where, i in rows_where(entries, shared):
        expected, advice = "a patient on one side of the lists only", "remove the patient from one of them"
        problems.append(Problem(where, f"patient {patients.iloc[i]}, on both sides", expected, advice))
    return official, problems


def _located(data: Path, names: pd.Series) -> pd.Series:
    """Paths relative to `data`; an image that is nowhere gets the place where it should be."""
    places: dict[str, str] = {}
    for folder in (
        data,
        data / "images",
        *sorted(data.glob("images_*/images")),
        *sorted(data.glob("images_*")),
    ):
        if folder.is_dir():
            prefix = folder.relative_to(data)
            places |= {entry.name: str(prefix / entry.name) for entry in os.scandir(folder)}
    return names.map(lambda name: places.get(name, f"images/{name}"))
