"""A training step of a frozen backbone's head: ours against Lightning's loop, in turn, medians.

    python tests/benchmarks/head_speed.py

Batches of 32 of 2,048 features in float16, one thread; both must end in the same bits.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from torch import nn

from transfusion.cell import Recipe
from transfusion.training import fitting, probe
from transfusion.training.module import TrainingModule
from transfusion.training.task import CPU

STEPS, ROUNDS = 256, 3
RECIPE = probe._short(Recipe(image_size=24, batch_size=32))


def trained(features: np.ndarray) -> tuple[float, torch.Tensor]:
    """Milliseconds of a step, the first epoch left out, and the weights at the end."""
    torch.manual_seed(0)
    head = nn.Linear(features.shape[1], 1)
    module = TrainingModule(head, probe._task(features, len(features), 32), RECIPE, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        fitting.fit(module, probe.EPOCHS, CPU, Path(folder) / "checkpoint", probe.NO_CHECKPOINT)
    seconds = [epoch["train_seconds"] for epoch in module.epochs[1:]]
    return 1000 * statistics.median(seconds) / STEPS, head.weight.detach()


def main() -> None:
    torch.set_num_threads(1)
    features = np.random.default_rng(0).random((32 * STEPS, 2048), np.float32).astype(np.float16)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(trained(features))
        with mock.patch.object(fitting, "trains_features", return_value=False):
            theirs.append(trained(features))
    assert torch.equal(ours[0][1], theirs[0][1])
    own, lightnings = (statistics.median(took for took, _ in runs) for runs in (ours, theirs))
    print(f"{own:.2f} ms a step, by Lightning's loop {lightnings:.2f}: {lightnings / own:.2f} times as fast")


if __name__ == "__main__":
    main()
