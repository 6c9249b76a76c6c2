"""How pixel values become gray levels: the one decision for all files of a data set.

Files of eight bits are read as they are. Of all others, some state their range; where none is stated, all
such files of a data set share one range, so that equal values are equally bright in all of them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfusion.problems import SettingError

if TYPE_CHECKING:
    from numpy import ndarray as Array

    from transfusion.images.picture import Picture

MODES = ("auto", "full", "each", "bits", "window")
BITS = re.compile(r"([0-9]{1,2})[ -]?bits?")

INTENSITY_HELP = (
    "how images of more than 8 bits become gray levels: auto (default; the range that the file states, "
    "DICOM's window, else the range of the whole data set), full (all that the file's type can hold), each "
    "(every image from its own smallest to its own largest value), bits in use such as 12bit, or LOW:HIGH in "
    "the file's own values (DICOM: after rescaling, such as -1000:400); what lies outside is cut"
)


@dataclass(frozen=True)
class Reading:
    """What pixel values mean.

    Attributes:
        mode: one of `MODES`; `bits` and `window` hold for every file of more than 8 bits, and only a window
            cuts what lies outside.
        low: the value that becomes black: given, or with `auto` found in files that state no range.
        high: the value that becomes white; both are None where nothing was given and nothing found.
        frame: which of several pages or frames is read, from 1; None refuses such files.
    """

    mode: str = "auto"
    low: float | None = None
    high: float | None = None
    frame: int | None = None

    def token(self) -> str:
        """A short, stable text of all that changes pixels; empty where eight bits are read as they are."""
        parts = [] if self.mode == "auto" else [self.mode]
        if self.low is not None and self.high is not None:
            parts.append(f"{self.low:.17g}:{self.high:.17g}")
        if self.frame is not None:
            parts.append(f"frame {self.frame}")
        return " ".join(parts)

    def range_of(self, picture: Picture) -> tuple[float, float] | None:
        """The values that become black and white in an image of more than 8 bits; None: nobody knows."""
        if self.mode == "each":
            assert picture.values is not None
            return float(picture.values.min()), float(picture.values.max())
        if self.mode == "full":
            return picture.full
        if self.mode == "auto" and picture.stated is not None:
            return picture.stated
        return None if self.low is None or self.high is None else (self.low, self.high)

    def cuts(self, picture: Picture) -> bool:
        """Whether values outside of the range are meant to be cut."""
        return self.mode == "window" or (self.mode == "auto" and picture.clipped)


AS_STATED = Reading()
"""Every file as it states itself; those of more than 8 bits that state no range are refused."""


def parse(intensity: str | None, frame: int | None = None) -> Reading:
    """The reading that `--intensity` and `--frame` ask for.

    Raises:
        SettingError: neither a mode nor bits nor a range, or a frame below 1.
    """
    if frame is not None and frame < 1:
        raise SettingError(f"--frame: found {frame}, expected 1 or more")
    text = (intensity or "auto").strip().lower()
    if text in ("auto", "full", "each"):
        return Reading(mode=text, frame=frame)
    if (bits := BITS.fullmatch(text)) and 1 <= int(bits[1]) <= 32:
        return Reading("bits", 0.0, float(2 ** int(bits[1]) - 1), frame)
    low, colon, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if not colon or not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
        raise SettingError(
            f"--intensity: found {intensity!r}, expected auto, full, each, bits such as 12bit, or LOW:HIGH "
            "with LOW below HIGH, such as 0:4095 or -1000:400"
        )
    return Reading("window", *ends, frame)


def range_in_use(low: float, high: float, integers: bool) -> tuple[float, float]:
    """The range of values that run from `low` to `high`.

    Whole numbers from 0 on by the bits in use, fractions up to 1 by the next of 1, 1/2, 1/4, ...; others, and
    values that would fill less than a quarter of that, by themselves.
    """
    if low < 0 or (not integers and high > 1):
        return low, high
    if integers:
        end = float(2 ** max(8, int(high).bit_length()) - 1)
    else:
        end = 2.0 ** math.ceil(math.log2(high)) if high > 0 else 1.0
    return (0.0, end) if low == 0 or 4 * (high - low) >= end else (low, high)


def named(low: float, high: float) -> str:
    """A range in the words of `--intensity`."""
    bits = int(high + 1).bit_length() - 1
    if low == 0 and high == 2.0**bits - 1 and bits >= 8:
        return f"{bits}bit"
    return f"{low:.10g}:{high:.10g}"


def to_levels(values: Array, low: float, high: float) -> Array:
    """uint8 gray levels of `values`: `low` becomes 0, `high` 255, linearly; what lies outside is cut."""
    import numpy as np  # the options need this module for their help, and that is to be there at once

    scale = 255.0 / (high - low) if high > low else 0.0
    levels = (values.astype(np.float64) - low) * scale
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
