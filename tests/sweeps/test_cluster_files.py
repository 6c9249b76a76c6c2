"""The cluster files against Ray's own schema, and against the published types of KubeRay's RayJob."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from rayjob_schema import RAYJOB

from sweeps.options.command_line import options_of

SWEEPS = Path(__file__).parents[2] / "sweeps"


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


def test_every_machine_of_the_cloud_has_an_image_and_the_ray_that_was_tested():
    config = yaml.safe_load((SWEEPS / "cluster.yaml").read_text())
    assert all("ImageId" in kind["node_config"] for kind in config["available_node_types"].values())
    job = yaml.safe_load((SWEEPS / "rayjob.yaml").read_text())
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ray:{version}-py311-gpu" in config["docker"]["image"]
    tested = (SWEEPS.parent / "docs" / "status.md").read_text().splitlines()
    assert any(line.startswith("| 3.11.") and f"| {version}, " in line for line in tested)


@pytest.fixture
def job():
    return yaml.safe_load((SWEEPS / "rayjob.yaml").read_text())


def test_the_rayjob_is_one(job):
    jsonschema.validate(job, RAYJOB)
    cluster, words = job["spec"]["rayClusterSpec"], job["spec"]["entrypoint"].split()
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        mounts = {m["name"] for c in group["template"]["spec"]["containers"] for m in c["volumeMounts"]}
        assert mounts == {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        for container in group["template"]["spec"]["containers"]:
            paths = [mount["mountPath"] for mount in container["volumeMounts"]]
            for option in ("--out", "--cache", "--data"):
                place = words[words.index(option) + 1]
                assert any(place.startswith(path) for path in paths), (option, paths)
    for worker in cluster["workerGroupSpecs"]:
        assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: job["spec"].update(entryPoint="python x.py"),
        lambda job: job["spec"].update(backoffLimit="3"),
        lambda job: job["spec"].update(submissionMode="Http"),
        lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].pop("groupName"),
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"].update(
            containers=[]
        ),
    ],
)
def test_a_spoilt_rayjob_is_none(job, spoil):
    spoil(job)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, RAYJOB)


def test_the_rayjobs_command_is_one_that_we_understand(job):
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["python", "sweeps/full_grid.py"]
    options = options_of(words[2:])
    assert (options.address, options.preset) == ("auto", "chexpert")
