"""A table file as columns of stripped text; every row's number of fields is checked against the header.

Nothing is guessed: `007` stays `007`. A row's number is that which a spreadsheet shows: the first is 1, blank
ones count, and a field with line breaks is part of one row.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from transfusion.layouts.csv_text import SEPARATOR_LINE, TEXT, lines_above, read_text, split_header
from transfusion.problems import InputError, Problem

CHUNK = 20_000
"""Records that are held as lists at a time."""

NO_UTF8 = re.compile("[\udc80-\udcff]")
"""What is left of bytes that are no UTF-8."""

SHOWN_ROWS = 5
SHORTEST = 3
"""Letters beyond which a name is known again as a part of a longer one."""

SHEETS = {65_536: "old spreadsheet programs (.xls)", 1_048_576: "spreadsheet programs"}
"""Rows of a sheet, of which what is longer loses its end."""


@dataclass(frozen=True)
class Rows:
    """The records of a table file, blank ones left out.

    Attributes:
        path: the file.
        header: the stripped names of all columns.
        columns: stripped fields of the columns that were asked for, by name; of all, by name, when none was.
        numbers: int64 [records], the number of each row in the file.
        lines: int64 [records], the line on which each begins.
        header_row: number of the header's row.
        notes: what a user should know of the file.
    """

    path: Path
    header: tuple[str, ...]
    columns: dict[str, list[str]]
    numbers: np.ndarray
    lines: np.ndarray
    header_row: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, positions: Sequence[int] | np.ndarray, column: str | None = None) -> str:
        """`FILE, row 7 and 3 more (9, 11, 12), column 'C'`; the line too where it is not the row's number."""
        first, *others = [int(position) for position in positions]
        text = f"{self.path}, row {self._number(first)}"
        if others:
            listed = ", ".join(self._number(position) for position in others[:SHOWN_ROWS])
            text += f" and {len(others)} more ({listed}{', ...' if len(others) > SHOWN_ROWS else ''})"
        return text + ("" if column is None else f", column {column!r}")

    def _number(self, position: int) -> str:
        number, line = int(self.numbers[position]), int(self.lines[position])
        return str(number) if number == line else f"{number} (line {line})"


def read_rows(
    path: Path,
    columns: Sequence[str],
    optional: Sequence[str] | None = (),
    options: Mapping[str, str] | None = None,
    beside: Callable[[Sequence[str]], Sequence[str]] = lambda header: (),
) -> Rows:
    """Reads the file.

    Args:
        path: the file, see `csv_text.read_text`.
        columns: names that must be in the header, in any order; others may be there too.
        optional: names that are read where they are; None for all that are there.
        options: name of a column -> the option of the command that named it.
        beside: from the header to further columns of it, which are read whatever bytes they hold.

    Raises:
        InputError: no text, columns that are missing or named twice, rows that are longer or shorter than the
            header, quotes that do not close, no row at all, bytes that are no UTF-8 in a column that is read.
    """
    text = read_text(path)
    if "\0" in text:
        raise InputError(
            [Problem(str(path), "bytes that are no text", TEXT, "save it again, as CSV in UTF-8")]
        )
    separator, skipped = split_header(path, text, columns)
    if skipped:
        text = SEPARATOR_LINE.sub("", text, count=1)
    header_row, names, reader = _header(path, text, separator, skipped)
    if any(NO_UTF8.search(name) for name in names):
        found = "a header that is not in UTF-8"
        raise InputError(
            [Problem(f"{path}, row {header_row}", found, TEXT, "save it again, as CSV in UTF-8")]
        )
    wanted = list(dict.fromkeys([*columns, *(names if optional is None else optional)]))
    wanted = [name for name in wanted if name in names or name in columns]
    problems = header_problems(path, header_row, names, columns, wanted, options or {})
    if problems and not set(columns) & set(names) and (advice := lines_above(text, columns)):
        problems = [replace(problems[0], advice=advice)]
    if problems:
        raise InputError(problems)
    places = {name: names.index(name) for name in (*wanted, *beside(names))}
    body = _body(path, reader, header_row, len(names), places)
    if not body.numbers:
        found, advice = "nothing below the header", "fetch the file again or export it anew"
        raise InputError([Problem(f"{path}, row {header_row + 1}", found, "at least one image", advice)])
    numbers = np.array(body.numbers, dtype=np.int64)
    lines = (
        _lines(text, separator, skipped)[numbers - 1] if reader.line_num + skipped != body.last else numbers
    )
    rows = Rows(path, tuple(names), body.columns, numbers, lines, header_row, _cut_off(path, body.last))
    problems = shape_problems(rows, np.array(body.lengths), body.surplus)
    if NO_UTF8.search(text):
        problems += text_problems(rows, wanted)
    if problems:
        raise InputError(problems)
    return rows


