"""The range test and the training run of one cell, by Lightning, resumable at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import Tensor

from transfusion.files import atomic, unwatched
from transfusion.records.failures import StoppedError
from transfusion.training import acceleration
from transfusion.training.augmentation import training_inputs
from transfusion.training.head_fitting import HeadTrainer, trains_features
from transfusion.training.module import TrainingModule, masked_loss
from transfusion.training.randomness import RANGE_TEST, stream, torch_generator
from transfusion.training.range_test import RangeTest, range_test
from transfusion.training.task import Batches

Report = Callable[[dict[str, Any]], None]


HEAD_RATES = 10.0
"""A head alone is a linear model: it bears, and in few steps needs, rates so many times a network's."""

WRITING_SHARE = 0.01
"""Of the time of training that may go into checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Callbacks of a trial: progress, checkpoints, stop requests, the lease.

    Attributes:
        report: called with the record of every epoch, and `epochs`, the planned number.
        stop: asked after every epoch, and after a step where `stop_seconds` have gone by since it was last
            asked; True ends the trial with a `StoppedError`, its checkpoint written.
        saved: called after every change of the cell's folder that is worth keeping elsewhere.
        checkpoint_seconds: at least so many seconds between two checkpoints, and so many more that
            writing them takes at most `WRITING_SHARE` of the time; 0 writes one after every step.
        stop_seconds: at least so many seconds between two questions within an epoch.
        check: called before every write into the cell's folder; raises `LostError` where it may not be.
    """

    report: Report = lambda metrics: None
    stop: Callable[[], bool] = lambda: False
    saved: Callable[[], None] = lambda: None
    checkpoint_seconds: float = 60.0
    stop_seconds: float = 1.0
    check: Callable[[], None] = unwatched


def fit(module: TrainingModule, epochs: int, device: torch.device, checkpoint: Path, hooks: Hooks) -> None:
    """Train `module`, from `checkpoint` if that file exists, else from its range test on.

    A module that has its `ladder` is trained at the rate of that.

    Raises:
        DivergedError: if a training loss, or after it a logit of the selection part, is not finite.
        StoppedError: if the hooks ask to stop before the last epoch is over.
    """
    resumed, done = checkpoint.exists(), 0
    if resumed:
        records = torch.load(checkpoint, weights_only=True, map_location="cpu")["records"]
        rates, losses, chosen, edge = records["ladder"]
        module.ladder = RangeTest(np.array(rates), np.array(losses), chosen, edge)
        module.step_seconds, done = records["step_seconds"], len(records["epochs"])
    elif module.ladder is None:
        start = time.perf_counter()
        module.ladder = find_learning_rate(module, device)
        module.range_test_seconds = time.perf_counter() - start
        module.step_seconds = module.range_test_seconds / (len(module.ladder.losses) + 1)
    keeper = Keeper(checkpoint, hooks)
    if trains_features(module.network, module.task.inputs):
        HeadTrainer(module, epochs, keeper).fit(checkpoint if resumed else None)
        return
    compile_where_worth(module, epochs - done, device)
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=epochs,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[keeper],
        # A trial is one process: without this, Lightning takes a batch job's tasks for the trial's own.
        plugins=[LightningEnvironment()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=True,
    )
    trainer.fit(module, ckpt_path=checkpoint if resumed else None, weights_only=True)
    module.to(device)  # Lightning's strategy leaves it on the CPU, and it is still to be evaluated


def compile_where_worth(module: TrainingModule, epochs: int, device: torch.device) -> None:
    """Compile the network where so many epochs take long on this device, if it can be."""
    task, recipe, network = module.task, module.recipe, module.network
    rows = task.rows["train"][: recipe.batch_size]
    steps = epochs * (len(task.rows["train"]) // recipe.batch_size)
    if not acceleration.worth_compiling(device, module.step_seconds, steps) or not steps:
        return
    network.to(device).train()
    module.freeze_backbone()
    ((inputs, _),) = Batches(task, rows, recipe.batch_size, device)
    example = training_inputs(inputs, recipe, torch.Generator())
    module.compiled, module.compiling = acceleration.compiled(network, example)


class Keeper(Checkpoint):
    """Reports every epoch, writes the checkpoint, and ends the trial where that is asked.

    Within an epoch it is written after a step, but for the last one, which the end of the epoch follows. A
    `Checkpoint` runs after the module's own hooks.
    """

    def __init__(self, path: Path, hooks: Hooks) -> None:
        self.path, self.hooks = path, hooks
        self.due = time.monotonic() + hooks.checkpoint_seconds
        self.question = time.monotonic() + hooks.stop_seconds
        self.warm = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.warm:
            acceleration.warmed_up(module.device)
            self.warm = True
        now = time.monotonic()
        if trainer.is_last_batch or now < min(self.due, self.question):
            return
        stopping = False
        if now >= self.question:
            stopping = self.hooks.stop()
            self.question = now + self.hooks.stop_seconds
        if stopping or now >= self.due:
            self.write(trainer)
        if stopping:
            raise StoppedError(f"stopped after step {batch_idx + 1} of epoch {trainer.current_epoch + 1}")

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        last = len(module.epochs) == trainer.max_epochs
        stopping = not last and self.hooks.stop()
        if stopping or (time.monotonic() >= self.due and not last):
            self.write(trainer)
        self.hooks.report({**module.epochs[-1], "epochs": trainer.max_epochs})
        if stopping:
            raise StoppedError(f"stopped after epoch {len(module.epochs)} of {trainer.max_epochs}")

    def write(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint, and see when the next one is due."""
        start = time.monotonic()
        with atomic(self.path, self.hooks.check) as temporary:
            trainer.save_checkpoint(temporary)
        self.hooks.saved()
        end = time.monotonic()
        if self.hooks.checkpoint_seconds:
            self.due = end + pause(end - start, self.hooks.checkpoint_seconds)


def pause(writing: float, least: float) -> float:
    """Seconds until the next checkpoint, where the last one took `writing` seconds."""
    return max(least, writing * (1 / WRITING_SHARE - 1))


def find_learning_rate(module: TrainingModule, device: torch.device) -> RangeTest:
    """The range test of a module on its own training data, batch after batch in an order of its own."""
    task, recipe, network = module.task, module.recipe, module.network
    network.to(device).train()
    module.freeze_backbone()
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

    scale = HEAD_RATES if module.head_alone else 1.0
    return range_test(
        network,
        loss_of_step,
        scale * recipe.range_test_low,
        scale * recipe.range_test_high,
        recipe.range_test_steps,
    )
