"""The learning-rate range test (Smith, arXiv 1506.01186, section 3.3) and the choice from its curve.

The rate rises exponentially, one optimiser step at each rung, while the loss is recorded. The rate chosen is
a tenth of the one at which the smoothed loss is lowest before it rises again: near that one, training all but
diverges. The place of steepest descent, the usual alternative, is a matter of chance on short ladders.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from transfusion.training.optimizer import Adam

EXPLODED = 4.0
"""The ladder ends once the loss exceeds this multiple of the first rungs' median."""

MARGIN_DECADES = 1.0
"""How far below the rate of the lowest loss the chosen rate stays."""

RISE, LEAST_RISE = 0.5, 0.2
"""The descent is over once the smoothed log loss has risen by this share of its fall, and by so much."""

LEAST_FALL = 0.02
"""A smoothed log loss that falls by less does not fall."""

SMOOTHING_DECADES = 0.25
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
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = Adam(trained, lr=low)
    losses: list[float] = []
    for step, rate in enumerate(ladder):
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.zero_grad()
        loss = loss_of_step(step)
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]) or losses[-1] > EXPLODED * np.median(losses[:5]):
            break
        loss.backward()
        optimizer.step()
    network.load_state_dict(before)
    optimizer.zero_grad()
    rates, curve = ladder[: len(losses)], np.array(losses)
    return RangeTest(rates, curve, choose(rates, curve))


def choose(rates: np.ndarray, losses: np.ndarray) -> float:
    """A tenth of the rate at which the smoothed log loss is lowest before it rises; at least the lowest rate.

    Rungs with a loss that is not finite are left out. Where the curve never falls, or has fewer than three
    finite rungs, the answer is the geometric middle of the rates before the loss rises.

    Args:
        rates: ascending learning rates, [steps].
        losses: training losses, not negative, [steps].

    Raises:
        ValueError: if no loss is finite.
    """
    finite = np.isfinite(losses)
    if not finite.any():
        raise ValueError("range test: found no finite loss, expected one or more; check data and recipe")
    decades, logs = np.log10(rates[finite]), np.log(losses[finite] + 1e-6)
    end = len(logs)
    if end >= 3:
        smooth = _smooth(decades, logs)
        lowest = np.minimum.accumulate(smooth)
        risen = smooth - lowest > np.maximum(RISE * (smooth[0] - lowest), LEAST_RISE)
        end = int(risen.argmax()) if risen.any() else end
        bottom = int(smooth[:end].argmin())
        if smooth[0] - smooth[bottom] > LEAST_FALL:
            return float(10 ** max(decades[bottom] - MARGIN_DECADES, decades[0]))
    return float(10 ** decades[:end].mean())


def _smooth(decades: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Local linear regression with Gaussian weights, which has no bias at the ends of a straight line."""
    smooth = np.empty_like(values)
    for i, centre in enumerate(decades):
        x = decades - centre
        w = np.exp(-0.5 * (x / SMOOTHING_DECADES) ** 2)
        s0, s1, s2 = w.sum(), (w * x).sum(), (w * x * x).sum()
        smooth[i] = ((s2 * w - s1 * w * x) @ values) / (s0 * s2 - s1 * s1)
    return smooth
