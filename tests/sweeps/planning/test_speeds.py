"""What a check has measured is kept of one kind of machine, and recalled on that kind alone."""

import json
from dataclasses import replace
from importlib.metadata import version

import pytest

from sweeps.planning.resources import Resources
from sweeps.planning.speeds import NOTHING, VERSION, Speed, Speeds, keep, kept_in, recall

CPU = Resources(device="cpu", cpus=2, cores=(16, 4), device_name="Some CPU @ 3.0GHz (R)")
GPU = Resources(device="cuda", cpus=2, cores=(16,), gpus=(1.0,), device_name="Some GPU")
TINY = Speed("cbr_tiny", 32, 16, 100.0, 150.0, 2, 0.5, "float32", 2**30)
LARGE = Speed("resnet50", 224, 32, 10.0, 15.0, 1, 1.0, "bfloat16", 2**33, compiled=20.0)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "transfusion-sweep" / "speeds"


def test_a_file_is_named_after_the_device_torch_and_on_a_cpu_its_cores(cache):
    torch = version("torch")
    assert kept_in(CPU) == cache / f"some-cpu-3.0ghz-r-torch-{torch}-16-cores-2-a-trial.json"
    assert kept_in(GPU) == cache / f"some-gpu-torch-{torch}.json"


def test_without_a_cache_folder_of_its_own_it_lies_in_the_home(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept_in(GPU).parent == tmp_path / ".cache" / "transfusion-sweep" / "speeds"


def test_what_is_kept_is_recalled_on_the_same_kind_of_machine_and_no_other():
    found = Speeds((TINY, LARGE), head_step_seconds=0.25, macs_per_second=1e10)
    assert recall(CPU) == NOTHING
    assert keep(CPU, found) == kept_in(CPU)
    assert recall(CPU) == found
    others = (GPU, replace(CPU, cpus=4), replace(CPU, cores=(8, 4)), replace(CPU, device_name="Another"))
    assert {recall(other) for other in others} == {NOTHING}


def test_newer_measurements_take_the_place_of_older_ones_of_the_same_and_the_rest_stays():
    keep(GPU, Speeds((TINY, LARGE), head_step_seconds=0.25, macs_per_second=1e10))
    again, smaller = replace(TINY, images_per_second=90.0), replace(TINY, batch_size=8)
    keep(GPU, Speeds((again, smaller), head_step_seconds=0.5))
    assert recall(GPU) == Speeds((again, LARGE, smaller), 0.5, 1e10)
    keep(GPU, Speeds((), macs_per_second=2e10))
    assert recall(GPU) == Speeds((again, LARGE, smaller), 0.5, 2e10)


def test_peaks_of_memory_are_those_of_networks_that_train_whole():
    assert Speeds((TINY, LARGE)).peaks() == {
        ("cbr_tiny", 32, 16, "none"): 2**30, ("resnet50", 224, 32, "none"): 2**33
    }  # fmt: skip


def test_devices_that_are_not_known_keep_nothing(cache):
    unknown = replace(GPU, device_name="")
    assert (kept_in(unknown), keep(unknown, Speeds((TINY,))), recall(unknown)) == (None, None, NOTHING)
    assert not cache.exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps({"version": VERSION, "measured": [{}]})])
def test_a_damaged_file_is_as_none(text):
    keep(GPU, Speeds((TINY,)))
    kept_in(GPU).write_text(text)
    assert recall(GPU) == NOTHING


def test_a_file_of_another_version_is_as_none():
    file = keep(GPU, Speeds((TINY,)))
    content = json.loads(file.read_text())
    assert content["version"] == VERSION
    file.write_text(json.dumps({**content, "version": VERSION + 1}))
    assert recall(GPU) == NOTHING
