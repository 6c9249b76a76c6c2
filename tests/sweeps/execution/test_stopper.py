"""The request to stop, as Tune and as trials hear of it; a stand-in for Ray."""

import time
from types import SimpleNamespace

import pytest

from sweeps.execution import stopper
from sweeps.execution.stopper import Stopper
from sweeps.processes.flag import Flag
from sweeps.processes.stop import Stop

HERE = "ab" * 28


@pytest.fixture
def asked(monkeypatch):
    """What Ray is asked for, and how often the flag was raised."""
    found = SimpleNamespace(options=None, scheduling=None, raised=0)

    def raise_it():
        found.raised += 1

    def options(**scheduling):
        found.scheduling = scheduling["scheduling_strategy"]
        return SimpleNamespace(remote=lambda: SimpleNamespace(raise_it=SimpleNamespace(remote=raise_it)))

    def remote(**options_of_actor):
        found.options = options_of_actor
        return lambda kind: SimpleNamespace(options=options) if kind is Flag else None

    context = SimpleNamespace(get_node_id=lambda: HERE)
    monkeypatch.setattr(stopper, "ray", SimpleNamespace(remote=remote, get_runtime_context=lambda: context))
    return found


def test_the_flag_stands_on_the_drivers_node_takes_no_core_and_comes_back_whatever_kills_it(asked):
    Stopper(Stop())
    assert asked.options == {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    assert (asked.scheduling.node_id, asked.scheduling.soft) == (HERE, False)


def test_trials_are_told_once_and_only_of_a_request(asked):
    stop = Stop()
    to_tune = Stopper(stop)
    assert not to_tune.stop_all()
    assert asked.raised == 0
    stop.request("enough")
    assert [to_tune.stop_all() for _ in range(3)] == [False] * 3, "the grace has begun"
    assert asked.raised == 1
    stop.deadline = time.monotonic() - 1
    assert to_tune.stop_all(), "and is over"
    assert not to_tune("trial", {}), "no trial is stopped alone"
    assert asked.raised == 1
