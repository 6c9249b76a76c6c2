"""The layouts that `--dataset` names, one entry each. A reader is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from transfusion.problems import SettingError

if TYPE_CHECKING:
    from transfusion.data.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be read, and what the user says of it.

    Attributes:
        data: the folder or file of `--data`.
        findings: label columns that must be there.
        optional: label columns that are read where they are there.
        views: `frontal` or `all`.
        path_column, patient_column, part_column: columns of a CSV of the user's own.
        distinct_ids: ids of patients that differ in their spelling only are different people.
    """

    data: Path
    findings: tuple[str, ...]
    optional: tuple[str, ...] = ()
    views: str = "frontal"
    path_column: str | None = None
    patient_column: str | None = None
    part_column: str | None = None
    distinct_ids: bool = False


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One layout.

    Attributes:
        name: what the report calls such data; None for the name of the file or folder.
        read: raises `InputError` with everything that is wrong with the data.
        without: option that changes nothing for such data -> what they are, in words.
    """

    name: str | None
    read: Callable[[Request], Dataset]
    without: Mapping[str, str] = field(default_factory=dict)


def read_chexpert(asked: Request) -> Dataset:
    from transfusion.layouts import chexpert

    known = [finding for finding in asked.findings if finding in chexpert.FINDINGS]
    return chexpert.read(asked.data, asked.views, findings=known, distinct_ids=asked.distinct_ids)


def read_nih(asked: Request) -> Dataset:
    from transfusion.layouts import nih

    return nih.read(asked.data, distinct_ids=asked.distinct_ids)


def read_table(asked: Request) -> Dataset:
    """Raises `SettingError` where it is not said which columns hold paths and patients."""
    from transfusion.layouts import csv_rows, csv_table

    image, patient = asked.path_column, asked.patient_column
    if image is None or patient is None:
        given = {"--path-column": image, "--patient-column": patient}
        missing = ", ".join(name for name, value in given.items() if value is None)
        there = ", ".join(map(repr, csv_rows.column_names(asked.data)))
        raise SettingError(
            f"{missing}: found nothing, expected with --dataset table, which of its columns hold the paths "
            f"of the images and the patients: {there}"
        )
    return csv_table.read(
        asked.data,
        path_column=image,
        patient_column=patient,
        part_column=asked.part_column,
        findings=asked.findings,
        optional=asked.optional,
        distinct_ids=asked.distinct_ids,
    )


READERS: dict[str, Reader] = {
    "chexpert": Reader(name="CheXpert", read=read_chexpert),
    "nih": Reader(
        name="ChestX-ray14",
        read=read_nih,
        without={
            "views": "ChestX-ray14, whose images are all frontal",
            "uncertain": "ChestX-ray14, which has no -1",
            "blank": "ChestX-ray14, which has no empty labels",
        },
    ),
    "table": Reader(
        name=None,
        read=read_table,
        without={"views": "a table of your own, whose views are not known"},
    ),
}
"""By the name that `--dataset` takes."""
