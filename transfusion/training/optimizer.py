"""Adam on weights as they lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Adam(torch.optim.Adam):
    """torch's fused Adam, which on the CPU copies every weight that is channels last to and fro at each step.

    It is given the weights in their order of memory instead; what it computes is the same to the bit.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        self.weights = list(weights)
        self.stored = [in_memory_order(weight.detach(), weight) for weight in self.weights]
        super().__init__(self.stored, lr=lr, fused=True)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; they are always set to None."""
        for tensor in (*self.weights, *self.stored):
            tensor.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes loss and gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for stored, weight in zip(self.stored, self.weights, strict=True):
            stored.grad = None if weight.grad is None else in_memory_order(weight.grad, weight)
        super().step()
        return loss


def in_memory_order(tensor: Tensor, weight: Tensor) -> Tensor:
    """A view of `tensor`, shaped as `weight`, whose last axis is the one along which `weight` is stored."""
    channels_last = weight.ndim == 4 and not weight.is_contiguous()
    return tensor.permute(0, 2, 3, 1) if channels_last else tensor
