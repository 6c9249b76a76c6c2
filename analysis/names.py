"""What data, initialisations and arms are called, everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IN_DOMAIN = "consolidation"
"""The initialisation that is pretraining on another finding of the same data, where no upstream cell says."""

_CHEXPERT = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip


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


def init_of(finding: str) -> str:
    """The initialisation whose weights are pretraining on this finding: `pleural_effusion`."""
    return finding.lower().replace(" ", "_")


_NAMES = {"imagenet": "ImageNet", **{init_of(finding): finding for finding in _CHEXPERT}}


def init_name(init: str) -> str:
    """`ImageNet`, `photos`, `Pleural Effusion`, or the initialisation's own name."""
    return _NAMES.get(init, init)


def arm_name(init: str, freeze: str) -> str:
    """`from scratch`, `fine-tuned from photos`, `frozen from photos`."""
    if init == "random":
        return "from scratch"
    return f"{'frozen' if freeze == 'backbone' else 'fine-tuned'} from {init_name(init)}"
