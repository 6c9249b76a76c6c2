"""Ray from its start, or the connection to a cluster, to its end.

What is private of Ray stands here and in the modules that this one starts with: `local_ray`, `addresses`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import ray
from ray._private import ray_constants
from ray.experimental.internal_kv import _internal_kv_get
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import transfusion_sweep
from sweeps.execution import addresses, local_ray
from sweeps.processes import which_code
from transfusion import restored
from transfusion.problems import SettingError
from transfusion.records.code_version import Code, code_version

NODE_SECONDS = 120.0
"""How long a node may take to start a process that says which code it has."""

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "120",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Ray's and Tune's switches: quiet, our own signals, metrics that come and go, and slow ends of trials."""


def start(address: str | None, cleanup: ExitStack, gpus: int = 0) -> None:
    """Connect to the cluster at `address`, or start Ray on this machine, reachable from it alone.

    Args:
        cleanup: what is to be done when Ray has ended; another use of Ray in this process then finds Ray's
            variables, and what it logs, as they were before.
        gpus: of this machine, as torch counts them: Ray asks the driver, which counts others in some places
            (slices of a card, Jetson), and a trial would wait for one for ever.

    Raises:
        SettingError: no cluster there, one whose nodes have other code than this driver, or a machine that
            refuses what Ray needs.
    """
    cleanup.enter_context(as_before())
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": FirstInPath(),
    }
    cleanup.callback(_allow_clusters, ray_constants.ENABLE_RAY_CLUSTER)
    _allow_clusters(bool(address))
    worker: Any = ray._private.worker
    cleanup.callback(setattr, worker, "print_to_stdstream", worker.print_to_stdstream)
    worker.print_to_stdstream = _drop  # what Ray says of each worker that dies, the sweep tells by itself
    if address is None:
        local_ray.start(cleanup, {**quiet, "num_gpus": gpus})
        return
    place = addresses.resolve(address)
    addresses.reach(place)
    try:
        ray.init(address=place.text, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError, ray.exceptions.RayError) as error:
        raise SettingError(
            f"{place.told}: this machine cannot join ({' '.join(str(error).split())[:300]}), expected a "
            "node of the cluster; run the command on one, or name ray://HOST:10001"
        ) from error
    refuse_other_code()


@contextmanager
def as_before() -> Iterator[None]:
    """At the end, what Ray and Tune change of this process is as it was; they draw random numbers, too."""
    with (
        restored.variables("RAY_", "TUNE_", "PYTHONBREAKPOINT"),
        restored.handlers(),
        restored.level("ray"),
        restored.random_numbers(),
    ):
        yield


def _drop(*_: Any, **__: Any) -> None:
    """In place of Ray's own printing."""


def end() -> None:
    """Leave Ray; where this driver has started it, end its processes.

    `ray.shutdown` asks each of them to end and waits a second for it, in vain (`deaf_children`).
    """
    if (node := getattr(ray._private.worker, "_global_node", None)) is not None:
        node.kill_all_processes = partial(_kill_at_once, node.kill_all_processes)
    ray.shutdown()


def _kill_at_once(kill: Callable[..., None], **_graceful: Any) -> None:
    kill(check_alive=False)


def refuse_other_code() -> None:
    """Make sure that every node of the cluster has the code of this driver.

    Raises:
        SettingError: naming the nodes that have not, with what they have.
    """

    def found() -> Code:  # defined here, so that it is sent as it is: a node may have nothing of ours
        from transfusion.records.code_version import code_version

        return code_version()

    answers = {
        str(node["NodeManagerHostname"]): ray.remote(num_cpus=0)(found)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote()
        for node in ray.nodes()
        if node["Alive"]
    }
    here = code_version()
    wrong = []
    for host, answer in answers.items():
        try:
            there = ray.get(answer, timeout=NODE_SECONDS).describe_unlike(here)
        except ray.exceptions.RayError as error:
            there = " ".join(str(error).split())[-200:]
        if there:
            wrong.append(f"--address: found on {host} {there}, expected {here.describe()}")
    if wrong:
        raise SettingError(
            "\n".join([*wrong, "Install the same code on all nodes, or let them share a folder"])
        )


# -- what is private of Ray


class FirstInPath(JobConfig):
    """Puts the checkout that this driver runs before all else that Ray's workers look through.

    Ray puts the current directory and the driver's script's own there, the last one first, at the moment at
    which it connects. On a node that has no such folder it changes nothing.
    """

    def _serialize(self) -> Any:
        if which_code.is_checkout():
            self._py_driver_sys_path.append(str(transfusion_sweep.ROOT))
        return super()._serialize()


def _allow_clusters(wanted: bool) -> None:
    """Ray binds to loopback where it is told that no cluster is wanted, and to every interface otherwise."""
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "1" if wanted else "0"
    ray_constants.ENABLE_RAY_CLUSTER = wanted


def autoscaler_report() -> dict[str, Any]:
    """The last report of the autoscaler of the cluster that is connected; empty where there is none."""
    text = _internal_kv_get(ray_constants.DEBUG_AUTOSCALING_STATUS)
    return (json.loads(text) if text else {}).get("autoscaler_report") or {}


def offered_workers() -> list[dict[str, float]]:
    """Resources of every kind of worker that the autoscaler may start, where it tells."""
    config = ray._private.state.state.get_cluster_config()
    if config is None:
        return []
    return [dict(group.resources) for group in config.node_group_configs if group.max_count != 0]
