"""The learning-rate range test (Smith, arXiv 1506.01186, section 3.3) and the choice from its curve.

The rate rises exponentially, one optimiser step at each rung, while the loss is recorded. Smith reads two
rates by eye: the one from which the loss falls, and the one at which it becomes ragged or rises; a good rate
lies between them. Here it is the mean of the ladder's rates on the logarithmic scale, each weighted by how
low the loss stands after it. On a clear valley that is the middle of its floor; on a short, noisy ladder no
single batch decides, and a curve that says nothing gives the middle of the ladder.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from transfusion.training.optimizer import Adam

EXPLODED = 4.0
"""The ladder ends once the loss exceeds this multiple of the first rungs' median."""

POWER = 4.0
"""A rate that halves the loss weighs 2 to this power as much."""

EDGE = 0.2
"""A choice in the outer fifth of the ladder, on the logarithmic scale, is one that its end has cut off."""

Edge = Literal["no", "low", "high"]


@dataclass(frozen=True)
class RangeTest:
    """The curve of one range test and the rate chosen from it.

    Attributes:
        rates: of the rungs, float64 [rungs].
        losses: after the step at each rate, on the batch that comes next; float64 [rungs], NaN or infinite
            where the step left no finite loss.
        chosen: the learning rate to train with.
        edge: the end of the ladder that cut the choice off, or `no`.
    """

    rates: np.ndarray
    losses: np.ndarray
    chosen: float
    edge: Edge


def range_test(
    network: nn.Module, loss_of_step: Callable[[int], Tensor], low: float, high: float, steps: int
) -> RangeTest:
    """Climb from `low` to `high` with Adam; `network` has its state back afterwards.

    The loss of a batch tells of the steps before it: it belongs to the rate of the last of them.

    Args:
        network: the module whose trainable weights are stepped.
        loss_of_step: the training loss, with its graph, of the batch of the given step, 0 to `steps`; the
            last is only looked at.

    Raises:
        ValueError: if the first loss is not finite, before any step.
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
    else:
        with torch.no_grad():
            losses.append(float(loss_of_step(steps)))
    network.load_state_dict(before)
    optimizer.zero_grad()
    if not np.isfinite(losses[0]):
        raise ValueError(
            f"range test: found a loss of {losses[0]} before the first step, expected a finite one; check "
            "data and recipe"
        )
    curve = np.array(losses[1:])
    rates = ladder[: len(curve)]
    chosen = choose(rates, curve) if len(curve) else float(low)
    return RangeTest(rates, curve, chosen, edge_of(chosen, low, high))


def choose(rates: np.ndarray, losses: np.ndarray) -> float:
    """The mean of the rates on the logarithmic scale, weighted by the losses to the power of -`POWER`.

    Rungs with a loss that is not finite weigh nothing; where none is finite, the answer is the lowest rate.

    Args:
        rates: ascending learning rates, spaced evenly on the logarithmic scale, [rungs], one or more.
        losses: training losses after the step at each rate, not negative, [rungs].
    """
    finite = np.isfinite(losses)
    if not finite.any():
        return float(rates[0])
    logs = np.log(losses[finite] + 1e-6)
    weights = np.exp(-POWER * (logs - logs.min()))
    return float(np.exp(weights @ np.log(rates[finite]) / weights.sum()))


def edge_of(chosen: float, low: float, high: float) -> Edge:
    """The end of the ladder from `low` to `high` in whose outer fifth `chosen` lies."""
    if high <= low:
        return "no"
    place = np.log(chosen / low) / np.log(high / low)
    if place < EDGE:
        return "low"
    return "high" if place > 1 - EDGE else "no"
