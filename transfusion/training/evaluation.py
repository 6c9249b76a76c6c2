"""Predictions of a trained network on the test and official parts, and their areas under curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from transfusion.data.dataset import Dataset
from transfusion.training.augmentation import evaluation_inputs
from transfusion.training.metrics import auprc, auroc, study_maximum
from transfusion.training.schedule import EVALUATION_BATCH
from transfusion.training.task import Batches, Task


@torch.no_grad()
def predict(network: nn.Module, task: Task, rows: np.ndarray, device: torch.device) -> np.ndarray:
    """Logits float32 [n, outputs] of the given rows, the network in evaluation mode."""
    if not len(rows):
        return np.empty((0, task.outputs), np.float32)
    network.eval()
    logits = [
        network(evaluation_inputs(inputs.to(device))).float().cpu().numpy()
        for inputs, _ in Batches(task, rows, EVALUATION_BATCH, device)
    ]
    return np.concatenate(logits)


def evaluate(
    network: nn.Module, task: Task, dataset: Dataset, device: torch.device
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Predict `test` and `official`, image by image.

    Returns:
        The columns of the table `predictions`, and the metrics `test_auroc`, `test_auprc`, `official_auroc`,
        `official_auprc` and `official_study_auroc` (maximum over the views of a study); undefined ones None.
    """
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("split", "image", "patient", "study", "label", "logit")
    }
    areas: dict[str, float | None] = {}
    for part in ("test", "official"):
        logits = predict(network, task, task.rows[part], device)[:, 0]
        labels = task.targets[task.rows[part], 0]
        frame = dataset.frame.iloc[dataset.rows(part)]
        areas |= {f"{part}_auroc": auroc(labels, logits), f"{part}_auprc": auprc(labels, logits)}
        if part == "official":
            areas["official_study_auroc"] = auroc(*study_maximum(frame["study"].to_numpy(), labels, logits))
        columns["split"].append(np.full(len(frame), part))
        for name in ("image", "patient", "study"):
            columns[name].append(frame[name].to_numpy())
        columns["label"].append(labels)
        columns["logit"].append(logits)
    return {name: np.concatenate(parts) for name, parts in columns.items()}, areas
