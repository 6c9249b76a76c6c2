"""Parameter counts against arithmetic and the paper; stages; multiply-adds."""

import pytest
import torch
from torch import nn

from transfusion.cell import ARCHITECTURES
from transfusion.networks.architectures import CBR_SHAPES, RESNETS, build, depth, macs, parameters, size_of

PARAMETERS = {
    "cbr_large_tall": 8_537_121,
    "cbr_large_wide": 8_441_409,
    "cbr_small": 2_113_313,
    "cbr_tiny": 1_078_817,
    "resnet18": 11_177_025,
    "resnet34": 21_285_185,
    "resnet50": 23_510_081,
}
PRINTED_IN_THE_PAPER = {
    "cbr_large_tall": 8_532_480,
    "cbr_large_wide": 8_432_128,
    "cbr_small": 2_108_672,
    "cbr_tiny": 1_076_480,
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameters_with_one_logit(architecture):
    assert parameters(build(architecture)) == PARAMETERS[architecture]
    assert size_of(architecture, 32)["parameters"] == PARAMETERS[architecture]


@pytest.mark.parametrize("architecture", CBR_SHAPES)
def test_the_papers_counts_by_its_convention(architecture):
    """Convolution weights except the first layer's, plus a five-class head without bias."""
    network = build(architecture, outputs=5)
    convolutions = [layer.weight.numel() for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert sum(convolutions[1:]) + network.head.weight.numel() == PRINTED_IN_THE_PAPER[architecture]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gray_images_are_repeated_to_three_channels(architecture):
    network = build(architecture).eval()
    gray = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert network(gray).shape == (2, 1)
        torch.testing.assert_close(network(gray), network(gray.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("architecture", RESNETS)
def test_resnets_compute_what_torchvisions_do(architecture):
    torch.manual_seed(0)
    reference = RESNETS[architecture](weights=None, num_classes=1).eval()
    network = build(architecture).eval()
    ours = {name.replace("stages.stem.", "").replace("stages.", ""): name for name in network.state_dict()}
    state = {
        ours.get(name, ours.get(name.replace("fc.", "head."))): value
        for name, value in reference.state_dict().items()
    }
    network.load_state_dict(state)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), reference(images))


def test_named_stages_and_depth():
    assert [name for name, _ in build("resnet50").stages.named_children()] == [
        "stem", "layer1", "layer2", "layer3", "layer4",
    ]  # fmt: skip
    assert [name for name, _ in build("cbr_large_tall").stages.named_children()] == [
        f"block{i}" for i in range(1, 6)
    ]
    assert {a: depth(build(a)) for a in ARCHITECTURES} == {
        "resnet50": 50, "resnet34": 34, "resnet18": 18,
        "cbr_large_wide": 5, "cbr_large_tall": 6, "cbr_small": 5, "cbr_tiny": 5,
    }  # fmt: skip


def test_multiply_adds_by_hand():
    """CBR-Tiny at 32 pixels: output pixels x kernel area x channels in x channels out, layer by layer."""
    by_hand = 25 * (32**2 * 3 * 32 + 16**2 * 32 * 64 + 8**2 * 64 * 128 + 4**2 * 128 * 256) + 256
    assert macs("cbr_tiny", 32) == by_hand
    assert macs("resnet50", 224) == pytest.approx(4.09e9, rel=0.01)
    assert macs("cbr_large_wide", 224) == pytest.approx(15.6e9, rel=0.01)


def test_pooling_comes_after_all_blocks_but_the_fifth_of_large_tall():
    pools = [
        any(isinstance(layer, nn.MaxPool2d) for layer in block)
        for block in build("cbr_large_tall").stages.children()
    ]
    assert pools == [True, True, True, True, False]


def test_batch_norm_momentum():
    momenta = {
        layer.momentum for layer in build("resnet18", 1, 0.3).modules() if isinstance(layer, nn.BatchNorm2d)
    }
    assert momenta == {0.3}
