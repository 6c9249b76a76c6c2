"""Where CheXpert's CSVs and images lie: one folder, or the batches of the full-size set."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from transfusion.layouts.recognise import but, contents
from transfusion.problems import InputError, Problem

FOLDERS = ("CheXpert-v1.0-small", "CheXpert-v1.0")
CSVS = ("train.csv", "valid.csv")
BATCH = re.compile(r"CheXpert-v1\.0 batch \d+\b.*", re.IGNORECASE)
"""`CheXpert-v1.0 batch 1 (validate & csv)` holds the CSVs and `valid`, the others patients of `train`."""


def folder_of(data: Path) -> Path:
    """The folder of the CSVs: `data` itself, one of the distributed names below it, or its batch of CSVs.

    Raises:
        InputError: there is none, or there are several below `data`.
    """
    try:
        if _holds_csvs(data):
            return data
        below = [*(data / name for name in FOLDERS), *_batches_in(data)] if data.is_dir() else []
        found = [folder for folder in below if _holds_csvs(folder)]
        text = f"neither {CSVS[0]} nor {CSVS[1]}" if data.exists() else "no such folder"
    except PermissionError as error:
        text, found = f"no permission to look into {error.filename}", []
    if len(found) == 1:
        return found[0]
    if found:
        names = " and in ".join(repr(folder.name) for folder in found)
        expected = "CSVs in one folder"
        raise InputError([Problem(str(data), f"CSVs in {names}", expected, "name one of them (--data)")])
    expected = f"{CSVS[0]} and {CSVS[1]} in it, in {FOLDERS[0]} or in {FOLDERS[1]}"
    advice = "name the folder that CheXpert was unpacked to (--data)"
    if data.is_file():
        text, advice = "a file", f"{advice}, or say that it is a table of your own (--dataset table)"
    elif data.is_dir() and not text.startswith("no permission"):
        there, instead = contents(data, "chexpert")
        text, advice = but(text, there), instead or advice
    raise InputError([Problem(str(data), text, expected, advice)])


def batches_of(folder: Path) -> list[Path]:
    """The batches that the images of the CSVs in `folder` lie in; none where there is a folder `train`."""
    if BATCH.fullmatch(folder.resolve().name):
        return _batches_in(folder.resolve().parent)
    return [] if (folder / "train").is_dir() else _batches_in(folder)


def in_batches(
    batches: list[Path], images: pd.Series, patients: pd.Series
) -> tuple[pd.Series, dict[tuple[str, ...], list[int]]]:
    """Paths below the folder of the batches, and the rows of images that lie in several, by their places.

    Args:
        batches: folders with `train/patientN`, `valid/patientN`, or patients of `train` right in them.
        images: `train/patientN/...` or `valid/patientN/...`.
        patients: whose they are.
    """
    root = batches[0].parent
    places: dict[tuple[str, str], list[str]] = {}
    for batch in batches:
        for part, folder in (("train", batch), ("train", batch / "train"), ("valid", batch / "valid")):
            if folder.is_dir():
                for entry in os.scandir(folder):
                    places.setdefault((part, entry.name), []).append(str(folder.relative_to(root)))
    placed: list[str] = []
    several: dict[tuple[str, ...], list[int]] = {}
    for position, (image, patient) in enumerate(zip(images, patients, strict=True)):
        start, _, rest = image.partition(f"{patient}/")
        part = "valid" if "valid" in PurePosixPath(start).parts else "train"
        found = places.get((part, patient), [])
        if len(found) > 1:
            there = [place for place in found if (root / place / patient / rest).exists()]
            if len(there) > 1:
                several.setdefault(tuple(there), []).append(position)
            found = there or found
        placed.append(f"{found[0]}/{patient}/{rest}" if found else image)
    return pd.Series(placed), several


def image_root(folder: Path, images: pd.Series, first: str) -> tuple[Path, list[Problem]]:
    """Where a few evenly spaced images lie: beside the CSVs, or in a distributed name below them.

    Args:
        folder: the CSVs' own.
        images: paths without the distributed name.
        first: a path as it stands in the CSV; its distributed name decides between several places.

    Returns:
        The place, and a problem where they lie in several and the CSV does not say in which.
    """
    sample = images.iloc[np.unique(np.linspace(0, len(images) - 1, 16).round().astype(int))]
    candidates = [folder, *(folder / name for name in FOLDERS)]
    held = {root: sum(os.access(root / name, os.F_OK) for name in sample) for root in candidates}
    holding = [root for root in candidates if held[root]]
    if len(holding) < 2:
        return (holding[0] if holding else folder), []
    named = [root for root in holding if first.replace("\\", "/").startswith(f"{root.name}/")]
    if len(named) == 1:
        return named[0], []
    found = f"images in {' and in '.join(repr(str(root)) for root in holding)}"
    return folder, [Problem(str(folder), found, "images in one folder", "move the CSVs into one of them")]


def _holds_csvs(folder: Path) -> bool:
    return any((folder / name).exists() for name in CSVS)


def _batches_in(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if BATCH.fullmatch(entry.name) and entry.is_dir())
