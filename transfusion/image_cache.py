"""Every image of a table decoded once: uint8, gray or RGB, square, in one memory-mapped file per size.

The file `<size>px-<key>.cache` holds the pixels and, last, its key, so that a foreign or cut file is never
used. It is built under a lock in `<...>.partial`, with the number of finished images in `<...>.finished`: a
build that was killed goes on from there. Every process on the machine then shares the pages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from transfusion.decoding import ImageError, decode
from transfusion.image_files import said_once
from transfusion.locking import locked
from transfusion.out_of_range import summarised
from transfusion.table import DataError, Problem, Table

VERSION = 3
"""Raised whenever the same image would give other pixels."""

RECORD_SECONDS = 1.0
"""Between two records of what is finished; a build that is killed loses little more than this."""

SLICE = 32
"""Images that a thread takes at a time."""

Progress = Callable[[int, int], None]


def load(
    table: Table,
    size: int,
    directory: Path,
    progress: Progress | None = None,
    workers: int | None = None,
    channels: int = 1,
) -> np.ndarray:
    """The images of `table`, read-only uint8 [N, size, size], or [N, 3, size, size], in its frame's order.

    Built by the first caller; others, in any process on any node that shares `directory`, wait for it.

    Args:
        size: pixels; the short side is resized to it with antialiasing, then the centre is cut out.
        directory: where caches lie; made if need be.
        progress: called with (images done, images in all) while building.
        workers: decoding threads; one per available core when None.
        channels: 1 for gray, 3 for RGB.

    Raises:
        ImageError: naming every image that is missing or cannot be decoded.
        DataError: too little disk space, or the cache file is not the one that belongs here.
    """
    shape = (len(table.frame), *_image_shape(size, channels))
    key = cache_key(table, size, channels)
    file = directory / f"{size}px-{key[:16]}.cache"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with locked(file.with_suffix(".lock")):
            if not file.exists():
                _build(table, shape, key, file, progress, workers or len(os.sched_getaffinity(0)))
    _verify(file, key, int(np.prod(shape)))
    return np.memmap(file, dtype=np.uint8, mode="r", shape=shape)


def cache_key(table: Table, size: int, channels: int = 1) -> str:
    """64 hexadecimal digits of what decides the pixels: content, images and their order, shape, version."""
    kind = "" if channels == 1 else f"x{channels}"
    digest = hashlib.sha256(f"{VERSION}/{size}{kind}/{table.fingerprint}/{len(table.frame)}\n".encode())
    digest.update("\n".join(table.frame["image"].tolist()).encode())
    return digest.hexdigest()


def _image_shape(size: int, channels: int) -> tuple[int, ...]:
    return (size, size) if channels == 1 else (channels, size, size)


def _build(
    table: Table, shape: tuple[int, ...], key: str, file: Path, progress: Progress | None, workers: int
) -> None:
    images = table.frame["image"].tolist()
    partial, record = file.with_suffix(".partial"), file.with_suffix(".finished")
    size, channels = shape[-1], 1 if len(shape) == 3 else shape[1]
    needed = int(np.prod(shape)) + len(key)
    resumed = record.exists() and partial.exists() and partial.stat().st_size == needed
    _reserve(partial, needed)
    finished = int(record.read_text()) if resumed else 0
    image_bytes = int(np.prod(shape[1:]))

    def fill(rows: range) -> tuple[int, tuple[Problem, ...]]:
        """Decodes and writes `rows`; returns how many they are, and what is wrong with them."""
        try:
            pixels = decode([table.root / images[row] for row in rows], size, channels, table.reading)
        except ImageError as error:
            return len(rows), error.problems
        _write_all(stream.fileno(), pixels.data.cast("B"), rows.start * image_bytes)
        return len(rows), ()

    with (
        partial.open("r+b") as stream,
        ThreadPoolExecutor(max_workers=workers) as pool,
        ThreadPoolExecutor(max_workers=1) as keeper,
    ):
        kept, recorded = [], time.monotonic()
        problems: list[Problem] = []
        starts = range(finished, len(images), SLICE)
        for count, wrong in pool.map(fill, [range(s, min(s + SLICE, len(images))) for s in starts]):
            finished += count
            problems += wrong
            if progress is not None:
                progress(finished, len(images))
            if time.monotonic() >= recorded + RECORD_SECONDS and not problems:
                kept.append(keeper.submit(_keep, stream.fileno(), record, finished))
                recorded = time.monotonic()
        for future in kept:
            future.result()
        if problems:
            raise ImageError(said_once(summarised(problems)))
        _write_all(stream.fileno(), memoryview(key.encode()), len(images) * image_bytes)
        os.fsync(stream.fileno())
    record.unlink(missing_ok=True)
    partial.replace(file)


def _write_all(file: int, data: memoryview, offset: int) -> None:
    """Writes `data` at `offset`; cheaper than a memory map, which costs a page fault for every page."""
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def _keep(partial: int, record: Path, finished: int) -> None:
    """Writes the pixels so far to disk (file descriptor `partial`), and only then that they are finished."""
    os.fsync(partial)
    fresh = record.with_suffix(".finished-new")
    fresh.write_text(str(finished))
    fresh.replace(record)


def _reserve(partial: Path, needed: int) -> None:
    """Takes the space now, so that a full disk is an error here and not a crash while writing."""
    held = partial.stat().st_blocks * 512 if partial.exists() else 0
    free = shutil.disk_usage(partial.parent).free
    if free < needed - held:
        raise DataError(
            [
                Problem(
                    str(partial.parent),
                    f"{free / 1e9:.2f} GB free",
                    f"{(needed - held) / 1e9:.2f} GB for the image cache",
                    "free the space, name another folder (--out), or use a smaller image size",
                )
            ]
        )
    with partial.open("ab") as stream:
        os.posix_fallocate(stream.fileno(), 0, needed)


def _verify(file: Path, key: str, pixels: int) -> None:
    with file.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        size = stream.tell()
        stream.seek(max(size - len(key), 0))
        found = stream.read()
    if size != pixels + len(key) or found != key.encode():
        raise DataError(
            [
                Problem(
                    str(file),
                    f"{size} bytes ending in {found[:16]!r}",
                    f"{pixels + len(key)} bytes ending in {key[:16]!r}",
                    "delete the file: it is the cache of other data, or was cut off",
                )
            ]
        )
