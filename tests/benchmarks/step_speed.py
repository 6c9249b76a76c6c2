"""Training steps on the CPU: ours, and the same with torch's own convolutions and Adam.

    python tests/benchmarks/step_speed.py [--sizes 24 32 64] [--architectures ...]

One resident batch, one thread, channels last, forward, backward and the step of the optimiser; the two ways
in turn, medians. Ours leave out what only meets padding (`transfusion.networks.convolution`) and step on
weights in
their order of memory (`transfusion.training.optimizer`). `multiply-adds` is the share of the forward pass
that ours compute.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.networks.network import build
from transfusion.training.module import masked_loss
from transfusion.training.optimizer import Adam

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from plain_network import plain

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 32])
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| pixels | architecture | multiply-adds | torch's, images/s | ours, images/s | times as fast |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        for architecture in options.architectures:
            share, plain, ours = speeds(architecture, size, options.rounds)
            print(
                f"| {size} | {architecture} | {share:.2f} | {BATCH / plain:,.1f} | {BATCH / ours:,.1f} "
                f"| {plain / ours:.2f} |",
                flush=True,
            )


def speeds(architecture: Architecture, size: int, rounds: int) -> tuple[float, float, float]:
    """Share of the multiply-adds that ours compute; median seconds of a step with torch's and with ours."""
    torch.manual_seed(0)
    network = build(architecture).to(memory_format=torch.channels_last)
    twin = plain(network)
    images = torch.randn(BATCH, 3, size, size).contiguous(memory_format=torch.channels_last)
    targets = torch.rand(BATCH, 1).round()
    ways = (
        stepper(twin, torch.optim.Adam(twin.parameters(), lr=1e-4, fused=True), images, targets),
        stepper(network, Adam(network.parameters(), lr=1e-4), images, targets),
    )
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for way, found in zip(ways, seconds, strict=True):
            way()  # caches
            for _ in range(3):
                start = time.perf_counter()
                way()
                if turn:
                    found.append(time.perf_counter() - start)
    share = multiply_adds(network, images[:1]) / multiply_adds(twin, images[:1])
    return share, median(seconds[0]), median(seconds[1])


def stepper(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, targets: torch.Tensor
) -> Callable[[], None]:
    """A function that makes one training step."""

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        masked_loss(network(images), targets).backward()
        optimizer.step()

    return step


def multiply_adds(network: nn.Module, images: torch.Tensor) -> int:
    """Of one forward pass, as torch counts what it is asked to compute."""
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    network.train()
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
