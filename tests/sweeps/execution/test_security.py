"""What a sweep on one machine exposes: nothing beyond the machine itself."""

import subprocess
import sys

import psutil
import pytest
from fault_grid import wait_for

from sweeps.processes import marked

CODE = """
import psutil, ray
from contextlib import ExitStack
from sweeps.execution import ray_session
last = ExitStack()
ray_session.start(None, last)
ray.get(ray.remote(num_cpus=1)(lambda: 1).remote())
me = psutil.Process()
for process in [me, *me.children(recursive=True)]:
    for connection in process.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN:
            print(process.name(), connection.laddr.ip)
"""


def test_every_port_listens_on_loopback_alone():
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300, check=True
    )
    listening = [line.rsplit(" ", 1) for line in found.stdout.splitlines()]
    assert {name for name, _ in listening} >= {"gcs_server", "raylet"}
    outside = [
        (name, address) for name, address in listening if "127.0.0.1" not in address and address != "::1"
    ]
    assert outside == []


@pytest.mark.slow
def test_a_real_sweep_listens_on_loopback_alone(grid_of):
    grid = grid_of("listening", inits=("random",), epochs=300)
    driver = grid.start("--tensorboard")
    try:
        assert wait_for(grid.attempts, driver, grid)
        listening = {
            (process.name(), connection.laddr.ip)
            for process in [psutil.Process(driver.pid), *grid.processes()]
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    finally:
        driver.kill()
        driver.wait()
        marked.end_orphans(str(grid.out.resolve()))
    assert {name for name, _ in listening} >= {"gcs_server", "raylet"}
    assert {address for _, address in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
