"""What cells cost: the arithmetic of training, in GPU-hours at a stated speed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.names import IN_DOMAIN

MACS: dict[str, float] = {
    "resnet50": 4.09e9,
    "resnet34": 3.66e9,
    "resnet18": 1.81e9,
    "cbr_large_wide": 15.6e9,
    "cbr_large_tall": 5.27e9,
    "cbr_small": 4.01e9,
    "cbr_tiny": 2.05e9,
}
"""Multiply-adds of a forward pass at 224 pixels."""

EPOCHS = 100
MACS_PER_SECOND = 2e13
"""Of a whole GPU in training; a guess, which only scales all hours."""
FROZEN_SHARE = 0.05
"""Of a fine-tuned cell's cost, that of a cell whose backbone is frozen."""


def gpu_hours(cells: pd.DataFrame) -> NDArray[np.float64]:
    """GPU-hours of every cell of a plan [cells], upstream networks apart."""
    macs = cells["architecture"].map(MACS).to_numpy(float)
    images = cells["train_images"].to_numpy(float)
    hours = 3 * macs * images * EPOCHS / MACS_PER_SECOND / 3600
    return np.where(cells["freeze"] == "backbone", FROZEN_SHARE, 1.0) * hours


def upstream_hours(cells: pd.DataFrame) -> float:
    """GPU-hours of the networks pretrained in the domain, each on as many images as the largest size."""
    upstream = cells[cells["init"] == IN_DOMAIN].drop_duplicates(["architecture", "seed"])
    if upstream.empty:
        return 0.0
    largest = cells["train_images"].max()
    return float(gpu_hours(upstream.assign(train_images=largest, freeze="none")).sum())
