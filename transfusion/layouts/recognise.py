"""What a folder holds that is not of the layout that was asked for, and which option reads it."""

from __future__ import annotations

from pathlib import Path

from transfusion.images.surroundings import NOTHING, entries, listed

LISTS = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
CSVS = ("train.csv", "valid.csv")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
TABLES = (".csv", ".tsv", ".csv.gz")
NAMES = {"chexpert": "CheXpert", "nih": "ChestX-ray14", "imagenet": "folders of classes"}
DEPTH = 3
"""Folders below the one that was named that are looked into."""


def contents(folder: Path, layout: str) -> tuple[str, str]:
    """(What is there, what to do about it); the second is empty where nothing is recognised.

    Args:
        folder: where nothing of the layout was found.
        layout: `chexpert`, `nih` or `imagenet`.
    """
    names = entries(folder)
    option = "--imagenet" if layout == "imagenet" else "--data"
    if found := _below(folder, layout):
        return f"{NAMES[layout]} in {found!r}", f"name that folder: {option} {folder / found}"
    if packed := [name for name in names if name.lower().endswith(ARCHIVES)]:
        return f"an archive, {packed[0]!r}", "unpack it, and name the folder that it was unpacked to"
    if layout == "imagenet":
        return listed(names), ""
    if layout != "nih" and any(name in names for name in LISTS):
        return "ChestX-ray14", "say so: --dataset nih"
    if layout != "chexpert" and all(name in names for name in CSVS):
        return "CheXpert", "say so: --dataset chexpert"
    tables = [name for name in names if name.lower().endswith(TABLES)]
    if len(tables) == 1:
        return f"the table {tables[0]!r}", (
            f"is it a table of your own: --dataset table --data {folder / tables[0]} "
            "--path-column ... --patient-column ... --finding ..."
        )
    return listed(names), ""


def but(lacks: str, there: str) -> str:
    """What was found in a folder that lacks something: the rest of it, or that it is empty."""
    return "an empty folder" if there == NOTHING else f"{lacks}, but {there}"


def _below(folder: Path, layout: str) -> str:
    """The only folder below that has this layout, relative; empty where there is none or are several."""
    level, found = [folder], []
    for _ in range(DEPTH):
        level = [each / name for each in level for name in entries(each)[:50] if (each / name).is_dir()][:200]
        found = [each for each in level if _has(each, layout)]
        if found:
            return str(found[0].relative_to(folder)) if len(found) == 1 else ""
    return ""


def _has(folder: Path, layout: str) -> bool:
    if layout == "imagenet":
        return folder.name == "train" and sum((folder / name).is_dir() for name in entries(folder)[:3]) > 1
    wanted = CSVS if layout == "chexpert" else LISTS
    return any((folder / name).is_file() for name in wanted)
