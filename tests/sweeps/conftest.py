"""The embedded data of a preset are drawn once for all commands of these tests."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom

WRITE = writing.write


@pytest.fixture(scope="session")
def drawn(common: Path) -> Callable[[Path, Phantom], Path]:
    """A function that puts a phantom into a folder: as a link to one that lies in a common folder."""

    @cache
    def drawn_once(phantom: Phantom) -> Path:
        return WRITE(common / f"embedded-{hashlib.sha256(repr(phantom).encode()).hexdigest()[:8]}", phantom)

    def put(folder: Path, phantom: Phantom) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part in drawn_once(phantom).iterdir():
            if part.is_dir() and not (folder / part.name).exists():
                (folder / part.name).symlink_to(part, target_is_directory=True)
        return folder

    return put


@pytest.fixture(autouse=True)
def _embedded(drawn: Callable[[Path, Phantom], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process find their phantom there already."""

    def write(folder: Path, phantom: Phantom, **options: object) -> Path:
        return WRITE(drawn(folder, phantom), phantom, **options)

    monkeypatch.setattr(writing, "write", write)
