"""Every image of a data set decoded once: uint8, gray or RGB, square, in one memory-mapped file per size.

The file `<size>px-<key>.cache` holds the pixels and, last, its key, so that a foreign or cut file is never
used. The key names the bytes of every image: they are read where the cache is built, and other bytes make
another cache. It is built under a lock in `<...>.partial`, with the number of finished images in
`<...>.finished` and what was read of them in `<...>.read`: a build that was killed goes on from there, past
the images that have not changed since. Every process on the machine then shares the pages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfusion.cgroups import cores_of_process
from transfusion.data import content, file_bytes
from transfusion.data.dataset import Dataset
from transfusion.data.survey import constant_images
from transfusion.files import allocate, locked
from transfusion.images.decoding import ImageError, constant_pixels, decode
from transfusion.images.inspection import said_once
from transfusion.images.out_of_range import summarised
from transfusion.images.reading import Reading
from transfusion.problems import InputError, Problem

VERSION = 3
"""Raised whenever the same image would give other pixels."""

KEY_BYTES = 64
"""Of the key behind the pixels."""

RECORD_SECONDS = 1.0
"""Between two records of what is finished; a build that is killed loses little more than this."""

SLICE = 32
"""Images that a thread takes at a time."""

READ = np.dtype(
    [
        ("digest", np.uint8, file_bytes.DIGEST_BYTES),
        ("stamp", np.int64, len(file_bytes.STAMP)),
        ("pixels", np.uint8, file_bytes.DIGEST_BYTES),
    ]
)
"""A row of `<...>.read`: what `file_bytes.read_file` gave for an image, and the digest of its pixels."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Target:
    """What a build writes.

    Attributes:
        partial: the file of the pixels so far; others lie beside it.
        shape: [N, size, size] or [N, 3, size, size].
        workers: threads.
    """

    partial: Path
    shape: tuple[int, ...]
    workers: int

    @property
    def finished(self) -> Path:
        return self.partial.with_suffix(".finished")

    @property
    def read(self) -> Path:
        return self.partial.with_suffix(".read")

    def remove(self) -> None:
        for file in (self.finished, self.read, self.partial):
            file.unlink(missing_ok=True)


def load(
    dataset: Dataset,
    size: int,
    directory: Path,
    progress: Progress | None = None,
    workers: int | None = None,
    channels: int = 1,
) -> np.ndarray:
    """The images of `dataset`, read-only uint8 [N, size, size], or [N, 3, size, size], in its frame's order.

    Built by the first caller; others, in any process on any node that shares `directory`, wait for it.

    Args:
        size: pixels; the short side is resized to it with antialiasing, then the centre is cut out.
        directory: where caches lie; made if need be.
        progress: called with (images done, images in all) while reading.
        workers: decoding threads; one per available core when None.
        channels: 1 for gray, 3 for RGB.

    Raises:
        ImageError: naming every image that is missing or cannot be decoded.
        InputError: too little disk space, the cache file is not the one that belongs here, or the images are
            not those that `dataset` was named by.
    """
    ready = prepare(dataset, size, directory, progress, workers, channels)
    if dataset.content is not None and ready.fingerprint != dataset.fingerprint:
        raise InputError(_other_images(dataset, ready))
    shape = (len(dataset.frame), *_image_shape(size, channels))
    file = cache_file(ready, size, directory, channels)
    _verify(file, cache_key(ready, size, channels), int(np.prod(shape)))
    return np.memmap(file, dtype=np.uint8, mode="r", shape=shape)


