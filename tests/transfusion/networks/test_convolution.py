"""Convolutions that leave padding out give what torch's give; and they do leave it out."""

import copy
import itertools

import pytest
import torch
from plain_network import plain
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transfusion.architectures import ARCHITECTURES
from transfusion.networks.convolution import Convolution, taps
from transfusion.networks.network import build

SHAPES = [
    (size, kernel, stride, padding)
    for size, kernel, stride in itertools.product((1, 2, 3, 4, 5, 8), (1, 3, 5, 7), (1, 2))
    for padding in {0, kernel // 2}
    if size + 2 * padding >= kernel
]


QUICK = (("resnet18", 24), ("cbr_tiny", 33))
"""Maps of one pixel, and of an odd number of them."""


def outputs_and_gradients(network, images):
    images = images.clone().requires_grad_()
    outputs = network(images)
    outputs.square().sum().backward()
    return [outputs, images.grad, *(weight.grad for weight in network.parameters())]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), SHAPES)
def test_outputs_and_gradients_are_those_of_torch(size, kernel, stride, padding):
    torch.manual_seed(0)
    reference = nn.Conv2d(3, 4, kernel, stride=stride, padding=padding).double()
    layer = copy.deepcopy(reference)
    Convolution.of(layer)
    images = torch.randn(2, 3, size, size + 1, dtype=torch.float64)
    for ours, theirs in zip(
        outputs_and_gradients(layer, images), outputs_and_gradients(reference, images), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        pytest.param(one, size, marks=[pytest.mark.slow] * ((one, size) not in QUICK))
        for one in ARCHITECTURES
        for size in (24, 33)
    ],
)
def test_whole_networks_are_those_of_torch(architecture, size):
    torch.manual_seed(0)
    network = build(architecture).double().to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, size, size, dtype=torch.float64)
    for ours, theirs in zip(
        outputs_and_gradients(network, images), outputs_and_gradients(plain(network), images), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("architecture", ["cbr_large_tall", "resnet18"])
def test_gradients_lie_in_the_order_of_their_weights(architecture):
    network = build(architecture).to(memory_format=torch.channels_last)
    network(torch.randn(4, 3, 24, 24)).sum().backward()
    kernels = [weight for weight in network.parameters() if weight.ndim == 4 and weight.shape[-1] > 1]
    assert kernels
    assert all(weight.grad.stride() == weight.stride() for weight in kernels)


@pytest.mark.parametrize(("architecture", "most"), [("cbr_large_tall", 0.65), ("resnet34", 0.85)])
def test_padding_is_left_out_of_small_maps_alone(architecture, most):
    network = build(architecture).eval()
    torchs = plain(network).to("meta")  # whose operations are counted by shapes alone

    def operations(network, size):
        device = network.head.weight.device
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 3, size, size, device=device))
        return counter.get_total_flops()

    assert operations(network, 24) < most * operations(torchs, 24)
    assert operations(network, 224) == operations(torchs, 224)


def test_taps_by_hand():
    assert taps(224, 7, 2, 3) == (slice(0, 7), 3)
    assert taps(2, 7, 1, 3) == (slice(2, 5), 1)
    assert taps(1, 3, 1, 1) == (slice(1, 2), 0)
    assert taps(2, 3, 2, 1) == (slice(1, 3), 0)


@pytest.mark.parametrize("options", [{"groups": 3}, {"dilation": 2}, {"padding_mode": "reflect"}])
def test_other_convolutions_are_refused(options):
    with pytest.raises(ValueError, match="expected one group, no dilation"):
        Convolution.of(nn.Conv2d(3, 3, 3, padding=1, **options))
