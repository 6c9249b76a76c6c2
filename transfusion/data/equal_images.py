"""Images that are the same byte for byte under several names: in two parts they are a leak."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from transfusion.data.dataset import PARTS, Dataset

SHOWN = 5
HELD_OUT_FIRST = ("test", "official", "selection", "train")


@dataclass(frozen=True)
class EqualImages:
    """Images of one part whose bytes are those of another image.

    Attributes:
        part: where they lie.
        other: where the other image lies: another part, or the same.
        same_patient: whether the other image is the same patient's; None across parts.
        images: how many images of `part` they are.
        of: how many images `part` has.
        first: paths of the first few, and of the first image that each is equal to.
    """

    part: str
    other: str
    same_patient: bool | None
    images: int
    of: int
    first: tuple[tuple[str, str], ...]

    @property
    def leak(self) -> bool:
        """Whether an image that tests or selects is one that was trained or selected on."""
        return self.part != self.other

    def __str__(self) -> str:
        shown = ", ".join(f"{one} = {other}" for one, other in self.first)
        more = ", ..." if self.images > len(self.first) else ""
        what = f"{self.images:,} of {self.of:,} {self.part} images"
        if self.leak:
            text = f"{what} are in {self.other} too, byte for byte: what is measured on them is not held out"
        elif self.same_patient:
            text = f"{what} repeat another one of the same patient, byte for byte"
        else:
            text = f"{what} are those of another patient too, byte for byte"
        return f"{text} ({shown}{more})"


def find(dataset: Dataset) -> tuple[EqualImages, ...]:
    """The equal images of `dataset`, by kind, those across parts first; none where bytes are not known.

    An image counts once for each kind that it belongs to.
    """
    if dataset.content is None or not dataset.content.known:
        return ()
    halves = np.ascontiguousarray(dataset.content.digests).view(np.uint64)
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
