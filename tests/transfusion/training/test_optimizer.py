"""Adam in the order of memory is torch's Adam to the bit."""

import copy
import weakref

import pytest
import torch
from torch import nn

from transfusion.networks.network import build
from transfusion.training.optimizer import Adam


def train(network, optimizer, steps, closure=False):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        images = torch.randn(4, 3, 24, 24, generator=generator)

        def loss_and_gradients(images=images):
            optimizer.zero_grad()
            loss = network(images).square().mean()
            loss.backward()
            return loss

        if closure:
            assert optimizer.step(loss_and_gradients) > 0
        else:
            loss_and_gradients()
            optimizer.step()


def state_of(network):
    return list(network.state_dict().values())


@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize("architecture", ["cbr_tiny", "resnet18"])
def test_weights_are_those_of_torchs_adam(architecture, closure):
    torch.manual_seed(0)
    network = build(architecture).to(memory_format=torch.channels_last)
    network.stages[0].requires_grad_(False)
    twin = copy.deepcopy(network)
    before = state_of(copy.deepcopy(network))
    train(network, Adam(network.parameters(), lr=1e-3), 3, closure)
    train(twin, torch.optim.Adam(twin.parameters(), lr=1e-3, fused=True), 3)
    assert all(torch.equal(*pair) for pair in zip(state_of(network), state_of(twin), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(state_of(network), before, strict=True))


def test_weights_are_given_in_their_order_of_memory():
    """Both memory orders, in views that share the weights' memory: nothing is copied at a step."""
    plain, mixed = nn.Conv2d(3, 4, 2), nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)
    weights = [*plain.parameters(), *mixed.parameters()]
    stored = Adam(weights, lr=1e-3).stored
    assert all(one.is_contiguous() for one in stored)
    assert [one.data_ptr() for one in stored] == [weight.data_ptr() for weight in weights]
    assert [tuple(one.shape) for one in stored] == [(4, 3, 2, 2), (4,), (4, 2, 2, 3), (4,)]


def test_its_state_continues_where_it_was():
    torch.manual_seed(0)
    network = build("cbr_tiny").to(memory_format=torch.channels_last)
    optimizer = Adam(network.parameters(), lr=1e-3)
    train(network, optimizer, 2)
    twin = copy.deepcopy(network)
    resumed = Adam(twin.parameters(), lr=1.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(network, optimizer, 2)
    train(twin, resumed, 2)
    assert all(torch.equal(*pair) for pair in zip(state_of(network), state_of(twin), strict=True))


def test_gradients_are_forgotten():
    layer = nn.Linear(2, 1)
    optimizer = Adam(layer.parameters(), lr=1e-3)
    layer(torch.ones(1, 2)).backward()
    gradient = weakref.ref(layer.weight.grad)
    optimizer.step()
    optimizer.zero_grad()
    assert layer.weight.grad is None
    assert gradient() is None, "its memory is needed for the next ones"
