"""What the images of a data set hold: the bytes of every file, read once, remembered with its size and times.

A reader names a data set by its rows and the bytes of a few images. Here the identity becomes that of all
bytes (`Dataset.content`), which neither the folder nor the machine nor any time enters. `recalled` knows it
without reading, as far as a record in a folder fits the files; `settled` reads what is not known.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transfusion.data import file_bytes
from transfusion.data.dataset import Dataset
from transfusion.data.file_bytes import DIGEST_BYTES, STAMP, FileBytes, stamp_of
from transfusion.data.known_bytes import Array, Content
from transfusion.files import atomic
from transfusion.problems import InputError, Problem

Progress = Callable[[int, int], None]

FEW_FILES, FEW_BYTES = 2048, 128 * 2**20
"""While planning, the images that no record is sure of are read if they are no more than this; else some."""

SAMPLE = 256
"""Images that are read of more."""

RECORDS = 8
"""The newest records of a folder; older ones are not looked at."""

THREADS = 16
SLICE = 64


def recalled(dataset: Dataset, folders: Iterable[Path], sample: bool = True) -> Dataset:
    """`dataset` with what is known of its images' bytes from records and the files' sizes and times.

    Args:
        folders: where records may lie; see `remember`.
        sample: read some of the images that no record is sure of.

    Returns:
        The data set with `content`, and the fingerprint that follows from it: final once all is `certain`.
    """
    source = dataset.content.source if dataset.content else dataset.fingerprint
    stamps = stamps_of(dataset)
    digests = _unknown(stamps)
    nothing = np.zeros(len(stamps), dtype=bool)
    content = Content(source, digests, stamps, certain=nothing, assumed=nothing, changed=nothing)
    best, best_score = content, (0, 0)
    images = dataset.frame["image"].tolist()
    for file in _records(folders):
        found = _compared(content, images, file)
        score = (int(found.certain.sum()), int(found.assumed.sum()))
        if score > best_score:
            best, best_score = found, score
        if best.certain.all():
            break
    if sample and not best.certain.all():
        best = _read(dataset, best, _sample(best))
    return with_content(dataset, best)


def settled(dataset: Dataset, progress: Progress | None = None) -> Dataset:
    """`dataset`, from `recalled`, after every image was read whose bytes are not certain.

    Raises:
        InputError: images that cannot be read.
    """
    content = dataset.content or recalled(dataset, (), sample=False).content
    assert content is not None
    if content.certain.all() and dataset.content is not None:
        return dataset
    return with_content(dataset, _read(dataset, content, np.flatnonzero(~content.certain), progress))


def as_read(dataset: Dataset, digests: Array, stamps: Array, pixels: Array | None = None) -> Dataset:
    """`dataset` after all of its images were read: uint8 [N, 16], int64 [N, 3], decoded uint8 [N, 16]."""
    content = dataset.content or recalled(dataset, (), sample=False).content
    assert content is not None
    read = _updated(content, np.arange(len(digests)), digests, stamps)
    return with_content(dataset, read if pixels is None else dataclasses.replace(read, pixels=pixels))


def with_content(dataset: Dataset, content: Content) -> Dataset:
    """`dataset` named by the bytes of its images."""
    digest = hashlib.sha256(f"{content.source}/{len(content.digests)}\n".encode())
    digest.update("\n".join(dataset.frame["image"].tolist()).encode())
    digest.update(content.digests.tobytes())
    return dataclasses.replace(dataset, fingerprint=digest.hexdigest()[:16], content=content)


def remember(dataset: Dataset, folder: Path) -> None:
    """Write what is known of `dataset` into `folder`, for `recalled`; as it is if that is there already.

    Raises:
        ValueError: not all of it is certain.
    """
    content = dataset.content
    if content is None or not content.certain.all():
        raise ValueError("remember: found images that were not read, expected a data set from `settled`")
    file = record_file(dataset, folder)
    columns = {
        "image": pa.array(dataset.frame["image"], pa.string()),
        **{name: pa.array(content.stamps[:, k]) for k, name in enumerate(STAMP)},
        "digest": _as_binary(content.digests),
        **({} if content.pixels is None else {"pixels": _as_binary(content.pixels)}),
    }
    fresh = pa.table(columns)
    if _holds(file, fresh):
        file.touch()  # the newest records are looked at first
        return
    with atomic(file) as temporary:
        pq.write_table(fresh, temporary, compression="zstd")


def _holds(file: Path, fresh: pa.Table) -> bool:
    """Whether this is in the file; a file that is damaged holds nothing, and is written anew."""
    try:
        return bool(pq.read_table(file).select(fresh.column_names).equals(fresh))
    except (pa.ArrowInvalid, KeyError, OSError):
        return False


def record_file(dataset: Dataset, folder: Path) -> Path:
    """Where `remember` writes."""
    return folder / f"content-{dataset.fingerprint}.parquet"


def stamps_of(dataset: Dataset) -> Array:
    """int64 [N, 3] as `STAMP`; -1 where a file is not there."""
    root, images = f"{dataset.root}/", dataset.frame["image"].tolist()

    def look(start: int) -> list[tuple[int, int, int]]:
        return [stamp_of(root + image) for image in images[start : start + SLICE]]

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        found = [stamp for some in pool.map(look, range(0, len(images), SLICE)) for stamp in some]
    return np.array(found, dtype=np.int64).reshape(-1, len(STAMP))


def _unknown(stamps: Array) -> Array:
    """uint8 [N, 16]: what stands for the digest of an image whose size alone is known."""
    digests = np.zeros((len(stamps), DIGEST_BYTES), dtype=np.uint8)
    digests[:, :8] = stamps[:, :1].astype("<i8").view(np.uint8)
    return digests


def _records(folders: Iterable[Path]) -> list[Path]:
    """Files of the newest records, each name once."""
    files: dict[Path, None] = {}
    for folder in folders:
        found = sorted(folder.glob("content-*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        for file in found[::-1][:RECORDS]:
            files[file] = None
    return list(files)


def _compared(content: Content, images: Sequence[str], file: Path) -> Content:
    """`content` with what the record in `file` says of its images."""
    try:
        record = pq.read_table(file)
        names = record["image"].combine_chunks()
        stamps = np.stack([record[name].to_numpy() for name in STAMP], axis=1)
        digests = _from_binary(record["digest"].combine_chunks())
        pixels = _from_binary(record["pixels"].combine_chunks()) if "pixels" in record.column_names else None
    except (pa.ArrowInvalid, KeyError, OSError, ValueError):
        return content  # damaged, it is as if it were not there: the images are read
    wanted = pa.array(images, pa.string())
    if names.equals(wanted):
        rows = np.arange(len(images))
    else:
        place = {name: row for row, name in enumerate(names.to_pylist())}
        rows = np.array([place.get(image, -1) for image in images], dtype=np.int64)
    there = rows >= 0
    alike = there[:, None] & (content.stamps == stamps[rows]) if len(stamps) else there[:, None]
    certain = np.all(alike, axis=1)
    same_size = alike[:, 0]
    return dataclasses.replace(
        content,
        digests=np.where(same_size[:, None], digests[rows], content.digests) if len(stamps) else digests,
        certain=certain,
        assumed=same_size & ~certain,
        changed=there & ~same_size,
        record=file.stem.removeprefix("content-"),
        pixels=None
        if pixels is None or not len(pixels)
        else np.where(same_size[:, None], pixels[rows], np.uint8(0)),
    )


def _sample(content: Content) -> Array:
    """Rows to read while planning: all that are not certain, or some that a record knows if they are many."""
    rows = np.flatnonzero(~content.certain & (content.stamps[:, 0] >= 0))
    if len(rows) <= FEW_FILES and content.stamps[rows, 0].sum() <= FEW_BYTES:
        return rows
    rows = np.flatnonzero(content.assumed)
    few = np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(int)
    within = np.cumsum(content.stamps[rows[few], 0]) <= FEW_BYTES
    return rows[few][within]


def _read(dataset: Dataset, content: Content, rows: Array, progress: Progress | None = None) -> Content:
    """`content` after reading the images in `rows`."""
    files = [dataset.root / dataset.frame["image"].iat[row] for row in rows]
    problems: list[Problem] = []
    found: list[FileBytes] = []

    def read(start: int) -> list[FileBytes | Problem]:
        return [_try(file) for file in files[start : start + SLICE]]

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for some in pool.map(read, range(0, len(files), SLICE)):
            for one in some:
                if isinstance(one, Problem):
                    problems.append(one)
                else:
                    found.append(one)
            if progress is not None:
                progress(len(found) + len(problems), len(files))
    if problems:
        raise InputError(problems)
    digests = np.frombuffer(b"".join(one.digest for one in found), dtype=np.uint8).reshape(-1, DIGEST_BYTES)
    stamps = np.array([one.stamp for one in found], dtype=np.int64).reshape(-1, len(STAMP))
    return _updated(content, rows, digests, stamps)


def _try(file: Path) -> FileBytes | Problem:
    try:
        return file_bytes.read_file(file)
    except OSError as error:
        return Problem(str(file), str(error.strerror), "a readable image", "fetch the file again")


def _updated(content: Content, rows: Array, digests: Array, stamps: Array) -> Content:
    """`content` with what reading `rows` gave."""
    both = content.certain | content.assumed
    differ = (content.digests[rows] != digests).any(axis=1) & both[rows]
    new = {
        name: getattr(content, name).copy() for name in ("digests", "stamps", "certain", "assumed", "changed")
    }
    new["digests"][rows], new["stamps"][rows] = digests, stamps
    new["certain"][rows], new["assumed"][rows] = True, False
    new["changed"][rows] |= differ
    if content.pixels is not None:
        new["pixels"] = content.pixels.copy()
        new["pixels"][rows[differ]] = 0
    return dataclasses.replace(content, **new)


def _as_binary(digests: Array) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(DIGEST_BYTES), len(digests), [None, pa.py_buffer(np.ascontiguousarray(digests))]
    )


def _from_binary(column: pa.Array) -> Array:
    """uint8 [N, 16].

    Raises:
        ValueError: it is no column of digests.
    """
    if column.type != pa.binary(DIGEST_BYTES):
        raise ValueError(f"found {column.type}, expected digests")
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8).reshape(-1, DIGEST_BYTES)
