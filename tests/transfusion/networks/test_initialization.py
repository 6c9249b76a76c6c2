"""Copying and freezing the first k stages."""

import pytest
import torch

from transfusion.networks.initialization import (
    WeightsError,
    copy_stages,
    freeze_stages,
    load_stages,
    save_stages,
)
from transfusion.networks.network import build


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return build("cbr_tiny"), build("cbr_tiny", outputs=7)


def same(a, b, stage):
    ours, theirs = getattr(a.stages, stage).state_dict(), getattr(b.stages, stage).state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("k", [0, 1, 3, None])
def test_exactly_the_first_k_stages_are_copied(networks, tmp_path, k):
    target, source = networks
    save_stages(source, tmp_path / "w.safetensors")
    head = target.head.weight.clone()
    copy_stages(target, load_stages(tmp_path / "w.safetensors"), k)
    copied = [same(target, source, f"block{i}") for i in range(1, 5)]
    assert copied == [i < (4 if k is None else k) for i in range(4)]
    assert torch.equal(target.head.weight, head)


def test_weights_that_do_not_fit_are_described(networks):
    target, source = networks
    weights = dict(source.stages.state_dict())
    weights["block1.0.weight"] = torch.zeros(3, 3)
    del weights["block2.0.weight"]
    weights["block9.0.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError) as error:
        copy_stages(target, weights, source="some.file")
    assert "some.file" in str(error.value)
    assert "missing: block2.0.weight" in str(error.value)
    assert "too many: block9.0.weight" in str(error.value)
    assert "shape of block1.0.weight: found (3, 3), expected (32, 3, 5, 5)" in str(error.value)


@pytest.mark.parametrize(("k", "frozen"), [(0, 0), (2, 2), (None, 4)])
def test_freezing_stops_gradients_and_running_statistics(networks, k, frozen):
    network, _ = networks
    network.train()
    freeze_stages(network, k)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([w for w in network.parameters() if w.requires_grad], lr=0.1)
    network(torch.rand(4, 1, 32, 32)).sum().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    for block in range(1, 5):
        assert any(name.startswith(f"stages.block{block}.") for name in changed) == (block > frozen)
    assert "head.weight" in changed
