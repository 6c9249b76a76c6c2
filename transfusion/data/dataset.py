"""The interface of all data sets: a table of images with their patients, parts and labels.

Readers (`transfusion.layouts.readers`) build a `Dataset`; the rest of the program sees nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transfusion.data.known_bytes import Content
from transfusion.images.reading import AS_STATED, Reading
from transfusion.problems import InputError, Problem

PARTS = ("train", "selection", "test", "official")
"""`train`, `selection` and `test` share the patients of the training list; `official` is the data set's own
held-out list."""

TEST_SHARE = 0.08
SELECTION_SHARE = 0.02
"""Of the patients of the training list. Together a tenth: more would leave CheXpert fewer than the study's
200,000 training images."""

FINGERPRINT_IMAGES = 32
GOLDEN = (np.sqrt(5) - 1) / 2
"""Multiples of it, taken modulo 1, are spread evenly, however many there are."""


@dataclass(frozen=True)
class Split:
    """How the patients came into their parts.

    Attributes:
        rule: `hash` (a hash of the patient alone), `stratified` (by hash within those with and without the
            finding) or `column` (the user's own table says it).
        why: the rule in words, for the plan and the report.
    """

    rule: str = "hash"
    why: str = (
        f"of the patients {100 * TEST_SHARE:g} % for 'test' and {100 * SELECTION_SHARE:g} % for 'selection', "
        "by a hash of the patient"
    )


@dataclass(frozen=True)
class Dataset:
    """All images of a data set.

    Attributes:
        root: folder that `frame["image"]` is relative to.
        frame: one row for each image (RangeIndex) with the columns `image` (relative path), `patient`,
            `study`, `view` (`frontal`, `lateral`, `unknown`), `part` (one of `PARTS`), and one float32 column
            for each finding: 1, 0, -1 (uncertain) or NaN (blank).
        findings: names of the label columns.
        fingerprint: 16 hexadecimal digits of the content, never of where it lies: moving the folder keeps it.
            A reader makes it of the rows and the bytes of 32 images; with `content` it is that of all bytes.
        split: how `part` came about.
        order: a number for each row, the same for all rows of a patient, whose order `rows` follows instead
            of that of the patients' hashes [len(frame)].
        notes: what the reader took for what, or left out, in the words that the user reads.
        content: what is known of the bytes of every image (`transfusion.data.content`); None from a reader.
        reading: what pixel values of more than 8 bits mean.
    """

    root: Path
    frame: pd.DataFrame
    findings: tuple[str, ...]
    fingerprint: str
    split: Split = Split()
    order: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    content: Content | None = None
    reading: Reading = AS_STATED

    def rows(self, part: str, images: int | None = None, subset: int = 0) -> np.ndarray:
        """Row positions of `part` in nesting order: the first n are a subset of the first m > n.

        Patients come in the order of a salted hash, or of `order`, their images by path, so that every prefix
        holds whole patients, but for the last. Another `subset` has another salt, or starts further on in
        `order` and comes round: every prefix stays as mixed as `order` makes it.

        Args:
            part: one of `PARTS`.
            images: how many; all when None.
            subset: which order, from 0.

        Returns:
            int64 [images].

        Raises:
            InputError: the part has fewer images.
            ValueError: `part` is unknown or `images` negative.
        """
        if part not in PARTS:
            raise ValueError(f"part: found {part!r}, expected one of {', '.join(PARTS)}")
        if images is not None and images < 0:
            raise ValueError(f"images: found {images}, expected at least 0")
        if subset not in self._orders:
            self._orders[subset] = self._nesting_order(subset)
        order = self._orders[subset]
        members = order[(self.frame["part"] == part).to_numpy()[order]]
        if subset and self.order is not None:
            members = self._from_further_on(members, subset)
        if images is not None and images > len(members):
            raise InputError([too_few(part, images, len(members))])
        return members[:images]

    @cached_property
    def _orders(self) -> dict[int, np.ndarray]:
        return {}

    def _from_further_on(self, members: np.ndarray, subset: int) -> np.ndarray:
        """`members` from another patient on, and round; starts of different subsets lie far apart."""
        patients = self.frame["patient"].to_numpy()[members]
        starts = np.flatnonzero(np.concatenate([[True], patients[1:] != patients[:-1]]))
        first = starts[int(len(starts) * (subset * GOLDEN % 1))]
        return np.roll(members, -int(first))

    def _nesting_order(self, subset: int) -> np.ndarray:
        """int64 positions of all rows, patients by `order` or by hash, and their images by path."""
        given, salt = self.order, f"order {subset}" if subset else "order"
        keys = {
            "patient": pa.array(patient_hashes(self.frame["patient"], salt) if given is None else given),
            "image": pa.array(self.frame["image"], pa.large_string(), from_pandas=True),
        }
        ascending = [(name, "ascending") for name in keys]
        return pc.sort_indices(pa.table(keys), sort_keys=ascending).to_numpy().astype(np.int64)

    def labels(self, finding: str, uncertain: str = "zeros", blank: str = "zeros") -> np.ndarray:
        """Labels of every row under a policy (Irvin et al. 2019, section 3.1: U-Ones, U-Zeros, U-Ignore).

        Args:
            finding: one of `findings`.
            uncertain: what -1 becomes: `ones`, `zeros` or `ignore`.
            blank: what an empty label becomes: `zeros` or `ignore`.

        Returns:
            float32 [len(frame)]: 1, 0, or NaN where the row is ignored.

        Raises:
            ValueError: an unknown finding or policy.
        """
        if finding not in self.findings:
            raise ValueError(f"finding: found {finding!r}, expected one of {', '.join(self.findings)}")
        for name, value, options in (
            ("uncertain", uncertain, ("ones", "zeros", "ignore")),
            ("blank", blank, ("zeros", "ignore")),
        ):
            if value not in options:
                raise ValueError(f"{name}: found {value!r}, expected one of {', '.join(options)}")
        meaning = {"ones": 1.0, "zeros": 0.0, "ignore": np.nan}
        raw = self.frame[finding].to_numpy(np.float32)
        labels = np.where(raw == -1, np.float32(meaning[uncertain]), raw)
        return np.where(np.isnan(raw), np.float32(meaning[blank]), labels).astype(np.float32)


def too_few(part: str, asked: int, found: int) -> Problem:
    """The problem of a part that is smaller than what was asked of it."""
    return Problem(
        where=f"part {part!r}",
        found=f"{found} images",
        expected=f"at least {asked}",
        advice="ask for fewer images (--train-images), or add data",
    )


def patient_hashes(patients: pd.Series, salt: str) -> np.ndarray:
    """uint64 [len(patients)], the same on every machine; different salts give independent orders."""
    codes, names = pd.factorize(patients)
    hashes = [
        int.from_bytes(hashlib.blake2b(f"{salt}/{name}".encode(), digest_size=8).digest(), "big")
        for name in names.tolist()
    ]
    return np.array(hashes, dtype=np.uint64)[codes]


def split_patients(patients: pd.Series) -> np.ndarray:
    """Part of every row of a training list, by its patient: 8 % `test`, 2 % `selection`, else `train`."""
    position = patient_hashes(patients, "part") / 2.0**64
    return np.select(
        [position < TEST_SHARE, position < TEST_SHARE + SELECTION_SHARE], ["test", "selection"], "train"
    )


def content_fingerprint(root: Path, images: Sequence[str], content: Iterable[bytes]) -> str:
    """16 hexadecimal digits over `content` and the bytes of 32 evenly spaced images.

    An image that cannot be read or is no regular file counts as absent here; `checks.check` reports it.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(hashlib.sha256(part).digest())
    for position in np.unique(np.linspace(0, len(images) - 1, FINGERPRINT_IMAGES).round().astype(int)):
        file = root / images[position]
        try:
            data = file.read_bytes() if file.is_file() else b""  # a pipe would be waited for
        except OSError:
            data = b""
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]
