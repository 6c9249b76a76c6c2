"""The range test and the training run of one cell, by Lightning, resumable at every epoch."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from transfusion import acceleration
from transfusion.architectures import Network
from transfusion.augmentation import training_inputs
from transfusion.failures import StoppedError
from transfusion.initialization import freeze_stages
from transfusion.learning_rate import RangeTest, range_test
from transfusion.lease import unwatched
from transfusion.module import TrainingModule, masked_loss
from transfusion.randomness import RANGE_TEST, stream, torch_generator
from transfusion.results import atomic
from transfusion.task import Batches

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a trial tells and asks the world while it trains.

    Attributes:
        report: called with the record of every epoch, and `epochs`, the planned number.
        stop: asked after every epoch; True ends the trial with a `StoppedError`, its checkpoint written.
        saved: called after every change of the cell's folder that is worth keeping elsewhere.
        checkpoint_seconds: at least so many seconds between two checkpoints.
        check: called before every write into the cell's folder; raises `LostError` where it may not be.
    """

    report: Report = lambda metrics: None
    stop: Callable[[], bool] = lambda: False
    saved: Callable[[], None] = lambda: None
    checkpoint_seconds: float = 60.0
    check: Callable[[], None] = unwatched


def fit(
    module: TrainingModule,
    epochs: int,
    device: torch.device,
    checkpoint: Path,
    hooks: Hooks,
    room: int = 0,
) -> None:
    """Train `module`, from `checkpoint` if that file exists, else from its range test on.

    Args:
        room: bytes of a GPU's memory that this process may use, its inputs included.

    Raises:
        DivergedError: if a training loss is not finite.
        StoppedError: if the hooks ask to stop before the last epoch.
    """
    resumed = checkpoint.exists()
    if resumed:
        records = torch.load(checkpoint, weights_only=True, map_location="cpu")["records"]
        rates, losses, chosen = records["ladder"]
        module.ladder = RangeTest(np.array(rates), np.array(losses), chosen)
    else:
        start = time.perf_counter()
        module.ladder = find_learning_rate(module, device)
        module.range_test_seconds = time.perf_counter() - start
    if device.type == "cuda":
        accelerate(module, epochs, device, room)
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=epochs,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[EpochEnd(checkpoint, hooks)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=True,
    )
    trainer.fit(module, ckpt_path=checkpoint if resumed else None, weights_only=True)
    module.to(device)  # Lightning's strategy leaves it on the CPU, and it is still to be evaluated


def accelerate(module: TrainingModule, epochs: int, device: torch.device, room: int) -> None:
    """Keep the inputs in the GPU's memory where they fit beside the model; compile where training is long."""
    task, batch_size = module.task, module.recipe.batch_size
    train = [task.rows["train"] + view * len(task.rows["train"]) for view in range(task.views)]
    rows = np.concatenate([*train, task.rows["selection"]])
    module.task = dataclasses.replace(task, resident=acceleration.resident(task.inputs, rows, device, room))
    if module.range_test_seconds is None or module.ladder is None:
        return  # a resumed run, mostly behind it
    steps = epochs * -(-len(task.rows["train"]) // batch_size)
    step = module.range_test_seconds / len(module.ladder.losses)
    if acceleration.worth_compiling(device, step, steps):
        module.compiled = torch.compile(module.network.forward)


class EpochEnd(Checkpoint):
    """Reports every epoch and writes the checkpoint; a `Checkpoint` runs after the module's own hooks."""

    def __init__(self, path: Path, hooks: Hooks) -> None:
        self.path, self.hooks = path, hooks
        self.written = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        last = len(module.epochs) == trainer.max_epochs
        stopping = not last and self.hooks.stop()
        due = time.monotonic() - self.written >= self.hooks.checkpoint_seconds
        if stopping or (due and not last):
            with atomic(self.path, self.hooks.check) as temporary:
                trainer.save_checkpoint(temporary)
            self.hooks.saved()
            self.written = time.monotonic()
        self.hooks.report({**module.epochs[-1], "epochs": trainer.max_epochs})
        if stopping:
            raise StoppedError(f"stopped after epoch {len(module.epochs)} of {trainer.max_epochs}")


def find_learning_rate(module: TrainingModule, device: torch.device) -> RangeTest:
    """The range test of a module on its own training data, batch after batch in an order of its own."""
    task, recipe, network = module.task, module.recipe, module.network
    network.to(device).train()
    if module.frozen:
        assert isinstance(network, Network)
        freeze_stages(network)
    affine = torch_generator(module.seed, RANGE_TEST)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            order = stream(module.seed, RANGE_TEST, epoch)
            yield from Batches(task, task.training_rows(epoch, order), recipe.batch_size, device)
            epoch += 1

    supply = batches()

    def loss_of_step(_step: int) -> Tensor:
        inputs, targets = (part.to(device) for part in next(supply))
        return masked_loss(network(training_inputs(inputs, recipe, affine)), targets)

    return range_test(
        network, loss_of_step, recipe.range_test_low, recipe.range_test_high, recipe.range_test_steps
    )
