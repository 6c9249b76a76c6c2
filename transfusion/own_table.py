"""A user's own data: one CSV with a row for each image, and columns that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion.checks import image_problems
from transfusion.label_csv import as_text, parse_labels, path_problems, read_strict, rows_where
from transfusion.splits import given_parts
from transfusion.table import DataError, Problem, Split, Table, content_fingerprint, split_patients


def read(
    csv: Path,
    *,
    path_column: str,
    patient_column: str,
    findings: Sequence[str],
    part_column: str | None = None,
) -> Table:
    """Reads `csv`; its paths are relative to its folder.

    Args:
        csv: the file, UTF-8 with a header.
        path_column: path of the image (JPEG or PNG).
        patient_column: whose image it is: all images of a patient stay in one part.
        findings: label columns, 1, 0, -1 (uncertain) or blank.
        part_column: which part each image is in, in words of `splits.WORDS`.

    Returns:
        All rows split by patient into `train`, `selection` and `test`, nothing `official`, or into the parts
        that `part_column` names; every view is `unknown`, and every image is a study of its own.

    Raises:
        DataError: everything that is wrong with the CSV and, once something is, with the images too.
    """
    named = (part_column,) if part_column else ()
    raw = read_strict(csv, (path_column, patient_column, *named, *findings))
    problems = path_problems(csv, raw[path_column])
    for where, _ in rows_where(csv, raw[patient_column].isna()):
        place = f"{where}, column {patient_column!r}"
        problems.append(Problem(place, "no patient", "the id of a patient", "fill it in or drop the row"))
    labels, wrong = parse_labels(csv, raw, findings)
    images = as_text(raw[path_column])
    patients = raw[patient_column].astype(str)
    parts, split = split_patients(patients), Split()
    if part_column:
        parts, found = given_parts(csv, raw[part_column], patients)
        problems, split = [*problems, *found], Split("column", f"the column {part_column!r}")
    frame = pd.DataFrame(
        {
            "image": images,
            "patient": patients,
            "study": patients + "/" + np.arange(len(raw)).astype(str),
            "view": "unknown",
            "part": parts,
            **labels,
        }
    )
    problems += wrong
    if problems:
        raise DataError([*problems, *image_problems(csv.parent, images[images != ""])])
    chosen = "\n".join((path_column, patient_column, *named, *findings)).encode()
    fingerprint = content_fingerprint(csv.parent, images, [csv.read_bytes(), chosen])
    return Table(root=csv.parent, frame=frame, findings=tuple(findings), fingerprint=fingerprint, split=split)
