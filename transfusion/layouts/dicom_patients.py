"""Whose image a DICOM file is, by its header: for tables without a column of patients."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from transfusion.data.identifiers import Where
from transfusion.images.picture import INSTALL
from transfusion.problems import Problem

PREFIX = "dicom:"
"""Of `--patient-column` where the rest is an element of the header, such as `dicom:PatientID`."""

THREADS = 8


def keyword_of(patient_column: str) -> str | None:
    """The element of the header that the column means; None where it is a column of the table."""
    return patient_column.removeprefix(PREFIX) if patient_column.startswith(PREFIX) else None


def read(root: Path, images: Sequence[str], keyword: str, where: Where) -> tuple[pd.Series, list[Problem]]:
    """The element of every file, as text, empty where it is missing; and what is wrong with them.

    Args:
        root: folder of the images.
        images: paths below it.
        keyword: of DICOM's dictionary, such as PatientID.
        where: names rows by their positions.
    """
    nobody = pd.Series([""] * len(images), dtype=object)
    try:
        import pydicom
        from pydicom.datadict import tag_for_keyword
    except ImportError:
        return nobody, [Problem("--patient-column", f"{PREFIX}{keyword}", "pydicom", INSTALL)]
    if tag_for_keyword(keyword) is None:
        expected, advice = "an element of DICOM's dictionary", f"name one, such as {PREFIX}PatientID"
        return nobody, [Problem("--patient-column", repr(keyword), expected, advice)]

    def read_one(image: str) -> str | Exception:
        try:
            header = pydicom.dcmread(root / image, stop_before_pixels=True, specific_tags=[keyword])
            return str(header.get(keyword) or "").strip()
        except Exception as error:  # a file that is no DICOM, or a broken header, may raise anything
            return error

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        found = list(pool.map(read_one, images))
    problems = []
    if broken := [row for row, one in enumerate(found) if isinstance(one, Exception)]:
        error = found[broken[0]]
        text = f"{images[broken[0]]}, {type(error).__name__}: {' '.join(str(error).split())[:120]}"
        advice = "name DICOM files, or a column of the table (--patient-column)"
        problems.append(Problem(where(broken), text, f"DICOM with {keyword}", advice))
    patients = pd.Series(["" if isinstance(one, Exception) else one for one in found], dtype=object)
    named = patients[patients != ""]
    if len(named) > 1 and len(set(named)) == 1 and not problems:
        text = f"{named.iloc[0]!r} in all {len(named):,} files"
        advice = "these headers were made anonymous: name a column of the table that tells people apart"
        problems.append(Problem(f"--patient-column {PREFIX}{keyword}", text, "different people", advice))
    return patients, problems
