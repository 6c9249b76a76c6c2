"""What data, initialisations and arms are called, everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {"imagenet": "ImageNet", "photos": "photos", "consolidation": "Consolidation"}


FOUND = {
    "gain": "better",
    "small gain": "slightly better",
    "none": "about the same",
    "small loss": "slightly worse",
    "loss": "worse",
}
"""What was found, as in the column `effect`, in few letters; what is not known is not said."""

_PHANTOM = "phantom"


def data_name(sweep: Mapping[str, Any]) -> str:
    """What the images are, as the sweep recorded it; `these data` if it did not."""
    data = sweep.get("data")
    return str(data.get("name") or "these data") if isinstance(data, dict) else "these data"


def is_phantom(sweep: Mapping[str, Any]) -> bool:
    """Whether the images are drawn by this software: they say nothing about patients."""
    return _PHANTOM in data_name(sweep)


def init_name(init: str) -> str:
    """`ImageNet`, `photos`, `Consolidation`, or the initialisation's own name."""
    return _NAMES.get(init, init)


def arm_name(init: str, freeze: str) -> str:
    """`from scratch`, `fine-tuned from photos`, `frozen from photos`."""
    if init == "random":
        return "from scratch"
    return f"{'frozen' if freeze == 'backbone' else 'fine-tuned'} from {init_name(init)}"
