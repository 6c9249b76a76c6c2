"""A small table of the user's own: patients, labels and tiny images, all told by arguments."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLUMNS = ["--dataset", "table", "--path-column", "file", "--patient-column", "person"]


def write(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = ("Edema",)) -> Path:
    """A CSV with the columns `file`, `person` and `header`; an image of noise for each row.

    Args:
        rows: (patient, value of each column of `header`) for each image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (len(rows), 16, 16), dtype=np.uint8)
    lines: list[Sequence[object]] = [["file", "person", *header]]
    for number, row in enumerate(rows):
        name = f"scan{number}.png"
        Image.fromarray(noise[number]).save(folder / name)
        lines.append([name, *row])
    file = folder / "scans.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return file


def people(count: int, positive: int, seed: int = 0) -> list[list[object]]:
    """One image for each of `count` patients, `positive` of them labelled 1, the others 0."""
    labels = np.zeros(count, dtype=int)
    labels[np.random.default_rng(seed).choice(count, positive, replace=False)] = 1
    return [[f"p{number}", int(label)] for number, label in enumerate(labels)]
