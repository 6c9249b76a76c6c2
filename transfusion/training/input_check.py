"""Do images fit the weights that networks start from? Their batch norms remember what they saw.

A batch norm keeps mean and variance of what its channels were in training. If images come on another scale,
the first one sees other numbers: by a factor of 60 where 0 to 255 was expected, of 450 for -1024 to 1024.
A gray radiograph on the right scale stays within a factor of two (measured with public ImageNet weights of an
EfficientNet-Lite on synthetic radiographs and on photographs: 0.7 to 1.0, and 0.1 to 0.3 deviations).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from transfusion.architectures import Architecture
from transfusion.networks.initialization import copy_stages
from transfusion.networks.network import build
from transfusion.training.augmentation import evaluation_inputs
from transfusion.weights_input import NAMED, InputScale

IMAGES = 16
"""Images that a check looks at."""

REFUSED, DOUBTED = 20.0, 4.0
"""Factor, either way, between the spread of what the first batch norm sees and what it saw in training; or
deviations of training by which the means have moved."""

DOUBTED_SHIFT = 2.0
"""Deviations of training; a right scale leaves means within a third of one."""

DEEP_DOUBTED = 20.0
"""As `DOUBTED`, of the median of all batch norms: they lie far from the images, and domains do differ."""

DEAD = 1e-3
"""A channel whose variance in training was below this share of the median's tells nothing."""


@dataclass(frozen=True)
class Seen:
    """Statistics of some images at the batch norms, beside the running statistics of their training.

    Attributes:
        spread: standard deviation now over that of training, first batch norm, median of its channels.
        shift: distance of the means, in deviations of training, first batch norm, third quartile.
        deep: the median of the spreads of all batch norms.
        unset: how many batch norms are as they are before any training.
        norms: how many there are.
    """

    spread: float
    shift: float
    deep: float
    unset: int
    norms: int

    @property
    def untrained(self) -> bool:
        """Whether no batch norm holds what training leaves."""
        return self.unset == self.norms

    @property
    def misfit(self) -> float:
        """How far off the first batch norm is, as a factor of at least 1."""
        if not (math.isfinite(self.spread) and math.isfinite(self.shift)):
            return math.inf
        spread = max(self.spread, 1 / self.spread) if self.spread > 0 else math.inf
        return max(spread, self.shift)

    @property
    def refused(self) -> bool:
        """No network would be trained on such images by intent."""
        return self.misfit > REFUSED

    @property
    def doubted(self) -> bool:
        """They may be on another scale, or only different."""
        far = max(self.spread, 1 / self.spread) > DOUBTED if self.spread > 0 else True
        deep = not 1 / DEEP_DOUBTED < self.deep < DEEP_DOUBTED
        return self.refused or far or self.shift > DOUBTED_SHIFT or deep

    def text(self) -> str:
        """What the first batch norm sees, in words."""
        if self.spread > 0 and self.spread < 1:
            spread = f"{1 / self.spread:,.3g} times less than"
        else:
            spread = f"{self.spread:,.3g} times as much as"
        return (
            f"in the first batch norm images vary {spread} in the weights' training, their mean is off "
            f"by {self.shift:,.2g} deviations"
        )


@torch.no_grad()
def look(
    weights: Mapping[str, Tensor], architecture: Architecture, images: np.ndarray, scale: InputScale
) -> Seen:
    """Run images through the network and compare batch statistics with running statistics.

    Args:
        weights: of all stages, as `weights.read` gives them.
        images: uint8 [N, size, size].
        scale: what the weights expect.
    """
    network = build(architecture)
    copy_stages(network, dict(weights))
    network.expect(scale)
    network.eval()
    seen: list[tuple[Tensor, Tensor]] = []
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(lambda norm, inputs: seen.append(_compared(norm, inputs[0])))
    network(evaluation_inputs(torch.from_numpy(images[:, None].copy())))
    spreads = torch.stack([_quantile(spread, 0.5) for spread, _ in seen])
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    return Seen(
        spread=float(spreads[0]),
        shift=float(_quantile(seen[0][1], 0.75)),
        deep=float(_quantile(spreads, 0.5)),
        unset=sum(map(_is_unset, norms)),
        norms=len(norms),
    )


def better(
    weights: Mapping[str, Tensor], architecture: Architecture, images: np.ndarray, found: Seen
) -> str | None:
    """The convention of `NAMED` that would fit, and clearly better; None if there is none."""
    tried = {name: look(weights, architecture, images, scale) for name, scale in NAMED.items()}
    best = min(tried, key=lambda name: abs(math.log(max(tried[name].spread, 1e-30))) + tried[name].shift)
    return best if not tried[best].doubted and 4 * tried[best].misfit < found.misfit else None


def _is_unset(norm: nn.BatchNorm2d) -> bool:
    """Whether a batch norm has the mean 0 and the variance 1 that it begins with."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    return not (norm.running_mean.any() or (norm.running_var - 1).any())


def _compared(norm: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Spread and shift of every channel that lived in training."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    values = inputs.double()
    mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), correction=0)
    was = norm.running_var.double()
    alive = was > max(float(was.median()) * DEAD, 1e-30)
    deviation = was.sqrt()
    spread = variance.sqrt() / deviation
    shift = (mean - norm.running_mean.double()).abs() / deviation
    return spread[alive], shift[alive]


def _quantile(values: Tensor, share: float) -> Tensor:
    """NaN of none, and of any that is not a number."""
    if not len(values) or not torch.isfinite(values).all():
        return torch.tensor(math.nan, dtype=torch.float64)
    return values.double().quantile(share)
