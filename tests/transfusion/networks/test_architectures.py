"""The facts of every entry against the network that is built of it, the paper and arithmetic; stages."""

import pytest
import torch
import torchvision
from torch import nn

from sweeps.presets import PRESETS
from transfusion.architectures import ARCHITECTURES, LADDERS, Cbr, Torchvision
from transfusion.networks.network import Network, build, parameters

PARAMETERS = {
    "cbr_large_tall": 8_537_121,
    "cbr_large_wide": 8_441_409,
    "cbr_small": 2_113_313,
    "cbr_tiny": 1_078_817,
    "resnet18": 11_177_025,
    "resnet34": 21_285_185,
    "resnet50": 23_510_081,
}
TORCHVISION = {
    name: spec.backbone for name, spec in ARCHITECTURES.items() if isinstance(spec.backbone, Torchvision)
}
PRINTED_IN_THE_PAPER = {
    "cbr_large_tall": 8_532_480,
    "cbr_large_wide": 8_432_128,
    "cbr_small": 2_108_672,
    "cbr_tiny": 1_076_480,
}


def convolutions(architecture: str, size: int) -> tuple[Network, list[tuple[nn.Conv2d, torch.Size]]]:
    """A network without content, and its convolutions with the shapes of their outputs for a square image."""
    seen = []
    with torch.device("meta"):
        network = build(architecture).eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda layer, _, output: seen.append((layer, output.shape)))
        network(torch.empty(1, 3, size, size))
    return network, seen


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_entry_states_what_its_network_is(architecture):
    """A new entry: write what this finds."""
    network, seen = convolutions(architecture, 1024)
    per_pixel = [0] * 11
    for layer, shape in seen:
        per_pixel[(1024 // shape[-1]).bit_length() - 1] += layer.weight.numel()
    while not per_pixel[-1]:
        per_pixel.pop()
    found = {
        "parameters": parameters(network),
        "depth": sum(
            isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in name
            for name, layer in network.named_modules()
        ),
        "features": network.head.in_features,
        "macs_per_pixel": tuple(per_pixel),
    }
    assert {name: getattr(ARCHITECTURES[architecture], name) for name in found} == found


@pytest.mark.parametrize("size", [17, 24, 225])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_multiply_adds_are_those_of_the_shapes_that_layers_see(architecture, size):
    network, seen = convolutions(architecture, size)
    counted = sum(shape.numel() * layer.weight[0].numel() for layer, shape in seen)
    assert ARCHITECTURES[architecture].macs(size) == counted + network.head.weight.numel()


@pytest.mark.parametrize("architecture", PARAMETERS)
def test_parameters_with_one_logit(architecture):
    assert ARCHITECTURES[architecture].parameters == PARAMETERS[architecture]


def test_no_two_networks_look_alike():
    for words in ("label", "colour", "marker"):
        assert len({getattr(spec, words) for spec in ARCHITECTURES.values()}) == len(ARCHITECTURES)


@pytest.mark.parametrize("architecture", PRINTED_IN_THE_PAPER)
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


@pytest.mark.parametrize("architecture", TORCHVISION)
def test_torchvisions_networks_compute_what_they_do_there(architecture):
    torch.manual_seed(0)
    name = TORCHVISION[architecture].name
    reference = torchvision.models.get_model(name, weights=None, num_classes=1).eval()
    network = build(architecture).eval()
    state = dict(zip(network.state_dict(), reference.state_dict().values(), strict=True))  # in their order
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
    assert {name: ARCHITECTURES[name].depth for name in PARAMETERS} == {
        "resnet50": 50, "resnet34": 34, "resnet18": 18,
        "cbr_large_wide": 5, "cbr_large_tall": 6, "cbr_small": 5, "cbr_tiny": 5,
    }  # fmt: skip


def test_multiply_adds_by_hand():
    """CBR-Tiny at 32 pixels: output pixels x kernel area x channels in x channels out, layer by layer."""
    by_hand = 25 * (32**2 * 3 * 32 + 16**2 * 32 * 64 + 8**2 * 64 * 128 + 4**2 * 128 * 256) + 256
    assert ARCHITECTURES["cbr_tiny"].macs(32) == by_hand
    assert ARCHITECTURES["resnet50"].macs(224) == pytest.approx(4.09e9, rel=0.01)
    assert ARCHITECTURES["cbr_large_wide"].macs(224) == pytest.approx(15.6e9, rel=0.01)


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


def test_ladders_change_depth_or_width_alone_and_no_preset_has_them():
    depths = {name: spec for name, spec in LADDERS.items() if name.startswith("cbr_depth")}
    assert [spec.depth for spec in depths.values()] == [4, 5, 6, 7]
    backbones = [spec.backbone for spec in LADDERS.values() if isinstance(spec.backbone, Cbr)]
    assert len({(one.kernel, one.pools) for one in backbones}) == 1
    assert {width for spec in depths.values() for width in spec.backbone.widths} == {64}
    wide = [spec for name, spec in LADDERS.items() if name.startswith("cbr_width")]
    assert {spec.depth for spec in wide} == {5}
    assert [spec.backbone.widths[0] / 64 for spec in wide] == [0.25, 0.5, 2]
    studied = {cell.architecture for preset in PRESETS.values() for cell in preset().cells()}
    assert studied.isdisjoint(LADDERS)
