"""A cluster whose workers are still to come: what its autoscaler is asked for, and what is said meanwhile."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from sweeps.execution import autoscaling, cluster, ray_session
from sweeps.execution.placement import Node
from sweeps.planning import resources
from sweeps.planning.gpus import GpuError, Gpus
from sweeps.running import connection
from transfusion.problems import SettingError

WORKER = {"CPU": 8.0, "GPU": 1.0}
ID = "b" * 56


class Cluster:
    """A head without a core, and an autoscaler that starts a worker some time after it was asked for one.

    Attributes:
        offered: kinds of workers; `lacks` GPUs: one with a GPU never comes.
        asked, said: bundles, and lines, in order.
    """

    def __init__(self, offered, *, lacks=False, autoscaler=True):
        self.offered, self.lacks, self.autoscaler = offered, lacks, autoscaler
        self.asked, self.said, self.now, self.since = [], [], 0.0, None

    def nodes(self):
        gpu = bool(self.asked) and "GPU" in self.asked[-1][0]
        came = self.since is not None and self.now - self.since > 5 and not (gpu and self.lacks)
        there = {"head": Node(cores=0.0)}
        return {**there, "worker": Node(cores=8.0, gpus=int(gpu))} if came else there

    def ask(self, bundles):
        if bundles not in self.asked:
            self.since = self.now
        self.asked.append(bundles)

    def sleep(self, seconds):
        self.now += seconds
        assert self.now < 1000, "waits for ever"

    def wait(self, *wanted):
        autoscaling.wait_for_workers(*wanted, self.said.append)
        return [bundles[0] for bundles in self.asked]


@pytest.fixture
def cluster_of(monkeypatch):
    def there(*offered, **more):
        made = Cluster(offered, **more)
        monkeypatch.setattr(autoscaling, "nodes", made.nodes)
        monkeypatch.setattr(autoscaling, "ask", made.ask)
        monkeypatch.setattr(autoscaling, "autoscaler_report", lambda: {"pending_nodes": []})
        monkeypatch.setattr(autoscaling, "offered_workers", lambda: list(made.offered))
        monkeypatch.setattr(autoscaling, "present", lambda: made.autoscaler)
        clock = SimpleNamespace(sleep=made.sleep, monotonic=lambda: made.now)
        monkeypatch.setattr(autoscaling, "time", clock)
        return made

    return there


@pytest.mark.parametrize(
    ("offered", "gpus_per_trial", "bundle", "words"),
    [
        ((), None, {"CPU": 2.0, "GPU": 1.0}, "one with 2 cores and 1 GPU"),
        ((WORKER,), 0.25, {"CPU": 2.0, "GPU": 1.0}, "one with 2 cores and 1 GPU"),
        ((WORKER,), 0, {"CPU": 2.0}, "one with 2 cores, and waiting"),
        (({"CPU": 8.0},), None, {"CPU": 2.0}, "one with 2 cores, and waiting"),
    ],
)
def test_the_first_worker_is_asked_for_and_waited_for(cluster_of, offered, gpus_per_trial, bundle, words):
    made = cluster_of(*offered)
    assert made.wait(2, gpus_per_trial) == [bundle]
    assert words in made.said[0]
    assert made.said[1:] == ["a worker has joined after 6 s"]


def test_cores_alone_are_asked_for_where_no_gpu_comes_unless_one_was_demanded(cluster_of):
    made = cluster_of(lacks=True)
    assert made.wait(1, None) == [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}]
    assert any("training on the CPU" in line for line in made.said)
    stubborn = cluster_of(lacks=True)
    with pytest.raises(AssertionError, match="waits for ever"):
        stubborn.wait(1, 1.0)
    assert {tuple(bundles[0]) for bundles in stubborn.asked} == {("CPU", "GPU")}
    assert len(stubborn.said) > 10, "it says so every half minute"


def test_a_cluster_that_has_cores_is_asked_for_nothing(cluster_of, monkeypatch):
    made = cluster_of(WORKER)
    monkeypatch.setattr(autoscaling, "nodes", lambda: {"n": Node(cores=1.0)})
    assert (made.wait(1, None), made.said) == ([], [])


def test_without_an_autoscaler_an_empty_cluster_is_refused(cluster_of):
    made = cluster_of(autoscaler=False)
    with pytest.raises(SettingError, match="without an autoscaler, expected workers; start one"):
        made.wait(1, None)


@pytest.mark.parametrize(("offered", "device"), [((), "cuda"), ((WORKER,), "cuda"), (({"CPU": 4.0},), "cpu")])
def test_a_plan_alone_waits_for_nobody_and_reckons_with_what_may_come(
    cluster_of, monkeypatch, offered, device
):
    made = cluster_of(*offered)
    monkeypatch.setattr(connection, "open_ray", lambda *_: None)
    options = SimpleNamespace(cpus_per_trial=2, gpus_per_trial=None, dry_run=True)
    console = SimpleNamespace(print=made.said.append)
    found = connection._of_cluster(options, "auto", None, None, console)
    assert (found.device, found.cores, found.elastic, made.asked) == (device, (2,), True, [])
    assert "has no worker yet" in made.said[0]
    assert found.slots(found.share()) == 1


def test_no_core_at_all_is_a_share_and_not_a_division_by_zero():
    for device in ("cpu", "cuda"):
        found = resources.Resources(device=device, cpus=1, cores=(0,), gpus=(0.0,))
        assert (found.share(), found.slots(found.share())) == (1.0, 0)


@pytest.fixture
def nodes_with(monkeypatch):
    """A cluster of two nodes, of which the second has a GPU that torch finds so."""

    def there(found):
        gpu = {"Alive": True, "NodeID": ID, "NodeManagerAddress": "10.0.0.2", "Resources": WORKER}
        head = {
            "Alive": True,
            "NodeID": "a" * 56,
            "NodeManagerAddress": "10.0.0.1",
            "Resources": {"CPU": 2.0},
        }
        dead = {**gpu, "Alive": False, "NodeID": "c" * 56, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        looked, asked = [], []

        class Look:
            def options(self, scheduling_strategy):
                looked.append(scheduling_strategy.node_id)
                return self

            def remote(self):
                return found

        monkeypatch.setattr(cluster.ray, "nodes", lambda: [head, gpu, dead])
        monkeypatch.setattr(
            cluster.ray, "remote", lambda **options: lambda function: asked.append(options) or Look()
        )
        monkeypatch.setattr(cluster.ray, "get", lambda answers: answers)
        return looked, asked

    return there


def test_the_gpus_of_every_node_are_looked_at_there(nodes_with):
    looked, asked = nodes_with(Gpus(memory=16 * 2**30, reduced=True, name="Some GPU"))
    found = cluster.resources_of(1, None)
    assert (found.cores, found.gpus, found.device_name) == ((2, 8), (0.0, 1.0), "Some GPU")
    assert (found.gpu_memory, found.element_bytes) == (16 * 2**30, 2)
    assert looked == [ID]
    (options,) = asked
    assert options["num_gpus"] == 0, "all cards of the node, and no waiting for one that is in use"


@pytest.mark.slow
def test_all_gpus_of_a_node_are_looked_at_though_a_process_has_one_of_them(monkeypatch):
    """On a Ray that was told of three GPUs: a trial sees its own, the look sees what the node has."""
    import ray

    def seen():
        import os

        return 1, Gpus(name=os.environ.get("CUDA_VISIBLE_DEVICES", "all"))

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setattr(cluster, "gpus_here", seen)
    before = ExitStack()
    before.enter_context(ray_session.as_before())
    ray.init(address="local", num_cpus=1, num_gpus=3, include_dashboard=False, log_to_driver=False)
    try:
        all_taken = ray.remote(num_cpus=0, num_gpus=3)(SimpleNamespace).remote()
        ray.get(all_taken.__ray_ready__.remote())
        one = ray.remote(num_cpus=0, num_gpus=0.01)(lambda: seen()[1].name)
        assert cluster._gpus_of(ray.nodes()).name == "4,5,6", "nor does it wait for one that is free"
        ray.kill(all_taken)
        assert ray.get(one.remote()) in {"4", "5", "6"}
    finally:
        ray.shutdown()
        before.close()


def test_a_node_whose_gpu_cannot_be_opened_is_named_or_left_alone(nodes_with):
    looked, _ = nodes_with(
        Gpus(problem="found a GPU that torch cannot open, expected a driver for this CUDA")
    )
    with pytest.raises(GpuError, match=r"node 10\.0\.0\.2: found a GPU that torch cannot open"):
        cluster.resources_of(1, None)
    looked.clear()
    assert cluster.resources_of(1, 0).device == "cpu"
    assert looked == []
