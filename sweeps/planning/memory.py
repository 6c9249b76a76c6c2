"""How much device memory a cell needs: measured where one like it has run, else by arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sweeps.planning.resources import Resources
from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.cell import Cell, Freeze, Recipe
from transfusion.problems import SettingError
from transfusion.training.schedule import (
    CONTEXT_BYTES,
    COPIES_OF_ACTIVATIONS,
    COPIES_OF_WEIGHTS,
    EVALUATION_BATCH,
)

HOST_BYTES = 560 * 2**20
"""What a process that trains on the CPU takes before it has a network: torch for CUDA, Lightning, Ray, pandas
(from 615 MiB that were measured with cbr_tiny at 32 pixels, torch 2.14.1)."""

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


def needed_on_cpu(cell: Cell) -> int:
    """The least of the host's memory that a trial of `cell` needs on a CPU, in bytes: without activations."""
    copies = 1 if cell.freeze == "backbone" else COPIES_OF_WEIGHTS
    return HOST_BYTES + 4 * copies * ARCHITECTURES[cell.architecture].parameters


def first_share(cell: Cell, recipe: Recipe, at_hand: Resources, measured: Mapping[Key, int]) -> float:
    """The share of a device that a first attempt of `cell` gets; `measured` as for `needed_bytes`."""
    if at_hand.device == "cpu":
        return at_hand.share(needed_on_cpu(cell))
    return at_hand.share(needed_bytes(cell, recipe, measured, at_hand.element_bytes))


def refuse_too_large(missing: Iterable[Cell], wanted: Iterable[Cell], memory: int | None) -> None:
    """Make sure that every missing cell fits into the memory that trials on this machine's CPU have.

    Args:
        wanted: all cells of the plan, from which what does fit is named.
        memory: in bytes; None where nothing bounds it.

    Raises:
        SettingError: with the networks that do not.
    """
    if memory is None:
        return
    needs = {cell.architecture: needed_on_cpu(cell) for cell in sorted(missing, key=needed_on_cpu)}
    large = {name: need for name, need in needs.items() if need > memory}
    if large:
        needed = ", ".join(f"{name} {need / 2**20:,.0f} MiB" for name, need in large.items())
        small = list(dict.fromkeys(cell.architecture for cell in wanted if cell.architecture not in large))
        cure = f", or train less: --architectures {' '.join(small)}" if small else ""
        raise SettingError(
            f"memory: found {memory / 2**20:,.0f} MiB for trials (free, less what Ray takes), expected "
            f"enough for a trial of each network: {needed}, and its activations; give this machine or "
            f"container more{cure}"
        )


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
