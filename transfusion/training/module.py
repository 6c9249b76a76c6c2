"""The LightningModule: a network with its loss, optimiser, scheduler and records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from transfusion.cell import Recipe
from transfusion.networks.initialization import freeze_stages
from transfusion.networks.network import Network
from transfusion.records.failures import DivergedError
from transfusion.training.augmentation import evaluation_inputs, training_inputs
from transfusion.training.metrics import auroc
from transfusion.training.optimizer import Adam
from transfusion.training.randomness import AFFINE, ORDER, stream, torch_generator
from transfusion.training.range_test import RangeTest
from transfusion.training.schedule import EVALUATION_BATCH
from transfusion.training.task import Batches, Task


def masked_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy for integer classes [B], else binary cross-entropy over known targets [B, 1]."""
    if not targets.is_floating_point():
        return functional.cross_entropy(logits, targets)
    known = torch.isfinite(targets)
    losses = functional.binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


class TrainingModule(pl.LightningModule):
    """Trains `network` on a task by the recipe: Adam, and the rate divided on a plateau of the training loss.

    Args:
        network: a whole network, or its head alone where the task's inputs are features.
        frozen: keep the stages of a whole network frozen.

    Attributes:
        ladder: the learning-rate range test; its rate is the initial one.
        epochs: one record per epoch: epoch, train_loss, selection_loss, selection_auroc, learning_rate,
            seconds, train_seconds.
        steps: training loss of every optimiser step.
        best_epoch: the epoch with the highest selection AUROC; between equals, or without one, the one with
            the lowest selection loss.
        best_state: the network's state after that epoch.
        compiled: the network as training steps call it: itself, or its compiled twin on the same weights.
        compiling: `no`, `yes`, or why it cannot be compiled.
        range_test_seconds: time of the range test; None where an interrupted run had done it.
        step_seconds: of a step of the range test, also where an interrupted run had done it.
        begun: what a checkpoint within an epoch holds of that epoch, until training goes on in it.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        recipe: Recipe,
        *,
        seed: int,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.frozen = network, frozen
        self.compiled: Callable[[Tensor], Tensor] = network.__call__  # no second submodule in checkpoints
        self.task, self.recipe, self.seed = task, recipe, seed
        self.ladder: RangeTest | None = None
        self.compiling = "no"
        self.range_test_seconds: float | None = None
        self.step_seconds = 0.0
        self.begun: dict[str, Any] | None = None
        self.step_losses: list[Tensor] = []
        self.step_sizes: list[int] = []
        self.epochs: list[dict[str, Any]] = []
        self.steps: list[float] = []
        self.best_epoch, self.best_score = 0, (-np.inf, -np.inf)
        self.best_state: dict[str, Tensor] = {}
        self.plateau_state: dict[str, Any] | None = None

    # -- data

    @property
    def epoch(self) -> int:
        """The epoch that is trained, counted from 0; also without a trainer."""
        return len(self.epochs)

    def train_dataloader(self) -> Batches:
        order = stream(self.seed, ORDER, self.epoch)
        rows = self.task.training_rows(self.epoch, order)
        skip = len(self.begun["sizes"]) if self.begun else 0
        return Batches(self.task, rows, self.recipe.batch_size, self.device, skip)

    def val_dataloader(self) -> Batches:
        return Batches(self.task, self.task.rows["selection"], EVALUATION_BATCH, self.device)

    # -- training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.freeze_backbone()  # a resumed cell's has not been by a range test
        trained = [weight for weight in self.network.parameters() if weight.requires_grad]
        assert self.ladder is not None, "the range test comes before the optimiser"
        optimizer = Adam(trained, lr=self.ladder.chosen)
        # Stepped in on_train_epoch_end, not by Lightning, so that a checkpoint written there is complete.
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=self.recipe.plateau_factor, patience=self.recipe.plateau_patience
        )
        if self.plateau_state is not None:
            self.plateau.load_state_dict(self.plateau_state)
        return optimizer

    def on_train_start(self) -> None:
        if self.begun:  # Lightning goes on within the epoch, and calls no `on_train_epoch_start`
            self._start_epoch()
            self.affine.set_state(self.begun["affine"])
            self.step_losses = list(self.begun["losses"].to(self.device))
            self.step_sizes = self.begun["sizes"]
            self.epoch_start -= self.begun["seconds"]

    def on_train_epoch_start(self) -> None:
        self._start_epoch()

    def freeze_backbone(self) -> None:
        """Freeze what is not trained; after `train()`, which undoes a part of it."""
        if self.frozen:
            assert isinstance(self.network, Network)
            freeze_stages(self.network)

    @property
    def head_alone(self) -> bool:
        """Whether the head is all that is trained: of a frozen network, or on features."""
        return self.frozen or np.issubdtype(self.task.inputs.dtype, np.floating)

    def _start_epoch(self) -> None:
        self.freeze_backbone()
        self.affine = torch_generator(self.seed, AFFINE, self.epoch)
        self.step_losses, self.step_sizes = [], []
        self.epoch_start = time.perf_counter()

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        inputs, targets = batch
        # What was compiled is so for whole batches; the last one of an epoch may be smaller.
        network = self.compiled if len(inputs) == self.recipe.batch_size else self.network
        loss = masked_loss(network(training_inputs(inputs, self.recipe, self.affine)), targets)
        self.step_losses.append(loss.detach())
        self.step_sizes.append(len(inputs))
        return loss

    # -- selection

    def on_validation_epoch_start(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.train_seconds = time.perf_counter() - self.epoch_start
        self.selection: list[tuple[Tensor, Tensor]] = []

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        inputs, targets = batch
        self.selection.append((self.network(evaluation_inputs(inputs)), targets))

    def on_train_epoch_end(self) -> None:
        losses = torch.stack(self.step_losses).cpu().double().numpy()
        rate = self.plateau.optimizer.param_groups[0]["lr"]
        if not np.isfinite(losses).all():
            first = int(np.flatnonzero(~np.isfinite(losses))[0])
            self.steps.extend(losses[:first].tolist())
            raise DivergedError(
                f"training loss became {losses[first]} at step {len(self.steps) + 1} in epoch "
                f"{self.epoch + 1}, learning rate {rate:.3g}"
            )
        self.steps.extend(losses.tolist())
        train_loss = float(np.average(losses, weights=self.step_sizes))
        logits, targets = (torch.cat(part).cpu() for part in zip(*self.selection, strict=True))
        if not torch.isfinite(logits).all():  # as the losses of the next epoch would be, if there were one
            raise DivergedError(
                f"logits of the selection part are not finite after epoch {self.epoch + 1}, whose training "
                f"losses all are; learning rate {rate:.3g}"
            )
        selection_loss = float(masked_loss(logits, targets))
        area = auroc(targets[:, 0].numpy(), logits[:, 0].numpy()) if targets.is_floating_point() else None
        score = (0.0 if area is None else area, -selection_loss)
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch + 1, score
            self.best_state = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.plateau.step(train_loss)
        self.epochs.append(
            {
                "epoch": self.epoch + 1,
                "train_loss": train_loss,
                "selection_loss": selection_loss,
                "selection_auroc": area,
                "learning_rate": rate,
                "seconds": time.perf_counter() - self.epoch_start,
                "train_seconds": self.train_seconds,
            }
        )
        self.step_losses, self.step_sizes, self.begun = [], [], None

    # -- checkpoint and records

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert self.ladder is not None
        checkpoint["records"] = {
            "ladder": (
                self.ladder.rates.tolist(),
                self.ladder.losses.tolist(),
                self.ladder.chosen,
                self.ladder.edge,
            ),
            "epochs": self.epochs,
            "steps": self.steps,
            "best": (self.best_epoch, self.best_score, self.best_state),
            "plateau": self.plateau.state_dict(),
            "step_seconds": self.step_seconds,
            "begun": {
                "losses": torch.stack(self.step_losses).cpu(),
                "sizes": self.step_sizes,
                "affine": self.affine.get_state(),
                "seconds": time.perf_counter() - self.epoch_start,
            }
            if self.step_losses
            else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        records = checkpoint["records"]
        self.epochs, self.steps = records["epochs"], records["steps"]
        self.best_epoch, self.best_score, self.best_state = records["best"]
        self.plateau_state = records["plateau"]
        self.step_seconds, self.begun = records["step_seconds"], records["begun"]

    def restore_best(self) -> None:
        """Put the network into its state after the best epoch."""
        self.network.load_state_dict(self.best_state)

    def summary(self) -> dict[str, Any]:
        """The metrics of training, named as in `trials.parquet`."""
        train_seconds = sum(epoch["train_seconds"] for epoch in self.epochs)
        best = self.epochs[self.best_epoch - 1]
        return {
            **self.start(),
            "epochs": len(self.epochs),
            "best_epoch": self.best_epoch,
            "train_loss": self.epochs[-1]["train_loss"],
            "selection_loss": best["selection_loss"],
            "selection_auroc": best["selection_auroc"],
            "range_test_seconds": self.range_test_seconds,
            "train_seconds": train_seconds,
            "epoch_seconds": sum(epoch["seconds"] for epoch in self.epochs),
            "images_per_second": len(self.epochs) * len(self.task.rows["train"]) / train_seconds,
        }

    def start(self) -> dict[str, Any]:
        """What the range test chose, named as in `trials.parquet`."""
        assert self.ladder is not None
        return {"learning_rate": self.ladder.chosen, "rate_at_edge": self.ladder.edge}

    def tables(self) -> dict[str, dict[str, Any]]:
        """Columns of the tables `epochs`, `steps` and `range_test`."""
        assert self.ladder is not None
        steps_per_epoch = -(-len(self.task.rows["train"]) // self.recipe.batch_size)
        step = np.arange(len(self.steps))
        losses = [loss if np.isfinite(loss) else None for loss in self.ladder.losses]
        columns = ("epoch", "train_loss", "selection_loss", "selection_auroc", "learning_rate", "seconds")
        return {
            "epochs": {name: [epoch[name] for epoch in self.epochs] for name in columns},
            "steps": {"step": step + 1, "epoch": step // steps_per_epoch + 1, "train_loss": self.steps},
            "range_test": {
                "step": np.arange(len(losses)) + 1,
                "learning_rate": self.ladder.rates,
                "loss": losses,
            },
        }
