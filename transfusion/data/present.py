"""A data set without the rows whose image is not there, for those who have unpacked a part of a data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transfusion.data.dataset import Dataset, content_fingerprint
from transfusion.images.missing import OPTION


def without_missing(dataset: Dataset) -> Dataset:
    """The data set without the rows whose file is not there; itself where all of them are, or none is.

    Its fingerprint is another one: a file that comes later makes other data of it.
    """
    images = dataset.frame["image"]
    there = np.array([(dataset.root / name).exists() for name in images], dtype=bool)
    if there.all() or not there.any():
        return dataset
    frame = dataset.frame[there].reset_index(drop=True)
    names = "\n".join(frame["image"]).encode()
    note = (
        f"{int((~there).sum()):,} of {len(images):,} images are not there and are left out ({OPTION}); "
        f"{images[~there].iloc[0]} is the first"
    )
    return replace(
        dataset,
        frame=frame,
        fingerprint=content_fingerprint(dataset.root, frame["image"], [dataset.fingerprint.encode(), names]),
        order=None if dataset.order is None else dataset.order[there],
        notes=(*dataset.notes, note),
    )
