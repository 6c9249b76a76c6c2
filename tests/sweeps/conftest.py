"""The embedded data of a preset are drawn once for all commands of these tests."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from transfusion.files import locked
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom

WRITE = writing.write


@pytest.fixture(scope="session")
def drawn(common: Path) -> Callable[[Path, Phantom], Path]:
    """A function that puts a phantom into a folder: by links to one that lies in a common folder."""

    def put(folder: Path, phantom: Phantom) -> Path:
        place = common / f"embedded-{hashlib.sha256(repr(phantom).encode()).hexdigest()[:8]}"
        WRITE(place, phantom)
        with locked(place / ".phantom.lock"):
            for part in place.iterdir():
                if part.is_dir() and not (folder / part.name).exists():
                    shutil.copytree(part, folder / part.name, copy_function=os.link)
        return folder

    return put


@pytest.fixture(autouse=True)
def _embedded(drawn: Callable[[Path, Phantom], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process find their phantom there already."""

    def write(folder: Path, phantom: Phantom, **options: object) -> Path:
        return WRITE(drawn(folder, phantom), phantom, **options)

    monkeypatch.setattr(writing, "write", write)
