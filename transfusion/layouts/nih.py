"""NIH ChestX-ray14 as the NIH distributes it (Wang et al. 2017, arXiv 1705.02315), read into a `Dataset`.

Findings were mined from reports and stand in one column, separated by `|`; there are no blanks and no -1. All
images are frontal.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from transfusion.data.checks import image_problems
from transfusion.data.dataset import Dataset, content_fingerprint, split_patients
from transfusion.data.identifiers import id_problems, key_of
from transfusion.layouts.csv_rows import Rows, nearest, read_rows
from transfusion.layouts.csv_text import read_text
from transfusion.layouts.image_paths import Located, folded, locate, normalised, path_problems, stem
from transfusion.layouts.recognise import but, contents
from transfusion.problems import InputError, Problem

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
COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
FOLLOW_UP = "Follow-up #"
"""Tells the studies of a patient apart; without it every image is a study of its own."""

NAMED = r"^(?:.*/)?(\d{8})_\d{3}\b"
"""Names of images begin with the number of their patient."""

SHOWN = 4

ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
TEST_LIST = "test_list.txt"
TRAINING_LIST = "train_val_list.txt"

FOLDERS = ("", "images", "images/images", "sample/images", "sample/sample/images")
"""Where images lie, of the set unpacked into one folder and of its published sample."""

ARCHIVES = tuple(f"images_{number:03d}" for number in range(1, 13))
"""The twelve archives, each unpacked to a folder of its own; no other folder is looked into."""


def read(data: Path, *, distinct_ids: bool = False) -> Dataset:
    """Reads the entries in `data`, whose images lie in it, in `images`, or in `images_001/images` and so on.

    Args:
        data: the folder of the entries.
        distinct_ids: ids of patients that differ in their spelling only are different people.

    Returns:
        The images of `test_list.txt` as `official`, the others split by patient into `train`, `selection` and
        `test`. Without that list nothing is `official`. Names on the lists that are not among the entries are
        left out, since sets are often cut down.

    Raises:
        InputError: everything that is wrong with entries and lists and, once something is, with the images.
    """
    entries = _entries_of(data)
    rows = read_rows(entries, COLUMNS, (FOLLOW_UP,))
    names = rows.columns["Image Index"]
    labels, problems = _parse_findings(rows)
    problems += path_problems(names, rows.where, "write the name of the image alone")
    patients = pd.Series(rows.columns["Patient ID"])
    problems += id_problems(patients, partial(rows.where, column="Patient ID"), distinct_ids)
    named = pd.Series(rows.columns["Image Index"], dtype=object).str.extract(NAMED)[0]
    problems += _torn_names(rows, patients, named)
    located, found = _located(data, rows)
    problems += found
    official, found, notes = _official(data, rows, patients)
    problems += [*found, *located.problems]
    studies = rows.columns.get(FOLLOW_UP) or map(str, range(len(rows)))
    frame = pd.DataFrame(
        {
            "image": located.images,
            "patient": patients,
            "study": patients + "/" + pd.Series(list(studies)),
            "view": "frontal",
            "part": np.where(official, "official", split_patients(patients)),
            **labels,
        }
    )
    if problems:
        raise InputError([*problems, *image_problems(data, located.sought)])
    content = [file.read_bytes() for file in (entries, data / TEST_LIST) if file.exists()]
    fingerprint = content_fingerprint(data, frame["image"], content)
    notes = [*rows.notes, *_other_numbers(rows, patients, named), *notes, *located.notes]
    return Dataset(root=data, frame=frame, findings=FINDINGS, fingerprint=fingerprint, notes=tuple(notes))


def _entries_of(data: Path) -> Path:
    """The CSV of the entries.

    Raises:
        InputError: there is none, or there are two that differ.
    """
    found = [data / name for name in ENTRIES if (data / name).exists()]
    advice = "name the folder that ChestX-ray14 was unpacked to (--data)"
    if not found:
        text = "no such folder"
        if data.is_file():
            text, advice = "a file", f"{advice}, or say that it is a table of your own (--dataset table)"
        elif data.is_dir():
            there, instead = contents(data, "nih")
            text, advice = but("no list of entries", there), instead or advice
        raise InputError([Problem(str(data), text, f"{' or '.join(ENTRIES)} in it", advice)])
    if len({file.read_bytes() for file in found}) > 1:
        text = f"{' and '.join(file.name for file in found)}, which differ"
        raise InputError([Problem(str(data), text, "one list of entries", "move the other one elsewhere")])
    return found[0]


def _parse_findings(rows: Rows) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """float32 columns in {1, 0}, and a problem for every spelling with no finding or one that is unknown."""
    present = {finding: np.zeros(len(rows), dtype=np.float32) for finding in FINDINGS}
    codes, combinations = pd.factorize(pd.Series(rows.columns["Finding Labels"]))
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(combinations) + 1))
    problems = []
    for code, combination in enumerate(combinations):
        members = order[starts[code] : starts[code + 1]]
        findings = [finding.strip() for finding in combination.split("|")]
        if unknown := [finding for finding in findings if finding not in present]:
            expected = f"findings among {', '.join(FINDINGS)}, separated by |"
            found = (
                repr(combination)
                if len(findings) == 1
                else f"{combination!r} (unknown: {', '.join(unknown)})"
            )
            at = rows.where(members, "Finding Labels")
            near = [close for name in unknown if (close := nearest(name, FINDINGS))]
            advice = f"correct the field (is it {near[0]!r}?)" if near else "correct the field"
            problems.append(Problem(at, found, expected, advice))
        elif "No Finding" in findings and len(findings) > 1:
            at = rows.where(members, "Finding Labels")
            expected = "'No Finding' alone, or findings"
            problems.append(Problem(at, repr(combination), expected, "correct the field"))
        for finding in findings:
            if finding in present:
                present[finding][members] = 1
    return present, problems


def _official(data: Path, rows: Rows, patients: pd.Series) -> tuple[np.ndarray, list[Problem], list[str]]:
    """Which rows are on the test list, what is wrong with the two lists, and what was left out of them."""
    names = pd.Series(
        [PurePosixPath(normalised(name)).name for name in rows.columns["Image Index"]], dtype=object
    )
    known, problems, notes = set(names), [], []
    alike: dict[str, list[str]] = {}
    for name in known:
        alike.setdefault(folded(stem(name)), []).append(name)
    listed: dict[str, set[str]] = {TEST_LIST: set(), TRAINING_LIST: set()}
    for list_name in listed:
        file = data / list_name
        if not file.exists():
            continue
        lines = [
            _entry(PurePosixPath(normalised(line.strip())).name, known, alike)
            for line in read_text(file).splitlines()
            if line.strip()
        ]
        listed[list_name] = set(lines)
        if strangers := listed[list_name] - known:
            first = next(line for line in lines if line in strangers)
            of = f"{len(strangers)} of the {len(listed[list_name])} names in {list_name}"
            notes.append(f"{of} are not among the entries and are left out ({first} is the first)")
            if strangers == listed[list_name]:
                found = f"only images that {rows.path.name} does not list, {first} first"
                expected = f"images of {rows.path.name}"
                advice = "download both files of the same release, or delete this one"
                problems.append(Problem(str(file), found, expected, advice))
    both = names.isin(listed[TEST_LIST] & listed[TRAINING_LIST]).to_numpy()
    if both.any():
        expected, advice = "each image on one list", f"remove it from {TEST_LIST} or from {TRAINING_LIST}"
        found = f"{names[both.argmax()]} on both lists"
        problems.append(Problem(rows.where(np.flatnonzero(both)), found, expected, advice))
    official = names.isin(listed[TEST_LIST]).to_numpy()
    unlisted = ~official & ~names.isin(listed[TRAINING_LIST]).to_numpy()
    if listed[TRAINING_LIST] and unlisted.any():
        first = names[unlisted.argmax()]
        notes.append(f"{unlisted.sum()} images are on neither list and are trained on ({first} is the first)")
    shared = official & patients.isin(set(patients[~official])).to_numpy()
    expected, advice = "a patient on one side of the lists only", "remove the patient from one of them"
    for patient, members in patients[shared].groupby(patients[shared]).indices.items():
        at = rows.where(np.flatnonzero(shared)[members])
        problems.append(Problem(at, f"patient {patient}, on both sides", expected, advice))
    return official, problems, notes


def _entry(line: str, known: set[str], alike: dict[str, list[str]]) -> str:
    """The entry that a line of a list means: of that name, else the only one but for case and extension."""
    if line in known:
        return line
    fits = alike.get(folded(stem(line)), [])
    return fits[0] if len(fits) == 1 else line


def _torn_names(rows: Rows, patients: pd.Series, named: pd.Series) -> list[Problem]:
    """A problem where images that are named as one patient's belong to several: columns were sorted apart."""
    pairs = pd.DataFrame({"named": named, "patient": patients.map(key_of)}).dropna()
    counts = pairs.groupby("named")["patient"].nunique()
    torn = counts.index[counts > 1]
    if not len(torn):
        return []
    members = np.flatnonzero(named == torn[0])
    ids = list(dict.fromkeys(patients[members]))
    more = f", and so in {len(torn) - 1:,} more such groups" if len(torn) > 1 else ""
    found = f"images {torn[0]}_... of the patients {' and '.join(ids[:SHOWN])}{more}"
    expected, advice = "one patient for images named alike", "were columns sorted apart? Fetch the file again"
    return [Problem(rows.where(members, "Patient ID"), found, expected, advice)]


