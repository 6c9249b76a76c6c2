"""`build` makes the network of an entry of `ARCHITECTURES`: a sequence of named stages and a linear head.

"The first k stages" means the same for every architecture, which is what copying and freezing are defined by.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torchvision
from torch import Tensor, nn

from transfusion.architectures import ARCHITECTURES, Architecture, Cbr, Torchvision
from transfusion.networks.convolution import Convolution
from transfusion.weights_input import DEFAULT, InputScale


class Network(nn.Module):
    """Named stages, global average pooling and a linear head.

    Attributes:
        stages: the backbone from the lowest stage up; each maps [B, C, H, W] to [B, C', H', W'].
        head: [B, features] to [B, outputs] logits.
        reduced: type of the stages' arithmetic where it is not that of their weights; pooling and head keep
            float32, so that logits keep their digits.
        input_factor, input_summand: [3, 1, 1], from normalised images to the scale that the weights were made
            for; None where that is the same. Not part of the state: whoever loads such weights sets it.
    """

    reduced: torch.dtype | None = None
    input_factor: Tensor | None
    input_summand: Tensor | None

    def __init__(self, stages: OrderedDict[str, nn.Module], features: int, outputs: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(stages)
        self.head = nn.Linear(features, outputs)
        self.register_buffer("input_factor", None, persistent=False)
        self.register_buffer("input_summand", None, persistent=False)

    def expect(self, scale: InputScale) -> None:
        """Take normalised images from now on as they are made for weights that expect `scale`."""
        if scale == DEFAULT:
            self.input_factor = self.input_summand = None
            return
        self.input_factor, self.input_summand = (
            torch.tensor(values, dtype=torch.float32).view(3, 1, 1) for values in scale.of_normalized()
        )

    def features(self, images: Tensor) -> Tensor:
        """Pooled features [B, features] of float images [B, 1 or 3, H, W]; gray is repeated to 3 channels."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if self.input_factor is not None and self.input_summand is not None:
            images = images * self.input_factor + self.input_summand
        if self.reduced is None:
            return self.stages(images).mean(dim=(2, 3))
        with torch.autocast(images.device.type, self.reduced):
            maps = self.stages(images)
        return maps.float().mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, outputs] of float images [B, 1 or 3, H, W]."""
        return self.head(self.features(images))


def build(architecture: Architecture, outputs: int = 1, batch_norm_momentum: float = 0.1) -> Network:
    """A network with freshly drawn weights (from the global torch generator, which the caller seeds).

    Args:
        outputs: logits of the head, one for each finding or class.
        batch_norm_momentum: weight of the newest batch in the running statistics.
    """
    spec = ARCHITECTURES[architecture]
    backbone = spec.backbone
    stages = _cbr_stages(backbone) if isinstance(backbone, Cbr) else _torchvision_stages(backbone)
    network = Network(stages, spec.features, outputs)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = batch_norm_momentum
        elif isinstance(layer, nn.Conv2d) and Convolution.can_be(layer):
            Convolution.of(layer)
    return network


def _cbr_stages(backbone: Cbr) -> OrderedDict[str, nn.Module]:
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    widths, kernel = backbone.widths, backbone.kernel
    for block, (below, width) in enumerate(zip((3, *widths), widths, strict=False), start=1):
        convolution = nn.Conv2d(below, width, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        if block <= backbone.pools:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        stages[f"block{block}"] = nn.Sequential(*layers)
    return stages


def _torchvision_stages(backbone: Torchvision) -> OrderedDict[str, nn.Module]:
    """Each stage is its one submodule, or a sequence of several under the last parts of their names."""
    net = torchvision.models.get_model(backbone.name, weights=None)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, names in backbone.stages.items():
        parts = OrderedDict((name.rpartition(".")[2], net.get_submodule(name)) for name in names)
        stages[stage] = nn.Sequential(parts) if len(parts) > 1 else net.get_submodule(names[0])
    return stages


def parameters(network: nn.Module) -> int:
    """Number of weights, buffers excluded."""
    return sum(weight.numel() for weight in network.parameters())
