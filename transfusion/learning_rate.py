"""The learning-rate range test (Smith, arXiv 1506.01186, section 3.3) and the choice from its curve.

The rate rises exponentially, one optimiser step at each rung, while the loss is recorded. The rate is then
chosen where the smoothed loss falls fastest against log10(rate), at least a decade below its minimum.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

EXPLODED = 4.0
"""The ladder ends once the loss exceeds this multiple of the first rungs' median."""

MARGIN_DECADES = 1.0
"""How far below the rate of the lowest loss the chosen rate stays: near it, training is about to diverge."""

SMOOTHING_DECADES = 0.35
"""Standard deviation, in decades of the rate, of the Gaussian that smooths the curve."""


@dataclass(frozen=True)
class RangeTest:
    """The curve of one range test and the rate chosen from it; `rates` and `losses` are float64 [steps]."""

    rates: np.ndarray
    losses: np.ndarray
    chosen: float


def range_test(
    network: nn.Module, loss_of_step: Callable[[int], Tensor], low: float, high: float, steps: int
) -> RangeTest:
    """Climb from `low` to `high` with Adam; `network` has its state back afterwards.

    Args:
        network: the module whose trainable weights are stepped.
        loss_of_step: the training loss, with its graph, of the batch of the given step.
    """
    before = copy.deepcopy(network.state_dict())
    ladder = np.geomspace(low, high, steps)
    optimizer = torch.optim.Adam([weight for weight in network.parameters() if weight.requires_grad], lr=low)
    losses: list[float] = []
    for step, rate in enumerate(ladder):
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of_step(step)
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]) or losses[-1] > EXPLODED * np.median(losses[:5]):
            break
        loss.backward()
        optimizer.step()
    network.load_state_dict(before)
    optimizer.zero_grad(set_to_none=True)
    rates, curve = ladder[: len(losses)], np.array(losses)
    return RangeTest(rates, curve, choose(rates, curve))


def choose(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate where the smoothed loss falls fastest against log10(rate), a decade or more below its minimum.

    Rungs with a loss that is not finite are left out. Where the curve does not fall there, or has fewer than
    three finite rungs, the answer is the geometric middle of the finite part: inside the ladder, no chance.

    Args:
        rates: ascending learning rates, [steps].
        losses: training losses, [steps].

    Raises:
        ValueError: if no loss is finite.
    """
    finite = np.isfinite(losses)
    if not finite.any():
        raise ValueError(
            "range test: found no finite loss, expected at least one; check the data and the recipe"
        )
    decades, losses = np.log10(rates[finite]), losses[finite]
    if len(losses) >= 3:
        smooth = _smooth(decades, losses)
        slope = np.gradient(smooth, decades)[decades <= decades[smooth.argmin()] - MARGIN_DECADES]
        if slope.size and slope.min() < 0:
            return float(10 ** decades[int(slope.argmin())])
    return float(10 ** decades.mean())


def _smooth(decades: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Local linear regression with Gaussian weights, which has no bias at the ends of a straight line."""
    smooth = np.empty_like(losses)
    for i, centre in enumerate(decades):
        x = decades - centre
        w = np.exp(-0.5 * (x / SMOOTHING_DECADES) ** 2)
        s0, s1, s2 = w.sum(), (w * x).sum(), (w * x * x).sum()
        smooth[i] = ((s2 * w - s1 * w * x) @ losses) / (s0 * s2 - s1 * s1)
    return smooth