def prepare(
    dataset: Dataset,
    size: int,
    directory: Path,
    progress: Progress | None = None,
    workers: int | None = None,
    channels: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Dataset:
    """Builds the cache, if it is not there; takes and raises what `load` does.

    Args:
        say: called with what a user should know of the images that were read.

    Returns:
        The data set named by the bytes of its images, all of which are certain. Where they are not those that
        `dataset` was named by, it has another fingerprint, and the cache is that of the bytes read.
    """
    if dataset.content is None:
        dataset = content.recalled(dataset, [directory], sample=False)
    ready = _at_hand(dataset, size, directory, progress, channels)
    if ready is not None:
        return ready
    directory.mkdir(parents=True, exist_ok=True)
    # Named by the images alone: their bytes are not known yet. What was read of them says what still holds.
    partial = directory / f"{size}px-{_key(dataset, b'', size, channels)[:16]}.partial"
    with locked(partial.with_suffix(".lock")):
        others = content.recalled(dataset, [directory], sample=False)  # what was built meanwhile
        if others.content is not None and others.content.certain.all():
            dataset = content.as_read(dataset, others.content.digests, others.content.stamps)
        ready = _at_hand(dataset, size, directory, progress, channels)
        if ready is not None:
            return ready
        shape = (len(dataset.frame), *_image_shape(size, channels))
        target = _Target(partial, shape, workers or cores_of_process())
        ready = _build(dataset, target, progress, say)
        file, key = cache_file(ready, size, directory, channels), cache_key(ready, size, channels)
        with partial.open("r+b") as stream:
            _write_all(stream.fileno(), memoryview(key.encode()), int(np.prod(shape)))
            os.fsync(stream.fileno())
        content.remember(ready, directory)
        partial.replace(file)
        target.remove()
    return ready


def cache_file(dataset: Dataset, size: int, directory: Path, channels: int = 1) -> Path:
    """Where the cache of `dataset` lies."""
    return directory / f"{size}px-{cache_key(dataset, size, channels)[:16]}.cache"


def cache_key(dataset: Dataset, size: int, channels: int = 1) -> str:
    """64 hexadecimal digits of what decides the pixels: images, their order and bytes, shape, version.

    Labels and parts are not among it: data whose labels were mended has the same cache.
    """
    known = dataset.content.digests.tobytes() if dataset.content else dataset.fingerprint.encode()
    return _key(dataset, known, size, channels)


def _key(dataset: Dataset, known: bytes, size: int, channels: int) -> str:
    kind = "" if channels == 1 else f"x{channels}"
    digest = hashlib.sha256(
        f"{VERSION}/{size}{kind}/{dataset.reading.token()}/{len(dataset.frame)}\n".encode()
    )
    digest.update("\n".join(dataset.frame["image"].tolist()).encode())
    digest.update(known)
    return digest.hexdigest()


def _image_shape(size: int, channels: int) -> tuple[int, ...]:
    return (size, size) if channels == 1 else (channels, size, size)


def _at_hand(
    dataset: Dataset, size: int, directory: Path, progress: Progress | None, channels: int
) -> Dataset | None:
    """`dataset` with the bytes of all images certain, if the cache of those bytes is there.

    Only where a cache is there for what is assumed of the bytes are they read here.
    """
    if not cache_file(dataset, size, directory, channels).exists():
        return None
    ready = content.settled(dataset, progress)
    return ready if cache_file(ready, size, directory, channels).exists() else None


def _other_images(planned: Dataset, found: Dataset) -> list[Problem]:
    """A problem for every image whose bytes are not those planned."""
    assert planned.content is not None
    assert found.content is not None
    differ = (planned.content.digests != found.content.digests).any(axis=1)
    expected, advice = "those that the plan was made for", "use the same images on every node, or plan again"
    return [
        Problem(str(planned.root / planned.frame["image"].iat[row]), "other bytes", expected, advice)
        for row in np.flatnonzero(differ)
    ]


def _build(
    dataset: Dataset, target: _Target, progress: Progress | None, say: Callable[[str], None]
) -> Dataset:
    """Reads and decodes every image into `target.partial`; the data set named by the bytes read."""
    files = [dataset.root / image for image in dataset.frame["image"]]
    shape = target.shape
    size, channels = shape[-1], 1 if len(shape) == 3 else shape[1]
    image_bytes = int(np.prod(shape[1:]))
    finished = _resumed(dataset, target)
    constant = np.zeros(len(files), dtype=bool)
    counted = bool(dataset.findings)  # an upstream task may be about plain colours
    if finished and counted:
        earlier = np.memmap(target.partial, dtype=np.uint8, mode="r", shape=(finished, *shape[1:]))
        constant[:finished] = constant_pixels(earlier)

    def fill(rows: range) -> tuple[int, tuple[Problem, ...]]:
        """Reads, decodes and writes `rows`; returns how many they are, and what is wrong with them."""
        known = np.zeros(len(rows), dtype=READ)
        try:
            for place, row in enumerate(rows):
                one = file_bytes.read_file(files[row])
                known["digest"][place], known["stamp"][place] = np.frombuffer(one.digest, np.uint8), one.stamp
            pixels = decode(files[rows.start : rows.stop], size, channels, dataset.reading)
        except ImageError as error:
            return len(rows), error.problems
        except OSError:
            return len(rows), _unreadable(files[rows.start : rows.stop], size, channels, dataset.reading)
        known["pixels"] = _digests(pixels)
        constant[rows.start : rows.stop] = counted and constant_pixels(pixels)
        _write_all(stream.fileno(), pixels.data.cast("B"), rows.start * image_bytes)
        _write_all(reads.fileno(), known.data.cast("B"), rows.start * READ.itemsize)
        return len(rows), _changed_meanwhile(files[rows.start : rows.stop], known)

    with (
        target.partial.open("r+b") as stream,
        target.read.open("r+b" if finished else "w+b") as reads,
        ThreadPoolExecutor(max_workers=target.workers) as pool,
        ThreadPoolExecutor(max_workers=1) as keeper,
    ):
        kept, recorded = [], time.monotonic()
        problems: list[Problem] = []
        starts = range(finished, len(files), SLICE)
        for count, wrong in pool.map(fill, [range(s, min(s + SLICE, len(files))) for s in starts]):
            finished += count
            problems += wrong
            if progress is not None:
                progress(finished, len(files))
            if time.monotonic() >= recorded + RECORD_SECONDS and not problems:
                kept.append(
                    keeper.submit(_keep, (reads.fileno(), stream.fileno()), target.finished, finished)
                )
                recorded = time.monotonic()
        for future in kept:
            future.result()
    empty, told = constant_images([str(files[row]) for row in np.flatnonzero(constant)], len(files))
    if problems or empty:
        target.remove()
        raise ImageError(said_once(summarised([*problems, *empty])))
    for note in told:
        say(note)
    known = np.fromfile(target.read, dtype=READ)
    return content.as_read(dataset, known["digest"], known["stamp"], known["pixels"])


def _digests(images: np.ndarray) -> np.ndarray:
    """uint8 [N, 16] of uint8 [N, ...]; zeros of an image of one value, which shows nothing."""
    found = np.zeros((len(images), file_bytes.DIGEST_BYTES), dtype=np.uint8)
    for place in np.flatnonzero(~constant_pixels(images)):
        digest = hashlib.blake2b(images[place].data, digest_size=file_bytes.DIGEST_BYTES)
        found[place] = np.frombuffer(digest.digest(), np.uint8)
    return found


def _resumed(dataset: Dataset, target: _Target) -> int:
    """How many images an earlier build has finished that have not changed since; takes the space for all."""
    needed = int(np.prod(target.shape)) + KEY_BYTES
    whole = target.partial.exists() and target.partial.stat().st_size == needed
    finished = 0
    if whole and target.finished.exists() and target.read.exists():
        finished = int(target.finished.read_text())
        known = np.fromfile(target.read, dtype=READ)[:finished]["stamp"]
        same = (known == content.stamps_of(dataset)[: len(known)]).all(axis=1)
        finished = len(known) if same.all() else int(np.argmin(same))
        _record(target.finished, finished)
    _reserve(target.partial, needed)
    return finished


def _unreadable(files: Sequence[Path], size: int, channels: int, reading: Reading) -> tuple[Problem, ...]:
    """What is wrong with images of which one at least cannot be read."""
    try:
        decode(files, size, channels, reading)
    except ImageError as error:
        return error.problems
    return tuple(Problem(str(file), *CHANGED) for file in files[:1])


def _changed_meanwhile(files: Sequence[Path], known: np.ndarray) -> tuple[Problem, ...]:
    """A problem for every image that was not the same before and after it was decoded."""
    return tuple(
        Problem(str(file), *CHANGED)
        for file, stamp in zip(files, known["stamp"], strict=True)
        if not file_bytes.unchanged(file, stamp)
    )


CHANGED = ("a file that changes while it is read", "images that stay", "run again once all are there")


def _write_all(file: int, data: memoryview, offset: int) -> None:
    """Writes `data` at `offset`; cheaper than a memory map, which costs a page fault for every page."""
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def _keep(streams: Sequence[int], record: Path, finished: int) -> None:
    """Writes what is finished so far to disk (file descriptors), and only then that it is."""
    for stream in streams:
        os.fsync(stream)
    _record(record, finished)


def _record(record: Path, finished: int) -> None:
    fresh = record.with_suffix(".finished-new")
    fresh.write_text(str(finished))
    fresh.replace(record)


def _reserve(partial: Path, needed: int) -> None:
    """Takes the space now, so that a full disk is an error here and not a crash while writing."""
    held = partial.stat().st_blocks * 512 if partial.exists() else 0
    free = shutil.disk_usage(partial.parent).free
    if free < needed - held:
        raise InputError(
            [
                Problem(
                    str(partial.parent),
                    f"{free / 1e9:.2f} GB free",
                    f"{(needed - held) / 1e9:.2f} GB for the image cache",
                    "free the space, name another folder (--out), or use a smaller image size",
                )
            ]
        )
    partial.touch()
    with partial.open("r+b") as stream:
        allocate(stream.fileno(), needed)


def _verify(file: Path, key: str, pixels: int) -> None:
    with file.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        size = stream.tell()
        stream.seek(max(size - len(key), 0))
        found = stream.read()
    if size != pixels + len(key) or found != key.encode():
        raise InputError(
            [
                Problem(
                    str(file),
                    f"{size} bytes ending in {found[:16]!r}",
                    f"{pixels + len(key)} bytes ending in {key[:16]!r}",
                    "delete the file: it is the cache of other data, or was cut off",
                )
            ]
        )