def column_names(path: Path) -> list[str]:
    """The names in the file's header.

    Raises:
        InputError: no text.
    """
    text = read_text(path)
    separator, skipped = split_header(path, text, ())
    return _header(path, SEPARATOR_LINE.sub("", text, count=1) if skipped else text, separator, skipped)[1]


@dataclass
class _Body:
    """What stands below the header.

    Attributes:
        columns: stripped fields by the name of their column.
        numbers: each row's number in the file.
        lengths: how many fields each row has.
        surplus: whether anything stands in a field beyond the header's last.
        last: number of the file's last row, blank or not.
    """

    columns: dict[str, list[str]]
    numbers: list[int]
    lengths: list[int]
    surplus: bool = False
    last: int = 0

    def add(self, chunk: list[list[str]], width: int, places: dict[str, int], same: dict[str, str]) -> None:
        """Takes what is wanted of some records; equal fields are kept once (`same`)."""
        sizes = [len(record) for record in chunk]
        self.lengths += sizes
        longest = max(*sizes, width)
        if longest > width:
            self.surplus |= any(map(str.strip, chain.from_iterable(record[width:] for record in chunk)))
        if min(sizes) < longest:
            chunk = [record + [""] * (longest - len(record)) for record in chunk]
        turned = list(zip(*chunk, strict=True))
        for name, place in places.items():
            column = turned[place]
            spellings = set(column)
            if len(spellings) > len(column) // 4:
                self.columns[name] += map(str.strip, column)
                continue
            stripped = {
                spelling: same.setdefault(spelling.strip(), spelling.strip()) for spelling in spellings
            }
            self.columns[name] += map(stripped.__getitem__, column)


def _reader(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)


def _header(path: Path, text: str, separator: str, skipped: int) -> tuple[int, list[str], Any]:
    """The number and the stripped names of the first row that is not blank, and the reader behind it."""
    reader = _reader(text, separator)
    try:
        for number, record in enumerate(reader, start=1 + skipped):
            if any(map(str.strip, record)):
                return number, [name.strip() for name in record], reader
    except csv.Error as error:
        found = f"{error}"
        raise InputError(
            [Problem(f"{path}, row {1 + skipped}", found, TEXT, "export the file anew")]
        ) from error
    raise InputError([Problem(str(path), "nothing but blank lines", TEXT, "fetch the file again")])


def _body(path: Path, reader: Any, header_row: int, width: int, places: dict[str, int]) -> _Body:
    """All records below the header, a chunk at a time, so that few of them are lists of text at once."""
    body = _Body({name: [] for name in places}, [], [])
    same: dict[str, str] = {}
    chunk: list[list[str]] = []
    number = header_row
    try:
        for number, record in enumerate(reader, start=header_row + 1):
            if (record and record[0].strip()) or any(map(str.strip, record)):
                chunk.append(record)
                body.numbers.append(number)
                if len(chunk) == CHUNK:
                    body.add(chunk, width, places, same)
                    chunk = []
    except csv.Error as error:
        place, expected = f"{path}, row {number + 1}", "fields whose quotes open and close"
        advice = f"close or delete the quote in row {number + 1}, or export the file anew"
        raise InputError(
            [Problem(place, f"{error} (at line {reader.line_num})", expected, advice)]
        ) from error
    if chunk:
        body.add(chunk, width, places, same)
    body.last = number
    return body


def _cut_off(path: Path, rows: int) -> tuple[str, ...]:
    """A sentence on a file of just as many rows as a sheet of a spreadsheet program can hold."""
    if rows not in SHEETS:
        return ()
    return (
        f"{path.name} has exactly {rows:,} rows, as many as a sheet can hold in {SHEETS[rows]}: was it saved "
        "there, and what lay below lost?",
    )


def _lines(text: str, separator: str, skipped: int) -> np.ndarray:
    """int64: the line on which each row of the file begins, blank rows included."""
    reader, starts = _reader(text, separator), list(range(1, skipped + 1))
    line = 0
    for _ in reader:
        starts.append(line + 1 + skipped)
        line = reader.line_num
    return np.array(starts, dtype=np.int64)


