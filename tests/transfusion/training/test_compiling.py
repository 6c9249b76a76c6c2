"""torch.compile where it works, where it does not, and for as many networks as a sweep has; on the CPU."""

import logging
import os

import pytest
import torch
import torch._dynamo
import torch._inductor.config
from torch import nn

from transfusion.networks.network import build
from transfusion.training import acceleration

COMPILE = torch.compile


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Compiled code computes as before; Dynamo's settings are restored, and what it compiled is forgotten."""
    monkeypatch.setattr(torch, "compile", lambda function: COMPILE(function, backend="eager"))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "9")
    acceleration._say_once.cache_clear()
    kept = torch._dynamo.config.recompile_limit, torch._dynamo.config.accumulated_recompile_limit
    yield
    torch._dynamo.config.recompile_limit, torch._dynamo.config.accumulated_recompile_limit = kept
    torch._dynamo.reset()


def test_the_step_that_is_tried_leaves_no_trace():
    network = build("cbr_tiny").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    call, answer = acceleration.compiled(network, torch.randn(4, 3, 16, 16))
    assert answer == "yes"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    network.eval()
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(call(images), network(images))


@pytest.mark.parametrize(
    "error", [RuntimeError("Failed to find C compiler."), OSError("Python.h: no such file")]
)
def test_where_it_cannot_be_compiled_training_goes_on_plainly_and_says_so_once(monkeypatch, caplog, error):
    def backend(graph, inputs):
        raise error

    monkeypatch.setattr(torch, "compile", lambda function: COMPILE(function, backend=backend))
    networks = [build("cbr_tiny").train() for _ in range(2)]
    with caplog.at_level(logging.WARNING):
        for network in networks:
            call, answer = acceleration.compiled(network, torch.randn(4, 3, 16, 16))
            assert str(error) in answer
            assert call(torch.randn(4, 3, 16, 16)).shape == (4, 1)
    said = [record.getMessage() for record in caplog.records if "torch.compile" in record.getMessage()]
    assert len(said) == 1
    assert "gcc" in said[0]


def test_a_lack_of_memory_while_compiling_is_one_of_memory():
    class Greedy(nn.Linear):
        def forward(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        acceleration.compiled(Greedy(3, 1), torch.randn(2, 3))


def test_more_networks_than_torch_keeps_by_default_are_compiled(monkeypatch):
    """Dynamo keeps eight variants of a function, 256 of all, and goes on plainly after that, silently."""
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 8
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function: COMPILE(function, backend=backend, dynamic=False))

    class Head(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.layer = nn.Linear(features, 1)

        def forward(self, images):
            return self.layer(images)

    for features in range(2, 14):
        acceleration.compiled(Head(features), torch.randn(3, features))
    assert len(graphs) == 12


def test_the_compilers_workers_are_as_many_as_the_trials_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        acceleration.compiled(nn.Linear(2, 1), torch.randn(2, 2))
    finally:
        torch.set_num_threads(threads)
    assert torch._inductor.config.compile_threads == 1
    assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "1"
