"""A trial in Tune: what it reports of a GPU on which its cell cannot be trained."""

from types import SimpleNamespace

import pytest

from sweeps.execution import executor
from transfusion.study import Machine


@pytest.fixture
def reports(monkeypatch):
    """What a trial reports, in a process that stands for Ray's."""
    found = []
    monkeypatch.setattr(executor.ray, "get", lambda asked: asked)
    monkeypatch.setattr(executor.tune, "report", found.append)
    monkeypatch.setattr(executor, "_place", lambda: {"status": "placed"})
    return found


def test_a_gpu_that_cannot_train_is_told_and_its_cell_is_not_begun(reports, monkeypatch):
    """The driver was exchanged after the plan, or a card failed: no cell's own failure."""
    monkeypatch.setattr(executor, "unfit", lambda precision: f"found no GPU for {precision}")
    flag = SimpleNamespace(is_up=SimpleNamespace(remote=lambda: False))
    machine = Machine(device="cuda", precision="bfloat16")
    executor.trainable({"cell": {}}, study=None, machine=machine, places=None, flag=flag)
    assert [one["status"] for one in reports] == ["placed", "unfit"]
    assert reports[1]["error"].endswith("found no GPU for bfloat16")
