"""The networks of the study, each one entry of `ARCHITECTURES`: all that the program knows of it.

Adding an entry is all that a new network needs (docs/extending.md). No torch here: planning reads these facts
without building a network, and a test holds them against the networks that `transfusion.networks` builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Architecture = str
"""A key of `ARCHITECTURES`; `Cell` refuses others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cbr:
    """Blocks of convolution, batch norm and ReLU (Raghu et al. 2019, arXiv 1902.07208, appendix A).

    Attributes:
        kernel: pixels of the square kernels.
        widths: channels of each block.
        pools: how many blocks, from the first, end with a max-pool of stride 2.
    """

    kernel: int
    widths: tuple[int, ...]
    pools: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Torchvision:
    """A classifier of `torchvision.models`, whose head and pooling are replaced by ours.

    Attributes:
        name: as `torchvision.models.get_model` takes it.
        stages: stage -> the submodules that it runs one after the other (`features.0`), lowest first.
        published: start of the sha256 of a published ImageNet file -> what tables call it.
        weights: which of torchvision's files `--inits imagenet` fetches; None where it has none.
    """

    name: str
    stages: Mapping[str, tuple[str, ...]]
    published: Mapping[str, str] = field(default_factory=dict)
    weights: str | None = "IMAGENET1K_V1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One network.

    Attributes:
        label: its name in figures and tables.
        family: figures list the networks of a family together.
        backbone: how it is built.
        colour, marker: of its points and lines; `#RRGGBB` and one of matplotlib's markers.
        parameters: weights with one logit.
        depth: layers with weights from input to output, a ResNet's shortcut projections not counted.
        features: channels of the last stage, which the head reads.
        macs_per_pixel: multiply-adds for each output pixel of all convolutions that follow k halvings of the
            image, k = 0, 1, ... Every halving rounds up.
        efficiency: arithmetic of training over that of a matrix product, on one core, at 24 and at 224
            pixels, as measured; None before. It exceeds 1 where the multiply-adds that meet padding, which
            count, are left out (`transfusion.networks.convolution`).
    """

    label: str
    family: str
    backbone: Cbr | Torchvision
    colour: str
    marker: str
    parameters: int
    depth: int
    features: int
    macs_per_pixel: tuple[int, ...]
    efficiency: tuple[float, float] | None = None

    def macs(self, image_size: int) -> int:
        """Multiply-adds of one forward pass of one square image of `image_size` pixels, one logit."""
        pixels = [(-(-image_size // 2**halvings)) ** 2 for halvings in range(len(self.macs_per_pixel))]
        return self.features + sum(a * b for a, b in zip(pixels, self.macs_per_pixel, strict=True))

    def size(self, image_size: int) -> dict[str, int]:
        """`parameters`, `depth` and `macs`, as tables name them."""
        return {"parameters": self.parameters, "depth": self.depth, "macs": self.macs(image_size)}

    def published(self) -> Mapping[str, str]:
        """Published ImageNet weights of it: start of the file's sha256 -> name."""
        return self.backbone.published if isinstance(self.backbone, Torchvision) else {}

    def downloadable(self) -> bool:
        """Whether torchvision has ImageNet weights of it."""
        return isinstance(self.backbone, Torchvision) and self.backbone.weights is not None


RESNET = {
    "stem": ("conv1", "bn1", "relu", "maxpool"),
    "layer1": ("layer1",),
    "layer2": ("layer2",),
    "layer3": ("layer3",),
    "layer4": ("layer4",),
}

V1, V2, EARLIER = "torchvision IMAGENET1K_V1", "torchvision IMAGENET1K_V2", "torchvision, earlier file"


def plain_cbr(label: str, widths: tuple[int, ...], colour: str, marker: str) -> Spec:
    """A CBR network whose layers are alike: 5 x 5 convolutions, the first three of which are pooled after, so
    that depth changes no resolution."""
    kernel, pools = 5, 3
    macs_per_pixel = [0] * min(len(widths), pools + 1)
    for layer, (before, width) in enumerate(zip((3, *widths[:-1]), widths, strict=True)):
        macs_per_pixel[min(layer, pools)] += kernel**2 * before * width
    return Spec(
        label=label,
        family="plain CBR",
        backbone=Cbr(kernel=kernel, widths=widths, pools=pools),
        colour=colour,
        marker=marker,
        parameters=sum(macs_per_pixel) + 2 * sum(widths) + widths[-1] + 1,
        depth=len(widths) + 1,
        features=widths[-1],
        macs_per_pixel=tuple(macs_per_pixel),
    )


