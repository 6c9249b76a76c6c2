"""OUT in an object store (`s3://bucket/prefix`), through pyarrow's file systems.

The driver works on a local mirror of OUT. A trial, on whatever node, fetches what it needs of its cell and of
its upstream, and sends back what it wrote: the result last, so that a cell is done there only when whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow import fs

from transfusion.files import atomic, locked, unwatched
from transfusion.problems import SettingError
from transfusion.records.attempts import ATTEMPTS
from transfusion.records.results import CHECKPOINT, RESULT, WEIGHTS

LARGE = (CHECKPOINT, WEIGHTS)
"""What a driver has no use for, and does not fetch."""
RECORDS = ("looks.json", "judged.json")
"""What no cell tells: looks that were fixed and taken, and verdicts that were printed."""


@dataclass(frozen=True)
class ObjectStore:
    """A prefix in an object store; only its address travels to the nodes.

    Attributes:
        uri: `s3://bucket/prefix`, region or endpoint as query where need be. Never with a key in it: those
            come from the environment, a profile, or the machine's role, as for every tool of the store.
    """

    uri: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.uri)
        if parts.username or parts.password:
            raise SettingError(
                f"--out {parts.scheme}://...: found a key in the address, expected none; it would be kept in "
                "logs and records. Put it into the environment (AWS_ACCESS_KEY_ID, ...) or a profile"
            )

    def open(self) -> tuple[fs.FileSystem, str]:
        """The file system and the path in it."""
        return fs.FileSystem.from_uri(self.uri)

    def mirror(self) -> Path:
        """Where this machine keeps the driver's copy."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "transfusion-sweep" / hashlib.sha256(self.uri.encode()).hexdigest()[:16]

    def names(self, under: str = "") -> dict[str, int]:
        """Relative name -> size of every object under a folder."""
        system, base = self.open()
        selector = fs.FileSelector(f"{base}/{under}".rstrip("/"), recursive=True, allow_not_found=True)
        return {
            info.path.removeprefix(f"{base}/"): info.size
            for info in system.get_file_info(selector)
            if info.type == fs.FileType.File
        }

    def fetch(self, name: str, file: Path) -> bool:
        """Copy one object to `file`; False if there is none."""
        system, base = self.open()
        try:
            with (
                system.open_input_stream(f"{base}/{name}") as source,
                atomic(file) as temporary,
                temporary.open("wb") as target,
            ):
                shutil.copyfileobj(source, target, 2**20)
        except FileNotFoundError:
            return False
        return True

    def content(self, name: str) -> bytes | None:
        """What is in a small object; None if there is none."""
        system, base = self.open()
        try:
            with system.open_input_stream(f"{base}/{name}") as source:
                return source.read()
        except FileNotFoundError:
            return None

    def send(self, file: Path, name: str) -> None:
        """Copy one file into the store; an object appears whole or not at all."""
        system, base = self.open()
        with file.open("rb") as source, system.open_output_stream(f"{base}/{name}") as target:
            shutil.copyfileobj(source, target, 2**20)

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects."""
        system, base = self.open()
        for name in names:
            system.delete_file(f"{base}/{name}")

    def reopen(self, cell_ids: Iterable[str]) -> None:
        """Take results away, so that their cells are trained again."""
        for one in cell_ids:
            self.remove(name for name in self.names(f"cells/{one}") if name.endswith(RESULT))

    def remove_cells(self, cell_ids: Iterable[str]) -> None:
        """Delete everything of some cells."""
        for one in cell_ids:
            self.remove(self.names(f"cells/{one}"))

    def share_cache(self, cache: Path) -> None:
        """Send the decoded images, for nodes that have neither them nor the data."""
        there = self.names("cache")
        for file in cache.glob("*.cache"):
            if there.get(f"cache/{file.name}") != file.stat().st_size:
                self.send(file, f"cache/{file.name}")

    def fetch_cache(self, cache: Path) -> None:
        """Fetch the decoded images that this node does not have, once for all of its trials."""
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / "fetch.lock"):
            for name in self.names("cache"):
                if not (cache / Path(name).name).exists():
                    self.fetch(name, cache / Path(name).name)


def pull(store: ObjectStore, mirror: Path) -> None:
    """Make cells and records of `mirror` equal to the store, weights and checkpoints left out."""
    there = {name: size for name, size in store.names("cells").items() if not name.endswith(LARGE)}
    for file in (mirror / "cells").rglob("*"):
        if file.is_file() and str(file.relative_to(mirror)) not in there:
            file.unlink()
    for name, size in there.items():
        file = mirror / name
        if not file.exists() or file.stat().st_size != size or name.endswith((RESULT, ATTEMPTS)):
            store.fetch(name, file)
    for name in RECORDS:
        if not store.fetch(name, mirror / name):
            (mirror / name).unlink(missing_ok=True)
    for name in store.names("content"):
        if not (mirror / name).exists():  # named by what is in it
            store.fetch(name, mirror / name)


def push(store: ObjectStore, mirror: Path) -> None:
    """Send what the driver wrote: plan, records, evidence, figures and report."""
    single = ("plan.parquet", "sweep.json", "report.html", *RECORDS)
    for file in sorted(mirror.rglob("*")):
        name = str(file.relative_to(mirror))
        if file.is_file() and (name in single or name.startswith(("evidence/", "figures/"))):
            store.send(file, name)


@contextmanager
def scratch(
    store: ObjectStore,
    cell_id: str,
    upstream: str | None,
    cache: Path,
    look: Callable[[], None] = unwatched,
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder for one attempt at a cell on any node: yields OUT/cells there, and what sends its files.

    The result, once there is one, is sent last, and with it the checkpoint goes.

    Args:
        look: at the lease on the store, before anything is sent.
    """
    store.fetch_cache(cache)
    with tempfile.TemporaryDirectory(prefix="transfusion-") as place:
        cells = Path(place) / "cells"
        folder = cells / cell_id
        for name in (RESULT, CHECKPOINT, ATTEMPTS):
            store.fetch(f"cells/{cell_id}/{name}", folder / name)
        if upstream:
            store.fetch(f"cells/{upstream}/{WEIGHTS}", cells / upstream / WEIGHTS)

        def send() -> None:
            files = [file for file in folder.glob("[!.]*") if file.name != RESULT]
            for file in files:
                look()
                store.send(file, f"cells/{cell_id}/{file.name}")
            if (folder / RESULT).exists():
                look()
                store.send(folder / RESULT, f"cells/{cell_id}/{RESULT}")
                stale = f"cells/{cell_id}/{CHECKPOINT}"
                if not (folder / CHECKPOINT).exists() and stale in store.names(f"cells/{cell_id}"):
                    store.remove([stale])

        yield cells, send
