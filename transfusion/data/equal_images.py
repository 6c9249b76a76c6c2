"""Images that are the same under several names, by their bytes or as they are trained: a leak in two parts.

A picture that was stored anew, or a DICOM file whose header was made anonymous twice, has other bytes and the
same pixels. Pixels are known once a cache was built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from transfusion.data.dataset import PARTS, Dataset

SHOWN = 5
HELD_OUT_FIRST = ("test", "official", "selection", "train")


@dataclass(frozen=True)
class EqualImages:
    """Images of one part that are the same as another image.

    Attributes:
        part: where they lie.
        other: where the other image lies: another part, or the same.
        same_patient: whether the other image is the same patient's; None across parts.
        images: how many images of `part` they are.
        of: how many images `part` has.
        first: paths of the first few, and of the first image that each is equal to.
        stored_anew: how many of `images` have other bytes, and are the same as they are trained.
    """

    part: str
    other: str
    same_patient: bool | None
    images: int
    of: int
    first: tuple[tuple[str, str], ...]
    stored_anew: int = 0

    @property
    def leak(self) -> bool:
        """Whether an image that tests or selects is one that was trained or selected on."""
        return self.part != self.other

    def __str__(self) -> str:
        shown = ", ".join(f"{one} = {other}" for one, other in self.first)
        more = ", ..." if self.images > len(self.first) else ""
        what = f"{self.images:,} of {self.of:,} {self.part} images"
        how = "byte for byte"
        if self.stored_anew:
            how = f"pixel for pixel at the size that is trained on ({self.images - self.stored_anew:,} {how})"
        if self.leak:
            text = f"{what} are in {self.other} too, {how}: what is measured on them is not held out"
        elif self.same_patient:
            text = f"{what} repeat another one of the same patient, {how}"
        else:
            text = f"{what} are those of another patient too, {how}"
        return f"{text} ({shown}{more})"


def find(dataset: Dataset) -> tuple[EqualImages, ...]:
    """The equal images of `dataset`, by kind, those across parts first; none where bytes are not known.

    An image counts once for each kind that it belongs to.
    """
    known = dataset.content
    if known is None or not known.known:
        return ()
    by_bytes = _alike(dataset, known.digests)
    if known.pixels is None:
        return by_bytes
    fewer = {(one.part, one.other, one.same_patient): one for one in by_bytes}
    shown = np.any(known.pixels, axis=1, keepdims=True)
    found = []
    for one in _alike(dataset, np.where(shown, known.pixels, known.digests)):
        exact = fewer.get((one.part, one.other, one.same_patient))
        more = one.images - (exact.images if exact else 0)
        found.append(replace(one, stored_anew=more) if more or exact is None else exact)
    return tuple(found)


def _alike(dataset: Dataset, digests: np.ndarray) -> tuple[EqualImages, ...]:
    """The images of equal digests, uint8 [N, 16], by kind."""
    halves = np.ascontiguousarray(digests).view(np.uint64)
    frame = dataset.frame[["image", "patient", "part"]].assign(low=halves[:, 0], high=halves[:, 1])
    frame["bytes"] = frame.groupby(["low", "high"], sort=False).ngroup()
    repeated = frame[frame["bytes"].duplicated(keep=False)]
    sizes = frame["part"].value_counts()
    found = []
    for part, other in combinations(HELD_OUT_FIRST, 2):
        here, there = (repeated[repeated["part"] == name] for name in (part, other))
        firsts = there.drop_duplicates("bytes").set_index("bytes")["image"]
        matches = here["bytes"].map(firsts).dropna()
        if len(matches):
            pairs = _pairs(here.loc[matches.index, "image"], matches)
            found.append(EqualImages(part, other, None, len(matches), int(sizes[part]), pairs))
    for part in PARTS:
        here = repeated[repeated["part"] == part]
        for same_patient, matches in ((False, _of_others(here)), (True, _repeats(here))):
            if len(matches):
                pairs = _pairs(here.loc[matches.index, "image"], matches)
                found.append(EqualImages(part, part, same_patient, len(matches), int(sizes[part]), pairs))
    return tuple(found)


def _of_others(here: pd.DataFrame) -> pd.Series:
    """For every image of a part that another patient has too: the first such image of another patient."""
    firsts = here.drop_duplicates("bytes").set_index("bytes")
    first_patient = here["bytes"].map(firsts["patient"])
    seconds = here[here["patient"] != first_patient].drop_duplicates("bytes").set_index("bytes")["image"]
    first, second = here["bytes"].map(firsts["image"]), here["bytes"].map(seconds)
    return first.where(here["patient"] != first_patient, second).dropna()


def _repeats(here: pd.DataFrame) -> pd.Series:
    """For every image that an earlier one of its patient equals: the first of these."""
    later = here[here.duplicated(["bytes", "patient"])]
    firsts = here.drop_duplicates(["bytes", "patient"]).set_index(["bytes", "patient"])["image"]
    keys = pd.MultiIndex.from_frame(later[["bytes", "patient"]])
    return pd.Series(firsts.reindex(keys).to_numpy(), index=later.index, dtype=object)


def _pairs(images: pd.Series, others: pd.Series) -> tuple[tuple[str, str], ...]:
    return tuple(zip(images[:SHOWN].tolist(), others[:SHOWN].tolist(), strict=True))
