"""Where the real CSVs lie that a test-only package ships, found without importing the package."""

from __future__ import annotations

import gzip
import importlib.util
from itertools import islice
from pathlib import Path

import pytest


def packaged(name: str) -> Path:
    """The file `name` among torchxrayvision's data; skips the test where the package is not installed."""
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("torchxrayvision is not installed: pip install -e '.[test]'")
    return Path(spec.submodule_search_locations[0]) / "data" / name


def unpacked(name: str, target: Path, lines: int | None = None) -> Path:
    """The packaged file written plain to `target`, the first `lines` of it when given."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(packaged(name), "rb") as packed, target.open("wb") as plain:
        plain.writelines(islice(packed, lines))
    return target
