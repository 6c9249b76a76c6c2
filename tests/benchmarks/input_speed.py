"""Training through the real input pipeline against the same network fed one resident batch.

    python tests/benchmarks/input_speed.py [--sizes 32 224] [--device cpu|cuda]

Every epoch of a Lightning run (cache, batched affine, normalisation, transfer) is followed by as many
steps of a plain loop on one batch that is already normalised and on the device. Prints the medians of both,
their ratio, and the share of the device's arithmetic peak that the real run reaches. The peak is a square
matrix product in the precision of the run; training counts six operations for every multiply-add of a forward
pass. On the CPU one thread trains, and 224 pixels take batches of 8.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import Recipe
from transfusion.networks.network import build
from transfusion.training import acceleration
from transfusion.training.fitting import Hooks, fit
from transfusion.training.module import TrainingModule, masked_loss
from transfusion.training.optimizer import Adam
from transfusion.training.task import Task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--epochs", type=int, default=5, help="of which the first is left out")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    peak = peak_operations(device)
    print(f"peak of a matrix product: {peak / 1e9:,.0f} GFLOP/s\n")
    print("| pixels | architecture | resident, images/s | real, images/s | ratio | share of peak |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        for architecture in options.architectures:
            real, resident = speeds(architecture, size, device, options.epochs)
            operations = 6 * ARCHITECTURES[architecture].macs(size)
            print(
                f"| {size} | {architecture} | {resident:,.1f} | {real:,.1f} | {real / resident:.2f} "
                f"| {real * operations / peak:.2f} |",
                flush=True,
            )


def peak_operations(device: torch.device) -> float:
    """Operations a second of a matrix product, the best of some."""
    size = 2048 if device.type == "cpu" else 8192
    factor = torch.randn(size, size, device=device, dtype=acceleration.reduced_type(device) or torch.float32)
    seconds = []
    for _ in range(8):
        synchronize(device)
        start = time.perf_counter()
        factor @ factor
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def speeds(architecture: Architecture, size: int, device: torch.device, epochs: int) -> tuple[float, float]:
    """Images a second in training: through the pipeline, and on one resident batch; medians of the epochs."""
    torch.backends.cudnn.deterministic = True  # as in a trial
    batch, steps = (32, 64) if device.type == "cuda" else (8, 2) if size > 64 else (32, 4)
    images = batch * steps
    recipe = Recipe(
        image_size=size, batch_size=batch, epochs=epochs, range_test_steps=1, range_test_high=1e-4,
        range_test_low=1e-5,
    )  # fmt: skip
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        pixels = np.memmap(Path(folder) / "cache", np.uint8, "w+", shape=(images + 2, 1, size, size))
        pixels[:] = generator.integers(0, 256, pixels.shape, np.uint8)
        labels = (np.arange(images + 2) % 2).astype(np.float32)[:, None]
        rows = {"train": np.arange(images), "selection": np.arange(images, images + 2)}
        network = build(architecture)
        network.reduced = acceleration.reduced_type(device)
        network.to(device).to(memory_format=torch.channels_last)
        twin = copy.deepcopy(network)
        module = TrainingModule(network, Task(pixels, labels, 1, rows), recipe, seed=0)
        optimizer = Adam(twin.parameters(), lr=1e-5)
        fixed = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
        targets = torch.from_numpy(labels[:batch]).to(device)
        plain: list[float] = []

        def resident(_metrics: object) -> None:
            twin.train()
            synchronize(device)
            start = time.perf_counter()
            with torch.enable_grad():
                for _ in range(steps):
                    optimizer.zero_grad()
                    masked_loss(twin(fixed), targets).backward()
                    optimizer.step()
            synchronize(device)
            plain.append(time.perf_counter() - start)

        fit(module, epochs, device, Path(folder) / "checkpoint.pt", Hooks(report=resident))
    real = [epoch["train_seconds"] for epoch in module.epochs]
    return images / median(real[1:]), images / median(plain[1:])


def synchronize(device: torch.device) -> None:
    """Wait for the device to have finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
