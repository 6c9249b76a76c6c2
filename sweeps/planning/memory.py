"""How much device memory a cell needs: measured where one like it has run, else by arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from transfusion.architectures import Architecture
from transfusion.cell import Cell, Freeze, Recipe
from transfusion.training.schedule import (
    CONTEXT_BYTES,
    COPIES_OF_ACTIVATIONS,
    COPIES_OF_WEIGHTS,
    EVALUATION_BATCH,
)

MARGIN = 1.25
"""Room for fragmentation."""

Key = tuple[Architecture, int, int, Freeze]
"""Architecture, image size, batch size and what is frozen: a frozen backbone keeps nothing to go backward.
Training images and features stay in the host's memory and on its disk, a batch of them excepted."""


def needed_bytes(cell: Cell, recipe: Recipe, measured: Mapping[Key, int], element_bytes: int = 4) -> int:
    """Device memory that a trial of `cell` needs, context and margin included.

    Args:
        measured: the largest peak of finished cells that are alike in `Key`.
        element_bytes: of an activation: `Resources.element_bytes`.
    """
    key: Key = (cell.architecture, recipe.image_size, recipe.batch_size, cell.freeze)
    peak = measured.get(key)
    return int(CONTEXT_BYTES + MARGIN * (estimate(*key, element_bytes) if peak is None else peak))


def measured_peaks(records: Mapping[str, dict[str, Any]]) -> dict[Key, int]:
    """The largest peak of device memory of finished cells, by what makes them alike."""
    peaks: dict[Key, int] = {}
    for record in records.values():
        if peak := record["metrics"].get("device_memory_bytes"):
            recipe = record["recipe"]
            axes = record["cell"]
            key = (axes["architecture"], recipe["image_size"], recipe["batch_size"], axes["freeze"])
            peaks[key] = max(peak, peaks.get(key, 0))
    return peaks


@lru_cache
def estimate(
    architecture: Architecture,
    image_size: int,
    batch_size: int,
    freeze: Freeze = "none",
    element_bytes: int = 4,
) -> int:
    """Bytes of weights and activations in training, counted from the shapes that every layer gives out."""
    import torch  # only a GPU's memory is reckoned with

    from transfusion.networks.network import build, parameters

    elements = 0

    def count(layer: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        nonlocal elements
        elements += output.numel()

    with torch.device("meta"):
        network = build(architecture).eval()
        for layer in network.modules():
            if not list(layer.children()):
                layer.register_forward_hook(count)
        network(torch.empty(1, 3, image_size, image_size))
    frozen = freeze == "backbone"
    training = 0 if frozen else COPIES_OF_ACTIVATIONS * elements * batch_size
    evaluating = elements * max(EVALUATION_BATCH, batch_size if frozen else 0) // 2
    copies = 1 if frozen else COPIES_OF_WEIGHTS
    return 4 * copies * parameters(network) + element_bytes * max(training, evaluating)