LADDERS: dict[Architecture, Spec] = {
    "cbr_depth4": plain_cbr("CBR 4 deep", (64,) * 3, "#9ECAE1", "<"),
    "cbr_depth5": plain_cbr("CBR 5 deep", (64,) * 4, "#4292C6", ">"),
    "cbr_depth6": plain_cbr("CBR 6 deep", (64,) * 5, "#2171B5", "d"),
    "cbr_depth7": plain_cbr("CBR 7 deep", (64,) * 6, "#08306B", "8"),
    "cbr_width16": plain_cbr("CBR 16 wide", (16,) * 4, "#C7E9C0", "1"),
    "cbr_width32": plain_cbr("CBR 32 wide", (32,) * 4, "#74C476", "2"),
    "cbr_width128": plain_cbr("CBR 128 wide", (128,) * 4, "#00441B", "3"),
}
"""Plain networks for depth and width by themselves, which no preset has: four depths at one width, and a
quarter, half and twice that width at the second depth."""

ARCHITECTURES: dict[Architecture, Spec] = {
    "resnet50": Spec(
        label="ResNet-50",
        family="ResNet",
        backbone=Torchvision(
            name="resnet50", stages=RESNET, published={"0676ba61": V1, "11ad3fa6": V2, "19c8e357": EARLIER}
        ),
        colour="#D55E00",
        marker="s",
        parameters=23_510_081,
        depth=50,
        features=2048,
        macs_per_pixel=(0, 9_408, 245_760, 1_310_720, 7_471_104, 14_417_920),
        efficiency=(1.05, 0.84),
    ),
    "resnet34": Spec(
        label="ResNet-34",
        family="ResNet",
        backbone=Torchvision(name="resnet34", stages=RESNET, published={"b627a593": V1, "333f7ec4": EARLIER}),
        colour="#E69F00",
        marker="D",
        parameters=21_285_185,
        depth=34,
        features=512,
        macs_per_pixel=(0, 9_408, 221_184, 1_114_112, 6_815_744, 13_107_200),
        efficiency=(1.45, 0.92),
    ),
    "resnet18": Spec(
        label="ResNet-18",
        family="ResNet",
        backbone=Torchvision(name="resnet18", stages=RESNET, published={"f37072fd": V1, "5c106cde": EARLIER}),
        colour="#7A4419",
        marker="^",
        parameters=11_177_025,
        depth=18,
        features=512,
        macs_per_pixel=(0, 9_408, 147_456, 524_288, 2_097_152, 8_388_608),
        efficiency=(1.7, 0.93),
    ),
    "cbr_large_wide": Spec(
        label="CBR-Large-Wide",
        family="CBR",
        backbone=Cbr(kernel=7, widths=(64, 128, 256, 512), pools=4),
        colour="#0072B2",
        marker="o",
        parameters=8_441_409,
        depth=5,
        features=512,
        macs_per_pixel=(9_408, 401_408, 1_605_632, 6_422_528),
        efficiency=(1.65, 1.05),
    ),
    "cbr_large_tall": Spec(
        label="CBR-Large-Tall",
        family="CBR",
        backbone=Cbr(kernel=7, widths=(32, 64, 128, 256, 512), pools=4),
        colour="#56B4E9",
        marker="v",
        parameters=8_537_121,
        depth=6,
        features=512,
        macs_per_pixel=(4_704, 100_352, 401_408, 1_605_632, 6_422_528),
        efficiency=(2.6, 1.15),
    ),
    "cbr_small": Spec(
        label="CBR-Small",
        family="CBR",
        backbone=Cbr(kernel=7, widths=(32, 64, 128, 256), pools=4),
        colour="#009E73",
        marker="P",
        parameters=2_113_313,
        depth=5,
        features=256,
        macs_per_pixel=(4_704, 100_352, 401_408, 1_605_632),
        efficiency=(1.75, 1.1),
    ),
    "cbr_tiny": Spec(
        label="CBR-Tiny",
        family="CBR",
        backbone=Cbr(kernel=5, widths=(32, 64, 128, 256), pools=4),
        colour="#000000",
        marker="X",
        parameters=1_078_817,
        depth=5,
        features=256,
        macs_per_pixel=(2_400, 51_200, 204_800, 819_200),
        efficiency=(1.25, 1.0),
    ),
    **LADDERS,
}
"""Colours are Okabe and Ito's (2008) and a brown, which the colour-blind tell apart by hue or lightness, and
everybody by marker: blues, green and black for the CBR family, oranges to brown for the ResNets. The paper's
text gives CBR-Tiny widths of 64-128-256-512, but its printed parameter count fits only the widths here."""
