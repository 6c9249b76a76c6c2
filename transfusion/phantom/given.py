"""Rows of a CSV in CheXpert's format, read as strictly as to train on, to be drawn by the phantom."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion.layouts.chexpert import COLUMNS, FINDINGS, parse
from transfusion.layouts.chexpert_folders import FOLDERS
from transfusion.layouts.csv_rows import Rows, read_rows
from transfusion.layouts.image_paths import repeated
from transfusion.phantom.labels import Radiograph
from transfusion.problems import InputError, Problem


def read_given(labels: Path, images: int) -> tuple[str, list[Radiograph]]:
    """The first `images` rows of `labels`: as the text of a CSV with all its columns, and what they say.

    Raises:
        InputError: everything that is wrong with the CSV.
    """
    rows = read_rows(labels, COLUMNS, optional=None)
    parsed = parse(rows)
    ages, wrong = _ages(rows)
    paths = parsed.frame["image"].tolist()
    problems = [*parsed.problems, *wrong]
    problems += repeated(paths, parsed.texts, lambda at: rows.where(parsed.positions[list(at)]))
    if problems:
        raise InputError(problems)
    findings = parsed.frame[list(FINDINGS)].to_numpy(float).tolist()
    sexes, projections = rows.columns["Sex"], rows.columns["AP/PA"]
    drawn = [
        Radiograph(f"{FOLDERS[0]}/{path}", sexes[i], ages[i], view, projections[i], tuple(findings[i]))
        for i, (path, view) in enumerate(zip(paths[:images], parsed.frame["view"], strict=False))
    ]
    fields = zip(*(rows.columns[name][:images] for name in rows.columns), strict=True)
    return as_csv(list(rows.columns), fields), drawn


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV with quotes only where they are needed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _ages(rows: Rows) -> tuple[list[int], list[Problem]]:
    """Whole years, and a problem for every age that is none."""
    codes, spellings = pd.factorize(pd.Series(rows.columns["Age"], dtype=object))
    years = pd.to_numeric(pd.Series(spellings), errors="coerce").to_numpy(float)
    problems = [
        Problem(
            rows.where(np.flatnonzero(codes == code), "Age"),
            repr(spellings[code]),
            "an age in years",
            "correct the field",
        )
        for code in np.flatnonzero(~((years >= 0) & (years <= 150)))
    ]
    return np.nan_to_num(years)[codes].astype(int).tolist(), problems