def _other_numbers(rows: Rows, patients: pd.Series, named: pd.Series) -> list[str]:
    """A sentence on images whose name begins with another number than that of their patient."""
    both = named.notna() & patients.str.fullmatch(r"\d+")
    other = np.flatnonzero(both & (named.str.lstrip("0") != patients.str.lstrip("0")))
    if not len(other):
        return []
    first = other[0]
    return [
        f"{len(other):,} of {len(rows):,} images begin with another number than their patient's, such as "
        f"{rows.columns['Image Index'][first]} of patient {patients[first]}: were columns sorted apart? Then "
        "their labels are those of other images"
    ]


def _located(data: Path, rows: Rows) -> tuple[Located, list[Problem]]:
    """The files, relative to `data`, and images that lie in two folders.

    An image that is nowhere gets the place where it should be.
    """
    folders = _folders(data)
    places: dict[str, list[str]] = {}
    for folder in folders:
        for entry in os.scandir(data / folder):
            places.setdefault(entry.name, []).append(folder)
    texts = rows.columns["Image Index"]
    paths: list[str] = []
    twice: dict[tuple[str, ...], list[int]] = {}
    for position, name in enumerate(map(normalised, texts)):
        found = places.get(name, [])
        if len(found) > 1:
            twice.setdefault(tuple(found), []).append(position)
        folder = found[0] if found else ("" if "/" in name or not name else "images")
        paths.append(f"{folder}/{name}" if folder else name)
    problems = [
        Problem(
            rows.where(positions),
            f"{texts[positions[0]]} in {' and in '.join(repr(folder or '.') for folder in found)}",
            "each image in one folder",
            "remove one of them, or move it elsewhere",
        )
        for found, positions in twice.items()
    ]
    return locate(data, pd.Series(paths), texts, rows.where, also=folders), problems


def _folders(data: Path) -> Sequence[str]:
    """The distributed folders that are there, each once where one is a link to another."""
    named = [*FOLDERS]
    for name in ARCHIVES:
        named += [f"{place}{name}{end}" for place in ("", "images/") for end in ("/images", "")]
    there = {(data / name).resolve(): name for name in reversed(named) if (data / name).is_dir()}
    return list(reversed(there.values()))