def header_problems(
    path: Path,
    row: int,
    names: Sequence[str],
    columns: Sequence[str],
    wanted: Sequence[str],
    options: Mapping[str, str],
) -> list[Problem]:
    """Columns that are missing, with what comes near, and columns that are read and there twice."""
    place, problems = f"{path}, row {row}", []
    missing = [name for name in dict.fromkeys(columns) if name not in names]
    if missing:
        found = f"the columns {', '.join(map(repr, names[:40]))}{' and more' if len(names) > 40 else ''}"
        expected = ", ".join(f"a column {name!r}" for name in missing)
        near = ", ".join(f"{close!r} for {name!r}" for name in missing if (close := nearest(name, names)))
        meant = [f"{options[name]} {_quoted(close)}" for name in missing
                 if name in options and (close := nearest(name, names))]  # fmt: skip
        named = sorted({options[name] for name in missing if name in options})
        if not near and sum(any(sign.isdigit() for sign in name) for name in names) > len(names) / 2:
            advice = "write a header above the first row, which looks like data"
        elif near:
            advice = f"correct the header (is it {near}?)" + (
                f", or name it: {' '.join(meant)}" if meant else ""
            )
        else:
            advice = "correct the header" + (f", or name other columns ({', '.join(named)})" if named else "")
        problems.append(Problem(place, found, expected, advice))
    counts = Counter(names)
    problems += [
        Problem(place, f"{counts[name]} columns {name!r}", "each name once", "rename or drop all but one")
        for name in wanted
        if counts[name] > 1 and name
    ]
    return problems


def _quoted(name: str) -> str:
    """The name quoted for a shell."""
    return shlex.quote(name)


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The name that was probably meant: spelled alike but for case, spaces and signs, or almost."""
    plain = {_plain(other): other for other in reversed(names) if other}
    close = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.75)
    if not close and len(_plain(name)) > SHORTEST:  # `File Name` for `file`, where no other holds it
        close = [other for other in plain if _plain(name) in other]
    return plain[close[0]] if len(close) == 1 else None


def _plain(name: str) -> str:
    """Letters and digits alone, in small letters."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())


def shape_problems(rows: Rows, lengths: np.ndarray, surplus: bool) -> list[Problem]:
    """Rows with more or fewer fields than the header has names.

    A separator at the end of every row, or of the header alone, is no field where all rows agree.

    Args:
        rows: what was read.
        lengths: fields of each row.
        surplus: whether anything stands in a field beyond the header's last.
    """
    width = len(rows.header)
    named = max((place + 1 for place, name in enumerate(rows.header) if name), default=0)
    values, counts = np.unique(lengths, return_counts=True)
    usual = int(values[counts.argmax()])
    if len(values) == 1 and (usual == width or (usual > width and not surplus) or named <= usual < width):
        return []
    if len(values) == 1:
        advice = (
            "write the table without row names (pandas: index=False; R: row.names = FALSE)"
            if usual == width + 1
            else "export the file anew"
        )
        found = f"{usual} field{'s' if usual != 1 else ''} in every row"
        return [Problem(rows.where([0]), found, f"{width}, as in the header (row {rows.header_row})", advice)]
    expected = usual if usual > width and not surplus else width
    meant = "as in the header" if expected == width else "as in the other rows"
    problems = []
    for length in values[values != expected]:
        short = length < expected
        advice = (
            "complete the row, or fetch the file again"
            if short
            else 'put double quotes around a field that holds a comma itself ("a,b.png"), '
            "or delete the extra field"
        )
        at = rows.where(np.flatnonzero(lengths == length))
        problems.append(
            Problem(at, f"{length} field{'s' if length != 1 else ''}", f"{expected}, {meant}", advice)
        )
    return problems


def text_problems(rows: Rows, columns: Sequence[str]) -> list[Problem]:
    """Fields of these columns that are not UTF-8; others are ignored."""
    problems = []
    for name in columns:
        fields = rows.columns[name]
        wrong = [position for position, field in enumerate(fields) if NO_UTF8.search(field)]
        if wrong:
            found = repr(fields[wrong[0]].encode("utf-8", "surrogateescape"))[1:]
            advice = "save the file again, as CSV in UTF-8"
            problems.append(
                Problem(rows.where(wrong, name), f"{found}, which is not UTF-8", "text in UTF-8", advice)
            )
    return problems
