"""A cluster whose workers come when they are asked for: what its autoscaler offers, and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import ray
from ray.autoscaler.sdk import request_resources

from sweeps.execution.placement import Node
from sweeps.execution.ray_session import autoscaler_report, offered_workers
from transfusion.problems import SettingError

OFFER_SECONDS = 30.0
"""How long an autoscaler may take to begin to start a worker with a GPU before cores alone are asked for."""

REPORT_SECONDS = 10.0
"""How long a cluster that has just been started may take to report whether it has an autoscaler."""

SAY_EVERY = 30.0
"""Seconds between two lines while waiting."""

Say = Callable[[str], None]


def nodes() -> dict[str, Node]:
    """The living nodes of the cluster that is connected, with what trials can use of them."""
    return {
        node["NodeID"]: Node(
            cores=float(node["Resources"].get("CPU", 0)), gpus=int(node["Resources"].get("GPU", 0))
        )
        for node in ray.nodes()
        if node["Alive"]
    }


def present() -> bool:
    """Whether an autoscaler looks after the cluster that is connected.

    Every head reports on its nodes; without an autoscaler each node is a type of its own, named by its id.
    """
    report = autoscaler_report()
    types = {*(report.get("active_nodes") or {}), *(report.get("idle_nodes") or {})}
    return bool(types - {f"node_{node['NodeID']}" for node in ray.nodes()}) or bool(offered_workers())


def ask(bundles: Sequence[Mapping[str, float]]) -> None:
    """Ask the autoscaler for room for all `bundles` at once; an empty request takes the last one back."""
    request_resources(bundles=[dict(bundle) for bundle in bundles])


def wait_for_workers(cpus: int, gpus_per_trial: float | None, say: Say) -> None:
    """Where no node has a core yet, ask the autoscaler for a first worker, and wait until it is there.

    A worker with a GPU is asked for first, unless the user wants none.

    Args:
        cpus: cores of one trial.
        gpus_per_trial: the user's share of a GPU; 0 for none, None where nothing was said.

    Raises:
        SettingError: there is neither a core nor an autoscaler.
    """
    if cores():
        return
    patience = time.monotonic() + REPORT_SECONDS
    while not autoscaler_report() and time.monotonic() < patience:
        time.sleep(0.5)
    if not present():
        raise SettingError(
            "--address: found a cluster without a single core for trials and without an autoscaler, expected "
            "workers; start one (ray start --address=HEAD:6379 on each machine) and run the command again"
        )
    begun = time.monotonic()
    bundle = first_request(cpus, gpus_per_trial)
    while not cores():
        ask([bundle])
        say(f"no worker yet; asked the cluster's autoscaler for one with {_words(bundle)}, and waiting")
        again = time.monotonic() + SAY_EVERY
        while not cores() and time.monotonic() < again:
            time.sleep(0.5)
            patient = gpus_per_trial is not None or time.monotonic() - begun < OFFER_SECONDS
            if "GPU" in bundle and not patient and not _starting():
                say("it starts none with a GPU; training on the CPU (--gpus-per-trial 1 waits for a GPU)")
                bundle = {"CPU": float(cpus)}
                break
    say(f"a worker has joined after {time.monotonic() - begun:.0f} s")


def first_request(cpus: int, gpus_per_trial: float | None) -> dict[str, float]:
    """What the first worker must have: a GPU unless none is wanted, or none is offered."""
    offered = offered_workers()
    if gpus_per_trial == 0 or (offered and not any(one.get("GPU") for one in offered)):
        return {"CPU": float(cpus)}
    return {"CPU": float(cpus), "GPU": 1.0}


def _words(bundle: Mapping[str, float]) -> str:
    counts = [f"{bundle['CPU']:g} core{'s' if bundle['CPU'] != 1 else ''}"]
    return " and ".join(counts + (["1 GPU"] if bundle.get("GPU") else []))


def cores() -> float:
    """Cores of all nodes that are there."""
    return sum(node.cores for node in nodes().values())


def _starting() -> bool:
    """Whether the autoscaler is starting a node."""
    report = autoscaler_report()
    return bool(report.get("pending_nodes") or report.get("pending_launches"))
