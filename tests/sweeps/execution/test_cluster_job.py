"""`ray job submit` and `--address ray://` on a cluster of two cores, started with `ray start` on loopback."""

import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import psutil
import pytest
from fault_grid import PATIENCE, ROOT, Witness, wait_for
from fault_table import judge

pytestmark = [pytest.mark.slow, pytest.mark.faults]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cluster(request, tmp_path):
    """Two cores: of two nodes, or of one where there is a token in the home (`request.param`), since Ray's
    own `ray start --address` would have to be told of it. Yields the addresses of the dashboard and of Ray
    Client's server, and the environment, in which nothing is set for Ray."""
    pytest.importorskip("aiohttp_cors", reason="ray job submit needs ray[default]")
    mark = uuid.uuid4().hex
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    if request.param:
        (home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**kept, "TEST_CLUSTER": mark, "HOME": str(home)}
    port, dashboard, client = free_port(), free_port(), free_port()
    place = tempfile.mkdtemp(prefix="ray-")  # short: it holds sockets; and apart from other clusters
    head = [
        "--head", f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--temp-dir={place}", f"--ray-client-server-port={client}",
    ]  # fmt: skip
    nodes = [head] if request.param else [head, [f"--address=127.0.0.1:{port}"]]
    try:
        for options in nodes:
            subprocess.run(
                [
                    *RAY, "start", *options, "--node-ip-address=127.0.0.1", f"--num-cpus={2 // len(nodes)}",
                    f"--dashboard-agent-listen-port={free_port()}",  # its default may be another cluster's
                ],
                env=environment, check=True, capture_output=True, timeout=PATIENCE,
                start_new_session=True,  # Ray ends whole process groups
            )  # fmt: skip
        yield f"http://127.0.0.1:{dashboard}", f"ray://127.0.0.1:{client}", environment
    finally:
        for process in psutil.process_iter():
            try:
                if process.environ().get("TEST_CLUSTER") == mark:
                    process.kill()
            except (psutil.Error, OSError):
                continue
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("cluster", [False], indirect=True, ids=["no token"])
def test_a_submitted_job_runs_the_grid_on_two_nodes(grid_of, undisturbed, cluster, record_property):
    dashboard, _, environment = cluster
    grid = grid_of("job", seeds=2)
    command = f"cd {ROOT} && {shlex.join(grid.command('--address', 'auto'))}"
    submit = [*RAY, "job", "submit", f"--address={dashboard}", "--", "bash", "-c", command]
    for _ in range(30):  # the nodes' agents come up some seconds after `ray start` has returned
        job = subprocess.run(
            submit,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            start_new_session=True,
        )
        if "No available agent" not in job.stderr:
            break
        time.sleep(2)
    assert job.returncode == 0, job.stdout[-3000:] + job.stderr[-3000:]
    assert f"{grid.wanted()} cells done, 0 failed, 0 missing" in job.stdout
    judge(record_property, "ray job submit on two nodes", "-", Witness(grid), undisturbed(2))


@pytest.mark.parametrize("cluster", [True], indirect=True, ids=["a token in the home"])
def test_through_ray_client_the_command_runs_there_and_hears_signals(grid_of, cluster, record_property):
    _, client, environment = cluster
    grid = grid_of("client", seeds=6)
    witness = Witness(grid)
    driver = grid.start("--address", client, env=environment)
    assert wait_for(lambda: witness.look() > 0, driver, grid)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(PATIENCE) == 130, grid.log()
    assert f"of {grid.wanted()} cells are finished" in grid.log()
    assert f"{grid.wanted()} cells done, 0 failed, 0 missing" in grid.finish(
        "--address", client, env=environment
    )
    judge(record_property, "SIGINT through Ray Client", 1, witness)
