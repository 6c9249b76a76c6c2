"""What is private of Ray: each name that we use is there, and does what we take it for."""

import ast
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray._private import ray_constants

from sweeps.execution import ray_session

SWEEPS = Path(__file__).parents[3] / "sweeps"
PRIVATE = re.compile(r"ray(\.\w+)*\._\w+|_internal_kv|_node_ip_address|_py_driver_sys_path|_global_node")


def code_of(file):
    """The names and texts of a file, docstrings and comments left out."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant("")
    return ast.unparse(tree)


def test_private_names_stand_where_ray_is_reached_started_and_watched():
    found = {file.name for file in SWEEPS.rglob("*.py") if PRIVATE.search(code_of(file))}
    assert found == {"address_probe.py", "addresses.py", "local_ray.py", "ray_session.py", "ray_watch.py"}


@pytest.mark.parametrize("wanted", [True, False])
def test_ray_reads_the_switch_that_keeps_it_on_loopback(wanted, monkeypatch):
    monkeypatch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "x")
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", None)
    ray_session._allow_clusters(wanted)
    assert wanted is ray_constants.ENABLE_RAY_CLUSTER
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == ("1" if wanted else "0")


def test_a_job_says_where_the_checkout_lies(monkeypatch):
    job = ray_session.FirstInPath()
    job._py_driver_sys_path.append("/elsewhere")
    assert json.dumps(str(SWEEPS.parent))[1:-1] in job._serialize().decode(errors="replace")
    monkeypatch.setattr(ray_session.which_code, "is_checkout", lambda: False)
    other = ray_session.FirstInPath()
    assert str(SWEEPS.parent) not in other._serialize().decode(errors="replace")


def test_the_node_that_is_ended_kills_its_processes_at_once(monkeypatch):
    asked = []
    node = SimpleNamespace(kill_all_processes=lambda **how: asked.append(how))
    assert hasattr(ray._private.worker, "_global_node")
    monkeypatch.setattr(ray._private.worker, "_global_node", node)
    monkeypatch.setattr(
        ray, "shutdown", lambda: node.kill_all_processes(check_alive=True, allow_graceful=True)
    )
    ray_session.end()
    assert asked == [{"check_alive": False}]


def test_the_autoscaler_is_read_where_ray_writes_of_it(monkeypatch):
    kept = {ray_constants.DEBUG_AUTOSCALING_STATUS: json.dumps({"autoscaler_report": {"pending_nodes": [1]}})}
    monkeypatch.setattr(ray_session, "_internal_kv_get", kept.get)
    assert ray_session.autoscaler_report() == {"pending_nodes": [1]}
    kept.clear()
    assert ray_session.autoscaler_report() == {}
    groups = [
        SimpleNamespace(resources={"CPU": 4.0, "GPU": 1.0}, max_count=2),
        SimpleNamespace(resources={"CPU": 64.0}, max_count=0),
    ]
    state = ray._private.state.state
    assert callable(state.get_cluster_config)
    monkeypatch.setattr(state, "get_cluster_config", lambda: SimpleNamespace(node_group_configs=groups))
    assert ray_session.offered_workers() == [{"CPU": 4.0, "GPU": 1.0}]
