"""Draw the figures of one analysis, and save them as PNG for screens and PDF for print."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from analysis.figures.canvas import Absent, as_written, style, with_note
from analysis.figures.records import RECORDS, Record

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn

PRINT, SCREEN = 300, 200
"""Dots per inch of the files, and of the pictures in the report."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as the report shows it.

    Attributes:
        png: the picture without its note; None where there was nothing to draw.
        caption: what it shows.
        note: n, and what bands and bars are; where nothing was drawn, why.
    """

    record: Record
    png: bytes | None
    caption: str
    note: str


def draw(drawn: Drawn, name: str) -> Figure:
    """One figure with its note.

    Raises:
        ValueError: there is no figure of that name, or nothing to draw in it; the message says why.
    """
    names = [record.name for record in RECORDS]
    if name not in names:
        raise ValueError(f"found figure {name!r}; expected one of {', '.join(names)}")
    with style():
        found = RECORDS[names.index(name)].draw(drawn)
        if isinstance(found, Absent):
            raise ValueError(f"{name}: nothing to draw: {found.why}")
        as_written(found.figure)
        return with_note(found)


def draw_all(drawn: Drawn, folder: Path) -> list[Picture]:
    """Write every figure that can be drawn below `folder`, and remove the files of those that cannot."""
    return [draw_one(drawn, record, folder) for record in RECORDS]


def draw_one(drawn: Drawn, record: Record, folder: Path) -> Picture:
    """Write one figure below `folder`, or remove its files where there is nothing to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    caption = record.caption.format(**drawn.words)
    with style():
        found = record.draw(drawn)
        if isinstance(found, Absent):
            for suffix in (".png", ".pdf"):
                (folder / f"{record.name}{suffix}").unlink(missing_ok=True)
            return Picture(record, None, caption, found.why)
        as_written(found.figure)
        png = io.BytesIO()
        found.figure.savefig(png, format="png", dpi=SCREEN)
        save(with_note(found), folder, record.name)
    return Picture(record, png.getvalue(), caption, found.note)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `name.png` and `name.pdf`, neither ever half written."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is done, once for both forms
    for suffix, options in ((".png", {"dpi": PRINT}), (".pdf", {"metadata": {"CreationDate": None}})):
        part = folder / f".{name}.part{suffix}"
        figure.savefig(part, **options)
        part.replace(folder / f"{name}{suffix}")
