"""The seven networks, each a sequence of named stages and a linear head.

CBR (convolution, batch normalisation, ReLU) follows Raghu et al. 2019 (arXiv 1902.07208), appendix A;
the ResNets are torchvision's. A network is `Network(stages, head)`: "the first k stages" means the same
for every architecture, which is what copying and freezing are defined by.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

import torch
import torchvision
from torch import Tensor, nn

from transfusion.cell import Architecture
from transfusion.networks.convolution import Convolution
from transfusion.weights_input import DEFAULT, InputScale

CBR_SHAPES: dict[str, tuple[int, tuple[int, ...], int]] = {
    "cbr_large_tall": (7, (32, 64, 128, 256, 512), 4),
    "cbr_large_wide": (7, (64, 128, 256, 512), 4),
    "cbr_small": (7, (32, 64, 128, 256), 4),
    "cbr_tiny": (5, (32, 64, 128, 256), 4),
}
"""Kernel size, widths, number of max-pools. The paper's text gives CBR-Tiny widths of 64-128-256-512, but
its printed parameter count fits only the widths used here."""

RESNETS: dict[str, Callable[..., torchvision.models.ResNet]] = {
    "resnet18": torchvision.models.resnet18,
    "resnet34": torchvision.models.resnet34,
    "resnet50": torchvision.models.resnet50,
}


class Network(nn.Module):
    """Named stages, global average pooling and a linear head.

    Attributes:
        stages: the backbone from the lowest stage up; each maps [B, C, H, W] to [B, C', H', W'].
        head: [B, features] to [B, outputs] logits.
        reduced: type of the stages' arithmetic where it is not that of their weights; pooling and head keep
            float32, so that logits keep their digits.
        input_factor, input_summand: [3, 1, 1], from normalised images to the scale that the weights were made
            for; None where that is the same. No part of the state: whoever puts such weights in sets it.
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
    if architecture in RESNETS:
        stages, features = _resnet_stages(architecture)
    else:
        stages, features = _cbr_stages(*CBR_SHAPES[architecture])
    network = Network(stages, features, outputs)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = batch_norm_momentum
        elif isinstance(layer, nn.Conv2d):
            Convolution.of(layer)
    return network


def _cbr_stages(kernel: int, widths: tuple[int, ...], pools: int) -> tuple[OrderedDict[str, nn.Module], int]:
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for block, (below, width) in enumerate(zip((3, *widths), widths, strict=False), start=1):
        convolution = nn.Conv2d(below, width, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        if block <= pools:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        stages[f"block{block}"] = nn.Sequential(*layers)
    return stages, widths[-1]


def _resnet_stages(architecture: str) -> tuple[OrderedDict[str, nn.Module], int]:
    net = RESNETS[architecture](weights=None)
    stem = nn.Sequential(OrderedDict(conv1=net.conv1, bn1=net.bn1, relu=net.relu, maxpool=net.maxpool))
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        stem=stem, layer1=net.layer1, layer2=net.layer2, layer3=net.layer3, layer4=net.layer4
    )
    return stages, net.fc.in_features


def parameters(network: nn.Module) -> int:
    """Number of weights, buffers excluded."""
    return sum(weight.numel() for weight in network.parameters())


def depth(network: nn.Module) -> int:
    """Number of weighted layers from input to output; a ResNet's shortcut projections do not count."""
    return sum(
        isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in name
        for name, layer in network.named_modules()
    )


@lru_cache
def size_of(architecture: Architecture, image_size: int) -> dict[str, int]:
    """`parameters`, `depth` and `macs` of a network with one logit."""
    with torch.device("meta"):
        network = build(architecture)
    return {
        "parameters": parameters(network),
        "depth": depth(network),
        "macs": macs(architecture, image_size),
    }


def macs(architecture: Architecture, image_size: int) -> int:
    """Multiply-adds of one forward pass of one square image of `image_size` pixels, one logit.

    Counted from the shapes that the built network's convolutions and head see; nothing is computed.
    """
    total = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel()

    with torch.device("meta"):
        network = build(architecture).eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network(torch.empty(1, 3, image_size, image_size))
    return total
