"""Counts of patients, images and labels in each part, before and after the label policies.

The one place that counts: the plan, `sweep.json`, the tables and the report show these numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from transfusion.data.dataset import PARTS, Dataset

MEANING = {"ones": "positive", "zeros": "negative", "ignore": "ignored"}
"""What a label becomes under a policy, in a word."""

AREA = 0.8
"""The area that the expected interval is worked out for."""

NORMAL = 1.96
WIDE = 0.05
"""An interval of the test AUROC that is wider than this on either side is warned of."""


@dataclass(frozen=True, slots=True)
class PartCounts:
    """One finding in one part.

    Attributes:
        patients, images: all of the part.
        positive, negative, uncertain, blank: images whose label in the data is 1, 0, -1 or empty.
        uncertain_became, blank_became: `positive`, `negative` or `ignored`.
        trained_positive, trained_negative, ignored: images after that.
        positive_patients, negative_patients: patients with such an image, after that.
    """

    finding: str
    part: str
    patients: int
    images: int
    positive: int
    negative: int
    uncertain: int
    blank: int
    uncertain_became: str
    blank_became: str
    trained_positive: int
    trained_negative: int
    ignored: int
    positive_patients: int
    negative_patients: int

    def record(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return dataclasses.asdict(self)


def count(
    dataset: Dataset, findings: Sequence[str], uncertain: Callable[[str], str], blank: str
) -> tuple[PartCounts, ...]:
    """A record for each finding and part; a part without images is left out.

    Args:
        uncertain: policy for -1 by finding (`Recipe.uncertain_policy`).
        blank: policy for blanks.
    """
    part = pd.Categorical(dataset.frame["part"], categories=PARTS).codes
    patients, names = pd.factorize(dataset.frame["patient"])
    counts = []
    for finding in findings:
        raw = dataset.frame[finding].to_numpy()
        final = dataset.labels(finding, uncertain(finding), blank)
        for number, name in enumerate(PARTS):
            inside = part == number
            if not inside.any():
                continue
            before, after, who = raw[inside], final[inside], patients[inside]

            def people(chosen: np.ndarray | slice, who: np.ndarray = who) -> int:
                return int(np.count_nonzero(np.bincount(who[chosen], minlength=len(names))))

            counts.append(
                PartCounts(
                    finding=finding,
                    part=name,
                    patients=people(slice(None)),
                    images=len(before),
                    positive=int((before == 1).sum()),
                    negative=int((before == 0).sum()),
                    uncertain=int((before == -1).sum()),
                    blank=int(np.isnan(before).sum()),
                    uncertain_became=MEANING[uncertain(finding)],
                    blank_became=MEANING[blank],
                    trained_positive=int((after == 1).sum()),
                    trained_negative=int((after == 0).sum()),
                    ignored=int(np.isnan(after).sum()),
                    positive_patients=people(after == 1),
                    negative_patients=people(after == 0),
                )
            )
    return tuple(counts)


def became(counts: Sequence[PartCounts]) -> tuple[str, ...]:
    """What became of the labels of one finding, over all its parts: `uncertain (-1): 12,984 -> positive`."""
    uncertain, blank = sum(one.uncertain for one in counts), sum(one.blank for one in counts)
    texts = (
        [f"uncertain (-1): {uncertain:,} -> {counts[0].uncertain_became}"]
        if uncertain
        else ["none uncertain"]
    )
    texts += [f"blank: {blank:,} -> {counts[0].blank_became}"] if blank else ["none blank"]
    positive, negative = (
        sum(getattr(one, name) for one in counts) for name in ("trained_positive", "trained_negative")
    )
    ignored = sum(one.ignored for one in counts)
    return (*texts, f"trained as {positive:,} positive and {negative:,} negative, {ignored:,} ignored")


def half_width(positives: int, negatives: int, area: float = AREA) -> float:
    """Of the 95 % interval of an area under the ROC curve on so many patients of either class.

    Hanley & McNeil, Radiology 143 (1982): 29-36, equations 1 and 2, exponential model.

    Returns:
        NaN where a class is absent.
    """
    if not positives or not negatives:
        return math.nan
    both_above = area / (2 - area)
    both_below = 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (both_above - area**2)
    variance += (negatives - 1) * (both_below - area**2)
    return NORMAL * math.sqrt(variance / (positives * negatives))


def what_it_decides(counts: Sequence[PartCounts], finding: str) -> tuple[str, ...]:
    """Expected width of the intervals for `finding` on the held-out parts; warns where parts are small."""
    texts = []
    for one in counts:
        if one.finding != finding or one.part not in ("test", "official"):
            continue
        positive = one.positive_patients
        width = half_width(positive, one.patients - positive)
        text = f"{one.part}: {positive:,} of {one.patients:,} patients have a positive image"
        if math.isnan(width):
            texts.append(f"{text}: an AUROC over patients cannot be told an interval there")
            continue
        text += f"; an AUROC of {AREA:g} is known to about +/- {width:.3f} there (95 %)"
        if width > WIDE:
            text += f". So few patients cannot decide on differences below {width:.2f} or so"
        texts.append(text)
    return tuple(texts)
