"""CheXpert as Stanford distributes it (Irvin et al. 2019, arXiv 1901.07031), read into a `Dataset`.

`CheXpert-v1.0-small` and `CheXpert-v1.0` have one layout: `train.csv` and `valid.csv` beside the folders
`train` and `valid`. The CSVs name either prefix, whatever the folder is called now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transfusion.data.checks import image_problems
from transfusion.data.dataset import Dataset, content_fingerprint, split_patients
from transfusion.data.identifiers import Where, id_problems
from transfusion.layouts.chexpert_folders import batches_of, folder_of, image_root, in_batches
from transfusion.layouts.csv_rows import Rows, read_rows
from transfusion.layouts.image_paths import locate, normalised, path_problems
from transfusion.layouts.label_csv import parse_labels
from transfusion.problems import InputError, Problem

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
USED = ("Path", "Frontal/Lateral")
"""Columns that every reader needs; of the findings, those that are trained."""

PATH = (
    r"^(?i:CheXpert-v1\.0(?:-small)?/)?"
    r"(?P<image>(?:.+/)?(?P<patient>patient[^/]+)/(?P<study>study[^/]+)/[^/]+)$"
)


def read(
    data: Path, views: str = "frontal", *, findings: Sequence[str] = (), distinct_ids: bool = False
) -> Dataset:
    """Reads both CSVs below `data`.

    Args:
        data: the distributed folder, the folder that holds it, or that of the full-size batches.
        views: `frontal` or `all`.
        findings: columns that must be there; the others of `FINDINGS` are read where they are.
        distinct_ids: patients whose names differ in their spelling only are different people.

    Returns:
        The training CSV split by patient into `train`, `selection`, `test`; the validation CSV as `official`.

    Raises:
        InputError: everything that is wrong with the CSVs and, once something is, with the images too.
        ValueError: `views` is neither.
    """
    if views not in ("frontal", "all"):
        raise ValueError(f"views: found {views!r}, expected frontal or all")
    needed = (*USED, *(finding for finding in findings if finding in FINDINGS))
    folder = folder_of(data)
    problems: list[Problem] = []
    lists = []
    for name in ("train.csv", "valid.csv"):
        try:
            lists.append(parse(read_rows(folder / name, needed, FINDINGS)))
        except InputError as error:
            problems += error.problems
    for one in lists:
        problems += one.problems
    if len(lists) == 2:
        problems += _shared_patients(*lists)
    if not any(len(one.frame) for one in lists):
        raise InputError(problems)
    present = [finding for finding in FINDINGS if all(finding in one.frame for one in lists)]
    frame = pd.concat([one.frame[[*KEPT, *present]] for one in lists], ignore_index=True)
    where = partial(_where, lists)
    problems += id_problems(frame["patient"], where, distinct_ids)
    texts = [text for one in lists for text in one.texts]
    root, images, unclear = _placed(folder, frame, texts, where)
    located = locate(root, images, texts, where)
    frame["image"] = located.images
    problems += [*unclear, *located.problems]
    if problems:
        raise InputError([*problems, *image_problems(root, located.sought)])
    frame["part"] = np.concatenate(
        [split_patients(lists[0].frame["patient"]), ["official"] * len(lists[1].frame)]
    )
    content = [(folder / name).read_bytes() for name in ("train.csv", "valid.csv")]
    fingerprint = content_fingerprint(root, frame["image"], content)
    if views == "frontal":
        frame = frame[frame["view"] == "frontal"].reset_index(drop=True)
    left_out = {finding for one in lists for finding in FINDINGS if finding in one.frame} - set(present)
    notes = [
        *(note for one in lists for note in one.rows.notes),
        *located.notes,
        *(f"the column {name!r} is in one of both CSVs only: left out" for name in sorted(left_out)),
    ]
    return Dataset(
        root=root, frame=frame, findings=tuple(present), fingerprint=fingerprint, notes=tuple(notes)
    )


KEPT = ("image", "patient", "study", "view")


@dataclass(frozen=True)
class Parsed:
    """One CSV as it is read.

    Attributes:
        rows: its records.
        frame: `image`, `patient`, `study`, `view` and the findings that are there, of all rows with a place.
        positions: int64 [len(frame)], which record each row of `frame` is.
        texts: the path of each row of `frame` as it stands in the CSV.
        problems: what is wrong.
    """

    rows: Rows
    frame: pd.DataFrame
    positions: np.ndarray
    texts: list[str]
    problems: list[Problem]


WRITTEN = "CheXpert-v1.0-small/train/patientNNNNN/studyN/NAME.jpg"


def parse(rows: Rows) -> Parsed:
    """The frame of a `Dataset` but for `part`; rows without a place are left out and reported."""
    texts = rows.columns["Path"]
    problems = path_problems(texts, rows.where, f"write it as {WRITTEN}")
    pieces = _pieces(list(map(normalised, texts)))
    placed = pieces["image"].notna().to_numpy()
    if unplaced := [i for i in np.flatnonzero(~placed).tolist() if texts[i]]:
        more = f" and {len(unplaced) - 1:,} more such paths" if len(unplaced) > 1 else ""
        advice = "correct the path, or say that it is a table of your own (--dataset table)"
        problems.append(Problem(rows.where(unplaced), f"{texts[unplaced[0]]}{more}", WRITTEN, advice))
    codes, views = pd.factorize(pd.Series(rows.columns["Frontal/Lateral"], dtype=object))
    for code, view in enumerate(views):
        if view not in ("Frontal", "Lateral"):
            at = rows.where(np.flatnonzero(codes == code), "Frontal/Lateral")
            problems.append(Problem(at, repr(view), "Frontal or Lateral", "correct the field"))
    named = np.array(
        [view.lower() if view in ("Frontal", "Lateral") else "unknown" for view in views], dtype=object
    )
    labels, wrong = parse_labels(rows, [finding for finding in FINDINGS if finding in rows.columns])
    frame = pd.DataFrame(
        {
            "image": pieces["image"],
            "patient": pieces["patient"],
            "study": pieces["patient"] + "/" + pieces["study"],
            "view": named[codes],
            **labels,
        }
    )
    positions = np.flatnonzero(placed)
    kept = [texts[i] for i in positions]
    return Parsed(rows, frame[placed].reset_index(drop=True), positions, kept, problems + wrong)


def _where(lists: Sequence[Parsed], positions: Sequence[int] | np.ndarray) -> str:
    """Names rows of the CSVs put one below the other."""
    texts, start = [], 0
    for one in lists:
        inside = [one.positions[p - start] for p in positions if start <= p < start + len(one.positions)]
        texts += [one.rows.where(inside)] if inside else []
        start += len(one.positions)
    return " and ".join(texts)


def _placed(
    folder: Path, frame: pd.DataFrame, texts: Sequence[str], where: Where
) -> tuple[Path, pd.Series, list[Problem]]:
    """Where the images lie, and their paths below it: one folder, or the batches of the full-size set."""
    if batches := batches_of(folder):
        images, unclear = in_batches(batches, frame["image"], frame["patient"])
        advice = "remove one of them"
        problems = [
            Problem(
                where(positions),
                f"the image in {' and in '.join(map(repr, places))}",
                "each image once",
                advice,
            )
            for places, positions in unclear.items()
        ]
        return batches[0].parent, images, problems
    root, problems = image_root(folder, frame["image"], texts[0])
    return root, frame["image"], problems


def _pieces(paths: Sequence[str]) -> pd.DataFrame:
    """`image`, `patient` and `study` of every path; missing where it is not one of CheXpert's."""
    found = pc.extract_regex(pa.array(paths, pa.string()), PATH)
    return pd.DataFrame(
        {name: pc.struct_field(found, name).to_pandas() for name in ("image", "patient", "study")}
    )


def _shared_patients(train: Parsed, valid: Parsed) -> list[Problem]:
    """Patients of both CSVs, with their rows of the second."""
    known = set(train.frame["patient"])
    expected, advice = "every patient in one CSV only", "remove the patient from one of them"
    problems = []
    for patient, rows in valid.frame.groupby("patient").indices.items():
        if patient in known:
            where = valid.rows.where(valid.positions[rows])
            problems.append(Problem(where, f"{patient}, who is in train.csv too", expected, advice))
    return problems
