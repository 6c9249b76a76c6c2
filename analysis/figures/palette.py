"""One colour, marker and name per network, one line style per initialisation, everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Look:
    """How a network is drawn and called."""

    label: str
    colour: str
    marker: str


NETWORKS: dict[str, Look] = {
    "cbr_large_wide": Look("CBR-Large-Wide", "#0072B2", "o"),
    "cbr_large_tall": Look("CBR-Large-Tall", "#56B4E9", "v"),
    "cbr_small": Look("CBR-Small", "#009E73", "P"),
    "cbr_tiny": Look("CBR-Tiny", "#000000", "X"),
    "resnet50": Look("ResNet-50", "#D55E00", "s"),
    "resnet34": Look("ResNet-34", "#E69F00", "D"),
    "resnet18": Look("ResNet-18", "#7A4419", "^"),
}
"""Blues, green and black for the CBR family, oranges to brown for the ResNets: Okabe and Ito's colours (2008)
and a brown, which the colour-blind tell apart by hue or lightness, and everybody by marker."""

PUBLISHED = "#8C8C8C"
MEAN = "#000000"
VERDICTS = {
    "supported": "#1B7837",
    "refuted": "#762A83",
    "undecided": "#6B6B6B",
    "reproduced": "#1B7837",
    "not reproduced": "#762A83",
}
"""Green and purple: no network's colours, and told apart by the colour-blind."""

ARMS: dict[tuple[str, str], dict[str, Any]] = {
    ("random", "none"): {"linestyle": "-", "fillstyle": "full"},
    ("natural", "none"): {"linestyle": "--", "fillstyle": "none"},
    ("natural", "backbone"): {"linestyle": ":", "fillstyle": "bottom"},
    ("consolidation", "none"): {"linestyle": "--", "fillstyle": "none"},
    ("consolidation", "backbone"): {"linestyle": ":", "fillstyle": "bottom"},
}
OTHER_ARMS: dict[str, dict[str, Any]] = {
    "none": {"linestyle": "-.", "fillstyle": "top"},
    "backbone": {"linestyle": (0, (1, 3)), "fillstyle": "top"},
}
"""Weights of other origins, by `freeze`."""


def look(architecture: str) -> Look:
    """How to draw `architecture`; a network of someone's own is gray, under its own name."""
    return NETWORKS.get(architecture, Look(architecture, "#595959", "h"))


def ordered(architectures: set[str]) -> list[str]:
    """The study's networks in its order, then others by name."""
    return [a for a in NETWORKS if a in architectures] + sorted(architectures - set(NETWORKS))


def arm_style(init: str, freeze: str, *, natural: str | None) -> dict[str, Any]:
    """Line and fill of an arm, which tell arms of one network apart."""
    return ARMS.get(("natural" if init == natural else init, freeze), OTHER_ARMS[freeze])
