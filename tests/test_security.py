"""What a sweep on one machine exposes: nothing beyond the machine itself."""

import subprocess
import sys

CODE = """
import psutil, ray
from sweeps import executor
executor.start_ray(None)
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
