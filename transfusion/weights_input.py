"""What the first layer of a network with supplied weights expects of an image: `--weights-input`.

Everything that programs do before a network, scaling to a range, subtracting a mean, dividing by a
deviation, maps gray values linearly, channel by channel. So an `InputScale` is two points of each channel:
what black is, and what white is. It is applied to images, not folded into the first convolution: with zero
padding a shift inside the weights would be wrong along the border.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# Channel statistics of ImageNet, which torchvision's weights expect (torchvision.models documentation).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

Channels = tuple[float, float, float]
DIGITS = 9
"""Significant digits of black and white: two ways to write one scale are one scale."""


class InputError(ValueError):
    """A scale that cannot be read: what was found, and what was expected."""


@dataclass(frozen=True, slots=True)
class InputScale:
    """What black and white are in the three channels of a network's first layer, in that layer's order."""

    black: Channels
    white: Channels

    def of_normalized(self) -> tuple[Channels, Channels]:
        """Factor and summand by which images normalised as torchvision's become images on this scale."""
        factors = [
            (white - black) * std for black, white, std in zip(self.black, self.white, STD, strict=True)
        ]
        summands = [
            black + (white - black) * mean
            for black, white, mean in zip(self.black, self.white, MEAN, strict=True)
        ]
        return _three(factors), _three(summands)

    def text(self) -> str:
        """`black -1024, white 1024`."""
        return f"black {_short(self.black)}, white {_short(self.white)}"


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") + 0.0


def _three(values: list[float]) -> Channels:
    first, second, third = values
    return first, second, third


def scale(
    low: float, high: float, mean: tuple[float, ...] = (0.0,), std: tuple[float, ...] = (1.0,)
) -> InputScale:
    """Gray values from `low` to `high`, minus `mean`, over `std`; one number for all channels, or three."""
    means, stds = (values * 3 if len(values) == 1 else values for values in (mean, std))
    black, white = (
        _three([_rounded((end - m) / s) for m, s in zip(means, stds, strict=True)]) for end in (low, high)
    )
    return InputScale(black, white)


DEFAULT = scale(0, 1, MEAN, STD)
"""As torchvision's weights, and whatever is pretrained here."""

NAMED: dict[str, InputScale] = {
    "imagenet": DEFAULT,
    "half": scale(0, 1, (0.5,), (0.5,)),
    "unit": scale(0, 1),
    "bytes": scale(0, 255),
    "caffe": scale(0, 255, (103.939, 116.779, 123.68)),
    "torchxrayvision": scale(-1024, 1024),
}
"""Conventions by name: torchvision's; mean and deviation 0.5 (-1 to 1, RadImageNet's in Keras too); 0 to 1;
0 to 255; Caffe's and Keras' ResNets (0 to 255, minus the mean, blue first); torchxrayvision's."""

KEYS = ("mean", "std", "range")
EXPECTED = (
    f"one of {', '.join(NAMED)}, or range=LOW,HIGH,mean=M,std=S (one number or three for mean and std, in "
    "units of the range, which is 0,1 if left out); and ,accept to train whatever the batch norms say"
)


def parse(text: str) -> InputScale:
    """The scale that `text` names or describes, `half` or `range=-1024,1024,mean=0,std=1`.

    Raises:
        InputError: it does neither.
    """
    if text.lower() in NAMED:
        return NAMED[text.lower()]
    values: dict[str, list[float]] = {}
    key = None
    for word in re.split(r"[,:;/\s]+", text.strip("[]() ")):
        name, equals, number = word.rpartition("=")
        if equals:
            key = name.strip().lower()
            if key not in KEYS or key in values:
                raise InputError(f"{name!r} {'twice' if key in values else ''}".strip())
            values[key] = []
        if key is None:
            raise InputError(repr(text))
        try:
            values[key].append(float(number.strip("[]()")))
        except ValueError:
            raise InputError(repr(text)) from None
    low, high = _range(values.get("range", [0.0, 1.0]))
    mean, std = (tuple(values.get(name, [default])) for name, default in (("mean", 0.0), ("std", 1.0)))
    for name, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
            raise InputError(f"{name} of {len(numbers)} numbers in {text!r}")
    if not all(number > 0 for number in std):
        raise InputError(f"a std that is not above 0 in {text!r}")
    return scale(low, high, mean, std)


def _range(values: list[float]) -> tuple[float, float]:
    """Low and high; a single number is the high end above 0."""
    if len(values) == 1:
        values = [0.0, *values]
    if len(values) != 2 or not all(map(math.isfinite, values)) or values[0] == values[1]:
        raise InputError(f"a range of {', '.join(f'{value:g}' for value in values)}")
    return values[0], values[1]


def _short(values: Channels) -> str:
    texts = [f"{value:.4g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "/".join(texts)
