"""Where weights come from, as two operations: copy the first k stages, freeze the first k stages.

`init` and `freeze` of a cell are these with k = all stages or none (weight transfusion, Raghu et al. 2019,
section 5, varies k in between).
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from transfusion.networks.network import Network


class WeightsError(ValueError):
    """Weights that do not fit the network: which tensors are missing, unexpected, or differ in shape."""


def save_stages(network: Network, path: Path) -> None:
    """Write the weights and running statistics of all stages, the head left out, as safetensors."""
    tensors = network.stages.state_dict()
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path)


def load_stages(path: Path) -> dict[str, Tensor]:
    """The tensors that `save_stages` wrote, on the CPU. Nothing in the file can run code."""
    return load_file(path)


def copy_stages(
    network: Network, weights: dict[str, Tensor], stages: int | None = None, source: str = ""
) -> None:
    """Copy `weights` into the first `stages` stages of `network`, or into all of them.

    Args:
        weights: tensors named as in `network.stages.state_dict()`, of all stages.
        source: what the error names as the origin of the weights.

    Raises:
        WeightsError: if names or shapes differ.
    """
    names = [name for name, _ in network.stages.named_children()]
    skipped = set() if stages is None else set(names[stages:])

    def kept(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in tensors.items() if name.split(".")[0] not in skipped}

    own, given = kept(network.stages.state_dict()), kept(weights)
    if found := misfit(own, given):
        raise WeightsError(f"{source or 'weights'} do not fit the network: {found}")
    network.stages.load_state_dict(given, strict=False)


def misfit(own: dict[str, Tensor], given: dict[str, Tensor]) -> str:
    """Which tensors of `given` are missing, unexpected or of another shape than `own`; names at most 20."""
    problems = [f"missing: {name}" for name in own if name not in given]
    problems += [f"too many: {name}" for name in given if name not in own]
    problems += [
        f"shape of {name}: found {tuple(given[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    return "; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if len(problems) > 20 else "")


def freeze_stages(network: Network, stages: int | None = None) -> None:
    """Exclude the first `stages` stages, or all, from training, their batch norms in evaluation mode.

    `network.train()` would put the batch norms back into training mode: call this after it.
    """
    for stage in list(network.stages.children())[:stages]:
        stage.requires_grad_(False)
        stage.eval()
