"""A cluster without a single core until it is asked: Ray's own autoscaler, with its provider of fake nodes.

Everything runs in namespaces of its own, so that no other Ray of the machine is found or harmed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fault_grid import ROOT, Witness
from fault_table import judge

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(
        os.getuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
        reason="needs root, unshare and ip, for namespaces of its own",
    ),
]

CLUSTER = """
cluster_name: fake
max_workers: 2
upscaling_speed: 1.0
idle_timeout_minutes: 1
provider:
  type: fake_multinode
  use_node_id_as_ip: true
  disable_node_updaters: true
  disable_launch_config_check: true
auth: {ssh_user: none}
available_node_types:
  ray.head.default: {resources: {CPU: 0}, node_config: {}, max_workers: 0}
  worker: {resources: {CPU: 1}, node_config: {}, min_workers: 0, max_workers: 2}
head_node_type: ray.head.default
file_mounts: {}
cluster_synced_files: []
file_mounts_sync_continuously: false
rsync_exclude: []
rsync_filter: []
initialization_commands: []
setup_commands: []
head_setup_commands: []
worker_setup_commands: []
head_start_ray_commands: []
worker_start_ray_commands: []
docker: {}
"""

INSIDE = """
ip link set lo up
mkdir -p /tmp/ray && mount -t tmpfs none /tmp/ray
export RAY_FAKE_CLUSTER=1 AUTOSCALER_UPDATE_INTERVAL_S=1
"$PYTHON" -m ray.scripts.scripts start --head --num-cpus 0 --port 6379 \\
    --autoscaling-config="$1" > "$1.log" 2>&1
shift
"$@"
"""


def test_a_sweep_waits_for_the_workers_that_it_asks_for(grid_of, tmp_path, record_property):
    grid = grid_of("autoscaler", seeds=1)
    config = tmp_path / "cluster.yaml"
    config.write_text(CLUSTER)
    inside = ["unshare", "-mpn", "--fork", "--kill-child", "--mount-proc", "bash", "-c", INSIDE, "inside"]
    plan, sweep = (
        subprocess.run(
            [*inside, str(config), *grid.command("--address", "auto", "--gpus-per-trial", "0", *more)],
            cwd=ROOT,
            env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=500,
        )
        for more in (["--dry-run"], [])
    )  # fmt: skip
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "has no worker yet" in plan.stdout
    assert sweep.returncode == 0, sweep.stdout + sweep.stderr
    assert "asked the cluster's autoscaler for one with 1 core" in sweep.stdout
    assert "a worker has joined" in sweep.stdout
    assert len(grid.finished()) == grid.wanted()
    judge(record_property, "a cluster without workers", 1, Witness(grid))


def test_without_an_autoscaler_an_empty_cluster_is_refused(grid_of, tmp_path):
    grid = grid_of("empty", seeds=1)
    inside = ["unshare", "-mpn", "--fork", "--kill-child", "--mount-proc", "bash", "-c",
              INSIDE.replace('--autoscaling-config="$1"', ""), "inside"]  # fmt: skip
    found = subprocess.run(
        [*inside, str(tmp_path / "none"), *grid.command("--address", "auto")],
        cwd=ROOT,
            env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert found.returncode == 2, found.stdout + found.stderr
    assert "without an autoscaler" in found.stderr
    assert "Traceback" not in found.stderr
    assert not Path(grid.out / "cells").exists()
