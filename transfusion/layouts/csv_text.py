"""The text of a table file: compression, encoding and separator, where only one reading is possible."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from transfusion.images.surroundings import entries, listed
from transfusion.problems import InputError, Problem

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""What may stand between fields, and what a message calls it."""

SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>.)"?[,;\t| ]*(?:\r\n|\r|\n)', re.IGNORECASE)
"""The first line with which spreadsheet programs name the separator."""

BEGINNING = 2**16
"""Characters in which a header ends."""

TEXT = "comma-separated values in UTF-8 with a header"

ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; those of UTF-32 come first, since they begin as those of UTF-16."""

OTHER_FORMATS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as CSV"),
    (b"PAR1", "a Parquet file", "write it as CSV: pandas.read_parquet(FILE).to_csv(NEW, index=False)"),
    (b"[{", "JSON", "write it as CSV: pandas.read_json(FILE).to_csv(NEW, index=False)"),
    (b'{"', "JSON", "write it as CSV: pandas.read_json(FILE).to_csv(NEW, index=False)"),
    (b"%PDF", "a PDF document", "write it as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself (git lfs pull)"),
    (b"<", "a web page or XML", "fetch the file again: this is what a server sent instead"),
)
"""First bytes of what is often named by mistake, what it is, and what to do."""


def read_text(path: Path) -> str:
    """The text of the file (plain, gzip, bz2, xz, or a ZIP archive of one CSV).

    UTF-8 or what a byte order mark says; UTF-16 without one where every character of the beginning is ASCII.
    A byte that is no UTF-8 becomes a lone surrogate (`errors="surrogateescape"`), to be refused in its row.

    Raises:
        InputError: no such file, a folder, unreadable, empty, or no text.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise _error(
                path, "a pipe or a device", TEXT, "write it to a file first: it is read more than once"
            )
        data = _unpacked(path.read_bytes())
    except FileNotFoundError:
        raise _error(path, *_absent(path)) from None
    except PermissionError:
        raise _error(
            path, "no permission to read it", "a readable file", "change its permissions (chmod)"
        ) from None
    except IsADirectoryError:
        inside = sorted(file.name for file in path.iterdir() if file.suffix.lower() in (".csv", ".tsv"))
        advice = (
            f"name one: {', '.join(str(path / name) for name in inside[:5])}" if inside else "name the file"
        )
        raise _error(path, "a folder", "a CSV of labels", advice) from None
    except (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        found = f"data that cannot be unpacked ({' '.join(str(error).split()) or type(error).__name__})"
        raise _error(path, found, TEXT, "fetch the file again or export it anew") from error
    if not data.strip():
        raise _error(
            path,
            "nothing but blanks" if data else "an empty file",
            TEXT,
            "fetch the file again or export it anew",
        )
    if data[:4] == b"PK\x03\x04":
        raise _error(path, *_archive(data))
    for start, found, advice in OTHER_FORMATS:
        if data.lstrip()[: len(start)] == start:
            raise _error(path, found, TEXT, advice)
    try:
        return data.decode(_encoding(data), errors="surrogateescape")
    except UnicodeDecodeError as error:
        found = f"{error.encoding} that breaks at byte {error.start}: {error.reason}"
        raise _error(path, found, TEXT, "save the file again, as CSV in UTF-8") from error


def split_header(path: Path, text: str, columns: Sequence[str]) -> tuple[str, int]:
    """The separator of the fields, and how many lines precede the header (0, or 1 where it says `sep=`).

    Args:
        path: named in messages.
        text: the whole file.
        columns: names that the header should hold: the separator is the one that yields most of them.

    Raises:
        InputError: two separators yield all of them, or none yields more than one column.
    """
    named = SEPARATOR_LINE.match(text)
    candidates = list(SEPARATORS) if named is None else [named["separator"], *SEPARATORS]
    body = text[named.end() :] if named is not None else text
    headers = {separator: header_of(body[:BEGINNING], separator) for separator in dict.fromkeys(candidates)}
    found = {separator: len(set(columns) & set(header)) for separator, header in headers.items()}
    most = max(found.values())
    best = [separator for separator in headers if found[separator] == most]
    if most and len(best) > 1 and named is None and most == len(set(columns)) and most > 1:
        names = " and by ".join(SEPARATORS[separator] for separator in best)
        raise _error(path, f"a header that can be read by {names}", "one separator", "quote the names")
    separator = best[0] if most else max(headers, key=lambda each: len(headers[each]))
    if len(columns) > 1 and len(headers[separator]) == 1:
        found_text = f"one column only, {headers[separator][0]!r}"
        expected = "columns separated by commas (or semicolons, tabs, vertical bars)"
        advice = (
            lines_above(text, columns)
            or "export the file anew, with all of its columns and commas between them"
        )
        raise _error(path, found_text, expected, advice)
    return separator, int(named is not None)


def lines_above(text: str, columns: Sequence[str]) -> str:
    """What to do where the header stands below lines of something else; empty where it does not."""
    for number, line in enumerate(text[:BEGINNING].splitlines()[:50]):
        if number and columns and all(name in line for name in columns):
            lines = "line 1" if number == 1 else f"lines 1 {'and' if number == 2 else 'to'} {number}"
            return f"delete {lines}; the header is line {number + 1}"
    return ""


def header_of(text: str, separator: str) -> list[str]:
    """The names of the first record that is not blank, stripped; one name where it cannot be split."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        return next(
            ([name.strip() for name in record] for record in reader if any(map(str.strip, record))), [""]
        )
    except csv.Error:
        return [text[:80].strip()]


def _unpacked(data: bytes) -> bytes:
    """The bytes, unpacked where they are packed."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:3] == b"BZh":
        return bz2.decompress(data)
    if data[:6] == b"\xfd7zXZ\x00":
        return lzma.decompress(data)
    if data[:4] == b"PK\x03\x04" and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [name for name in archive.namelist() if not name.startswith(("__MACOSX/", "."))]
            if len(members) == 1 and members[0].lower().endswith((".csv", ".tsv", ".txt")):
                return archive.read(members[0])
    return data


def _absent(path: Path) -> tuple[str, str, str]:
    """(What lies in the place of a file, what was expected, what to do)."""
    if not path.parent.is_dir():
        return f"no such file, and no folder {path.parent}", "a CSV of labels", "correct the path"
    tables = [name for name in entries(path.parent) if name.lower().endswith((".csv", ".tsv", ".csv.gz"))]
    found = f"no such file, but {listed(tuple(tables))} beside it" if tables else "no such file"
    return found, "a CSV of labels", "correct the path, or fetch the file"


def _archive(data: bytes) -> tuple[str, str, str]:
    """(What it is, what was expected, what to do) of a ZIP archive that is not one table."""
    try:
        names = [name for name in zipfile.ZipFile(io.BytesIO(data)).namelist() if not name.endswith("/")]
    except zipfile.BadZipFile:
        return "an Excel workbook or a ZIP archive, cut off", TEXT, "fetch it again, or save it as CSV"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook", TEXT, "save the sheet as CSV"
    listed = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return f"a ZIP archive of {listed or 'nothing'}", TEXT, "unpack it, and name the table in it"


def _encoding(data: bytes) -> str:
    """By byte order mark, by where the zeros of ASCII in UTF-16 stand, else UTF-8."""
    for mark, encoding in ENCODINGS:
        if data.startswith(mark):
            return encoding
    start = data[:512]
    if len(data) % 2 == 0 and b"\0" in start:
        for encoding, zeros, others in (
            ("utf-16-le", start[1::2], start[::2]),
            ("utf-16-be", start[::2], start[1::2]),
        ):
            if not any(zeros) and 0 not in others:
                return encoding
    return "utf-8"


def _error(path: Path, found: str, expected: str, advice: str) -> InputError:
    return InputError([Problem(str(path), found, expected, advice)])
