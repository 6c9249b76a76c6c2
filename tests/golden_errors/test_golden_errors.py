"""Every error of `errors.md` is provoked by its input and compared with its text there, word for word.

The file is for reading: a person who has not seen the code should know from each text what to do. After a
change of words it is written anew by `python tests/golden_errors/test_golden_errors.py`, and read.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "helpers")]

from wrong_results import RESULTS
from wrong_tables import FOLDERS, IMAGES, TABLES
from wrong_weights import WEIGHTS

FILE = Path(__file__).with_name("errors.md")
KINDS: dict[str, dict[str, Callable[[Path], str]]] = {
    "A table of one's own": TABLES,
    "Images": IMAGES,
    "Folders of known layouts": FOLDERS,
    "Weights": WEIGHTS,
    "Results": RESULTS,
}
CASES = [(kind, name) for kind, cases in KINDS.items() for name in cases]
OTHERS = (
    (re.compile(r"readable Parquet file \(.*?\)+;"), "readable Parquet file (...);"),
    (re.compile(r"cannot be read \(.*\), so"), "cannot be read (...), so"),
    (re.compile(r"no valid result \(.*\);"), "no valid result (...);"),
    (re.compile(r"no valid JSON \(.*\)"), "no valid JSON (...)"),
    (re.compile(r"cannot be unpacked \(.*?\)"), "cannot be unpacked (...)"),
    (re.compile(r"cells/[0-9a-f]{16}/"), "cells/ID/"),
)
"""Words of libraries, which change with their versions."""


def said(make: Callable[[Path], str], folder: Path) -> str:
    """The error's text, `DIR` for the folder, without libraries' words."""
    text = make(folder).replace(str(folder), "DIR").replace(f"{folder.parent}/", "ABOVE/")
    for pattern, instead in OTHERS:
        text = pattern.sub(instead, text)
    return text


def golden() -> dict[tuple[str, str], str]:
    """The texts of `errors.md` by kind and name."""
    found = {}
    kind = ""
    for block in re.split(r"^(?=##? )", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        head, _, text = block.partition("\n")
        if head.startswith("## "):
            found[kind, head[3:]] = text.strip().removeprefix("```").removesuffix("```").strip()
        else:
            kind = head[2:]
    return found


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_the_text_is_that_of_the_file(kind: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    assert said(KINDS[kind][name], folder) == golden()[kind, name]


def test_the_file_holds_these_errors_and_no_others() -> None:
    assert set(golden()) == set(CASES)
    assert len(CASES) >= 60
    assert [case for case, text in golden().items() if not text] == []


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_every_text_says_what_was_found_and_how_to_go_on(kind: str, name: str) -> None:
    text = golden()[kind, name]
    assert "found" in text or "cannot be read" in text
    assert ";" in text or "expected" in text
    assert "Traceback" not in text


def write() -> None:
    """Write `errors.md` anew."""
    lines = []
    for kind, cases in KINDS.items():
        lines.append(f"# {kind}\n")
        for name, make in cases.items():
            with tempfile.TemporaryDirectory() as above:
                folder = Path(above) / "in"
                folder.mkdir()
                lines.append(f"## {name}\n\n```\n{said(make, folder)}\n```\n")
    FILE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write()
