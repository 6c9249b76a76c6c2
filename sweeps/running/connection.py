"""What trains the cells: this machine, or the cluster at `--address`, which is connected for it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial

from rich.console import Console

from sweeps.options.values import Options
from sweeps.planning import resources
from sweeps.planning.resources import Resources
from sweeps.processes import marked
from sweeps.processes.stop import Stop, end_at_once, install
from transfusion.problems import SettingError

FAILED = 1
"""Exit status of a sweep whose Ray has ended."""


def refuse_connected(options: Options) -> None:
    """Make sure that Ray in this process, a notebook say, serves nothing else: the sweep's would end it.

    Raises:
        SettingError: it is connected.
    """
    needs_ray = options.address is not None or not (options.dry_run or options.prune)
    ray = sys.modules.get("ray")
    if needs_ray and ray is not None and ray.is_initialized():
        raise SettingError(
            "Ray: found this process connected to it, expected none, since a process has one Ray and a sweep "
            "starts and ends its own; call ray.shutdown() first, or run the command in a process of its own"
        )


def open_resources(options: Options, cleanup: ExitStack, stop: Stop, console: Console) -> Resources:
    """What is at hand: the cluster at `--address`, which is connected for it, or this machine.

    A cluster whose workers are still to come is asked for a first one, but for a plan alone.

    Raises:
        SettingError: no room for a single trial, no such cluster, or a price where there is no GPU.
    """
    found = _of_cluster(options, options.address, cleanup, stop, console) if options.address else None
    at_hand = found or resources.of_machine(options.cpus_per_trial, options.gpus_per_trial)
    if options.gpu_price is not None and at_hand.device == "cpu":
        raise SettingError(
            f"--gpu-price {options.gpu_price:g}: found no GPU to train on, expected one; drop the option"
        )
    return at_hand


def _of_cluster(
    options: Options, address: str, cleanup: ExitStack, stop: Stop, console: Console
) -> Resources:
    from sweeps.execution import autoscaling, cluster

    wanted = options.cpus_per_trial, options.gpus_per_trial
    open_ray(address, cleanup, stop)
    if not options.dry_run:
        autoscaling.wait_for_workers(*wanted, console.print)
    elif not autoscaling.cores():
        console.print("The cluster has no worker yet; the plan reckons with the smallest that it may start.")
        return resources.to_come(*wanted, autoscaling.first_request(*wanted))
    return cluster.resources_of(*wanted)


def open_ray(address: str | None, cleanup: ExitStack, stop: Stop, gpus: int = 0) -> None:
    """Connect to Ray, or start it; at the end leave it, and let no process of ours survive.

    Args:
        gpus: of this machine that trials train on.
    """
    from sweeps.execution import ray_session
    from sweeps.execution.ray_watch import RayWatch

    last = cleanup.enter_context(ExitStack())
    if address is None:
        cleanup.callback(marked.end_own)
    cleanup.callback(ray_session.end)
    ray_session.start(address, last, gpus)
    watch = RayWatch(partial(end_at_once, status=FAILED))
    last.callback(watch.end_family)
    cleanup.callback(watch.close)
    install(stop)
