"""Training of a head on features, step by step, without Lightning's loop around each of its small steps.

Such a step multiplies a batch of features with one column of weights: a loop made for large networks takes
longer than that, and on a GPU so does the launch of its kernels. Module, hooks and checkpoint are the same,
and so are the results, to the bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch

from transfusion.training.module import TrainingModule
from transfusion.training.task import CPU


class Watch(Protocol):
    """What looks on: see `fitting.Keeper`."""

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None: ...

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None: ...


class HeadTrainer:
    """Trains the head of a `TrainingModule` on the CPU; stands where Lightning's trainer does.

    Args:
        module: its network is the head alone, its task's inputs are features.

    Attributes:
        max_epochs: the planned number.
        current_epoch: counted from 0.
        is_last_batch: of the epoch.
    """

    def __init__(self, module: TrainingModule, epochs: int, watch: Watch) -> None:
        self.module, self.watch = module, watch
        self.max_epochs, self.current_epoch, self.is_last_batch = epochs, 0, False

    def fit(self, checkpoint: Path | None) -> None:
        """Train to the last epoch, from `checkpoint` on where there is one.

        Raises:
            DivergedError: a training loss is not finite.
            StoppedError: the watch asks to stop.
        """
        module = self.module
        module.to(CPU)
        state = torch.load(checkpoint, weights_only=True, map_location=CPU) if checkpoint else None
        if state is not None:
            module.load_state_dict(state["state_dict"])
            module.on_load_checkpoint(state)
        self.optimizer = module.configure_optimizers()
        if state is not None:
            self.optimizer.load_state_dict(state["optimizer_states"][0])
        for epoch in range(len(module.epochs), self.max_epochs):
            self.current_epoch = epoch
            if module.begun:
                module.on_train_start()
            else:
                module.on_train_epoch_start()
            self._train()
            self._validate()
            module.on_train_epoch_end()
            self.watch.on_train_epoch_end(self, module)

    def _train(self) -> None:
        module, optimizer = self.module, self.optimizer
        module.train()
        batches = module.train_dataloader()
        for index, batch in enumerate(batches, batches.skip):
            self.is_last_batch = index + 1 == len(batches)
            loss = module.training_step(batch, index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.watch.on_train_batch_end(self, module, loss, batch, index)

    @torch.inference_mode()
    def _validate(self) -> None:
        self.module.eval()
        self.module.on_validation_epoch_start()
        for index, batch in enumerate(self.module.val_dataloader()):
            self.module.validation_step(batch, index)

    def save_checkpoint(self, path: Path) -> None:
        """Write the state, under the names that Lightning gives its parts."""
        state: dict[str, Any] = {
            "state_dict": self.module.state_dict(),
            "optimizer_states": [self.optimizer.state_dict()],
        }
        self.module.on_save_checkpoint(state)
        torch.save(state, path)


def trains_features(network: torch.nn.Module, inputs: Any) -> bool:
    """Whether `network` is a head, and its inputs are features rather than images."""
    return isinstance(network, torch.nn.Linear) and inputs.ndim == 2
