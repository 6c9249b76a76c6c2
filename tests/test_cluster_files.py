"""The cluster files against Ray's own schema, and against the published fields of KubeRay's RayJob."""

from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from sweeps.command_line import parser

SWEEPS = Path(__file__).parent.parent / "sweeps"

RAY_JOB = {
    "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint",
    "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata",
    "rayClusterSpec", "runtimeEnvYAML", "schedule", "shutdownAfterJobFinishes", "submissionMode",
    "submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished",
}  # fmt: skip
"""Fields of RayJobSpec in ray-project/kuberay, ray-operator/apis/ray/v1/rayjob_types.go."""

SUBMISSION_MODES = {"K8sJobMode", "HTTPMode", "InteractiveMode"}


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster_on_premise.yaml"])
def test_ray_up_accepts_the_file(name):
    config = yaml.safe_load((SWEEPS / name).read_text())
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["max_workers"] > 0


def test_ray_up_would_refuse_a_misspelt_field():
    config = yaml.safe_load((SWEEPS / "cluster.yaml").read_text())
    with pytest.raises(Exception, match="max_wrokers"):
        validate_config(prepare_config({**config, "max_wrokers": 3}))


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster_on_premise.yaml"])
def test_the_dashboard_listens_on_the_head_alone(name):
    config = yaml.safe_load((SWEEPS / name).read_text())
    starts = [line for line in config["head_start_ray_commands"] if "ray start" in line]
    assert all("--dashboard-host=127.0.0.1" in line for line in starts)
    assert "0.0.0.0" not in (SWEEPS / name).read_text()


def test_the_rayjob_has_only_published_fields():
    job = yaml.safe_load((SWEEPS / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert set(spec) <= RAY_JOB
    assert spec["submissionMode"] in SUBMISSION_MODES
    cluster = spec["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        mounts = {m["name"] for c in group["template"]["spec"]["containers"] for m in c["volumeMounts"]}
        assert mounts == {volume["name"] for volume in group["template"]["spec"]["volumes"]}
    for worker in cluster["workerGroupSpecs"]:
        assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]


def test_the_rayjobs_command_is_one_that_we_understand():
    job = yaml.safe_load((SWEEPS / "rayjob.yaml").read_text())
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["python", "sweeps/full_grid.py"]
    options = parser().parse_args(words[2:])
    assert (options.address, options.preset) == ("auto", "chexpert")
