"""Colours of verdicts, one line style per initialisation, everywhere."""

from __future__ import annotations

from typing import Any

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
    ("in_domain", "none"): {"linestyle": "--", "fillstyle": "none"},
    ("in_domain", "backbone"): {"linestyle": ":", "fillstyle": "bottom"},
}
OTHER_ARMS: dict[str, dict[str, Any]] = {
    "none": {"linestyle": "-.", "fillstyle": "top"},
    "backbone": {"linestyle": (0, (1, 3)), "fillstyle": "top"},
}
"""Weights of other origins, by `freeze`."""


def arm_style(init: str, freeze: str, *, natural: str | None, in_domain: str) -> dict[str, Any]:
    """Line and fill of an arm, which tell arms of one network apart."""
    role = {natural: "natural", in_domain: "in_domain"}.get(init, init)
    return ARMS.get((role, freeze), OTHER_ARMS[freeze])
