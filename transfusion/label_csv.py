"""Reading a CSV of labels strictly: every finding is a problem with file, row, found, expected and advice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from transfusion.table import DataError, Problem

LABELS = "1, 0, -1 or blank"


def read_strict(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """The CSV (may be gzipped) as it is: only an empty field is a missing value.

    Args:
        path: the file.
        columns: columns that must be there, in any order; others may be there too.

    Raises:
        DataError: no such file, unreadable, not a CSV, columns missing or repeated, no rows.
    """
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)
    except FileNotFoundError:
        raise DataError(
            [Problem(str(path), "no such file", "a CSV of labels", "name the folder that holds it")]
        ) from None
    except PermissionError:
        raise DataError(
            [
                Problem(
                    str(path), "no permission to read it", "a readable file", "change its permissions (chmod)"
                )
            ]
        ) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        raise DataError(
            [
                Problem(
                    str(path),
                    f"{type(error).__name__}: {' '.join(str(error).split())}",
                    "comma-separated values in UTF-8 with a header",
                    "fetch the file again or export it anew",
                )
            ]
        ) from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            [
                Problem(
                    f"{path}, row 1",
                    f"the columns {', '.join(map(str, frame.columns))}",
                    f"a column {name!r}",
                    "correct the header",
                )
                for name in missing
            ]
        )
    if frame.empty:
        raise DataError(
            [
                Problem(
                    f"{path}, row 2", "nothing below the header", "at least one image", "fetch the file again"
                )
            ]
        )
    return frame


def as_text(column: pd.Series) -> pd.Series:
    """A column as text, empty where nothing stands."""
    return column.astype("object").fillna("").astype(str)


def rows_where(path: Path, mask: np.ndarray | pd.Series) -> list[tuple[str, int]]:
    """(`file, row n`, position) of every row in `mask`; row 1 is the header."""
    return [(f"{path}, row {position + 2}", int(position)) for position in np.flatnonzero(np.asarray(mask))]


def parse_labels(
    path: Path, frame: pd.DataFrame, findings: Sequence[str]
) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """float32 columns in {1, 0, -1, NaN}, and a problem for every label that is none of these."""
    labels, problems = {}, []
    for finding in findings:
        raw = frame[finding]
        values = pd.to_numeric(raw, errors="coerce").to_numpy(np.float32)
        bad = raw.notna().to_numpy() & ~np.isin(values, (1.0, 0.0, -1.0))
        problems += [
            Problem(
                f"{where}, column {finding!r}", repr(str(raw.iloc[i])), LABELS, "correct or empty the field"
            )
            for where, i in rows_where(path, bad)
        ]
        labels[finding] = values
    return labels, problems


def path_problems(path: Path, images: pd.Series) -> list[Problem]:
    """Blank and repeated paths, and paths that leave the folder of the images."""
    problems = []
    text = as_text(images)
    blank = (text == "").to_numpy()
    for where, _ in rows_where(path, blank):
        problems.append(Problem(where, "no path", "the path of an image", "fill it in or drop the row"))
    for where, i in rows_where(path, text.duplicated().to_numpy() & ~blank):
        advice = "drop one of the rows"
        problems.append(Problem(where, f"{text.iloc[i]} once more", "every path once", advice))
    suspects = (
        text.str.startswith("/") | text.str.contains("..", regex=False) | text.str.contains("\\", regex=False)
    )
    for where, i in rows_where(path, suspects):
        name = text.iloc[i]
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            expected, advice = "a path inside the data folder, separated by /", "correct the path"
            problems.append(Problem(where, name, expected, advice))
    return problems
