"""Whether the way in which images are stored tells those with a finding from those without.

Where positive images came from one source and negative ones from another, kind and size of the files may say
it all, and a test AUROC near 1 says nothing of the finding (DeGrave et al. 2021, Nat Mach Intell 3: 610-619).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from transfusion.images.inspection import Look

TELLS = 0.9
"""Area under the ROC curve of the files' kind alone from which on it is told."""

KINDS, FEWEST = 12, 10
"""So many of the most frequent kinds of so many images at least are told apart; all others are one."""

SHOWN = 2


def notes(finding: str, labels: np.ndarray, images: Sequence[str], looks: Sequence[Look]) -> list[str]:
    """A sentence for each property of the files that tells the labels.

    Args:
        finding: what is trained.
        labels: 1, 0 or NaN [N].
        images: paths [N].
        looks: what a look at each file said [N].
    """
    sizes = ["DICOM" if look.dicom else f"{look.pixels:,} pixels" for look in looks]
    ends = [PurePosixPath(image).suffix.lower() or "no extension" for image in images]
    told = [_told(finding, labels, what, kinds) for what, kinds in (("extension", ends), ("size", sizes))]
    return [text for text in told if text]


def thumbnails(images: Sequence[str], looks: Sequence[Look], size: int) -> list[str]:
    """A sentence on images of fewer pixels than the `size` x `size` that are trained on."""
    few = [name for name, look in zip(images, looks, strict=True) if not look.dicom and look.pixels < size**2]
    if not few:
        return []
    text = f"{len(few):,} of {len(images):,} images have fewer pixels than the {size} x {size} to train on"
    return [f"{text}, {few[0]} first: thumbnails?"]


def _told(finding: str, labels: np.ndarray, what: str, kinds: Sequence[str]) -> str:
    frame = pd.DataFrame({"kind": kinds, "positive": labels}).dropna()
    counts = frame["kind"].value_counts()
    common = counts.index[counts >= FEWEST][:KINDS]
    frame["kind"] = frame["kind"].where(frame["kind"].isin(common), "other")
    groups = frame.groupby("kind")["positive"].agg(["mean", "size", "sum"]).sort_values("mean", kind="stable")
    positive = groups["sum"].to_numpy()
    negative = (groups["size"] - groups["sum"]).to_numpy()
    if len(groups) < 2 or not (area := _area(positive, negative)) >= TELLS:
        return ""
    shown = pd.concat([groups.tail(SHOWN).iloc[::-1], groups.head(SHOWN)])
    shown = shown[~shown.index.duplicated()]
    rates = ", ".join(f"{name}: {one['sum']:,.0f} of {one['size']:,.0f}" for name, one in shown.iterrows())
    return (
        f"the {what} of its file alone tells whether an image is positive for {finding} (AUROC {area:.3f}; "
        f"positive are {rates}): a network may learn how images were stored, and not the finding"
    )


def _area(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the ROC curve of groups in ascending order of their share of positives; NaN of one class."""
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")
