"""A user's own data: one CSV with a row for each image, and columns that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion.data.checks import image_problems
from transfusion.data.dataset import Dataset, Split, content_fingerprint, split_patients
from transfusion.data.identifiers import id_problems
from transfusion.data.splits import given_parts
from transfusion.layouts import dicom_patients, other_people
from transfusion.layouts.csv_rows import read_rows
from transfusion.layouts.image_paths import below, folders_beside, locate, normalised, path_problems
from transfusion.layouts.label_csv import parse_labels
from transfusion.problems import InputError


def read(
    csv: Path,
    *,
    path_column: str,
    patient_column: str,
    findings: Sequence[str],
    part_column: str | None = None,
    optional: Sequence[str] = (),
    distinct_ids: bool = False,
) -> Dataset:
    """Reads `csv`; its paths are relative to its folder.

    Args:
        csv: the file, with a header. An image that is not where its path says is looked for in the folders
            beside it, too.
        path_column: path of the image.
        patient_column: whose image it is: all images of a patient stay in one part. `dicom:PatientID` is the
            element of that name in the images' own headers.
        findings: label columns, 1, 0, -1 (uncertain) or blank.
        part_column: which part each image is in, in words of `splits.WORDS`.
        optional: label columns that are read where they are.
        distinct_ids: ids that differ in their spelling only are different people.

    Returns:
        All rows split by patient into `train`, `selection` and `test`, nothing `official`, or into the parts
        that `part_column` names; every view is `unknown`, and every image is a study of its own.

    Raises:
        InputError: everything that is wrong with the CSV and, once something is, with the images too.
    """
    named = (part_column,) if part_column else ()
    keyword = dicom_patients.keyword_of(patient_column)
    whose = () if keyword else (patient_column,)
    options = dict.fromkeys(findings, "--finding") | {path_column: "--path-column"}
    options |= dict.fromkeys(whose, "--patient-column") | dict.fromkeys(named, "--part-column")
    wanted = (path_column, *whose, *named, *findings)
    beside = partial(other_people.columns, chosen=(*wanted, *optional))
    rows = read_rows(csv, wanted, optional, options, beside)
    present = tuple(name for name in dict.fromkeys((*findings, *optional)) if name in rows.columns)
    texts = below(csv.parent, rows.columns[path_column])
    problems = path_problems(texts, rows.where)
    located = locate(
        csv.parent, pd.Series(map(normalised, texts)), texts, rows.where, also=folders_beside(csv)
    )
    if keyword is None:
        patients = pd.Series(rows.columns[patient_column])
    elif problems or located.problems:  # no file is opened by a path that is not in order
        patients = pd.Series(np.arange(len(rows)).astype(str))
    else:
        patients, unknown = dicom_patients.read(csv.parent, located.images.tolist(), keyword, rows.where)
        problems += unknown
        if unknown:
            patients = pd.Series(np.arange(len(rows)).astype(str))
    problems += id_problems(patients, partial(rows.where, column=patient_column), distinct_ids)
    labels, wrong = parse_labels(rows, present)
    problems += [*wrong, *located.problems]
    parts, split = split_patients(patients), Split()
    if part_column:
        where = partial(rows.where, column=part_column)
        parts, found = given_parts(pd.Series(rows.columns[part_column]), patients, where)
        problems, split = [*problems, *found], Split("column", f"the column {part_column!r}")
    frame = pd.DataFrame(
        {
            "image": located.images,
            "patient": patients,
            "study": patients + "/" + np.arange(len(rows)).astype(str),
            "view": "unknown",
            "part": parts,
            **labels,
        }
    )
    if problems:
        raise InputError([*problems, *image_problems(csv.parent, located.sought)])
    chosen = "\n".join((path_column, patient_column, *named, *sorted(present))).encode()
    headers = ["\n".join(patients).encode()] if keyword else []
    fingerprint = content_fingerprint(csv.parent, frame["image"], [csv.read_bytes(), chosen, *headers])
    others = {name: rows.columns[name] for name in beside(rows.header)}
    notes = other_people.notes(patients, located.images.tolist(), others, patient_column)
    return Dataset(
        root=csv.parent,
        frame=frame,
        findings=present,
        fingerprint=fingerprint,
        split=split,
        notes=(*rows.notes, *located.notes, *notes),
    )
