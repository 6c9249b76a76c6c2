"""Independent random streams for every seed, purpose and epoch, so that a resumed epoch draws the same."""

from __future__ import annotations

import numpy as np
import torch

WEIGHTS, ORDER, AFFINE, RANGE_TEST, VIEWS = range(5)
"""Purposes of streams."""


def stream(seed: int, purpose: int, epoch: int = 0) -> np.random.Generator:
    """The numpy generator of a seed, purpose and epoch."""
    return np.random.default_rng([seed, purpose, epoch])


def torch_generator(seed: int, purpose: int, epoch: int = 0) -> torch.Generator:
    """The same for torch, on the CPU."""
    return torch.Generator().manual_seed(int(stream(seed, purpose, epoch).integers(2**62)))
