"""What a machine is found to be, and what is wrong with it, in words that say what to do."""

import dataclasses
import resource
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from machines import CPU, GB, GPU, NEEDS, WELL

from sweeps.inputs.data import most_images
from sweeps.measuring import check, machine, measure
from sweeps.planning.speeds import Speed
from sweeps.presets import chexpert, demo
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell


@pytest.mark.parametrize(
    ("facts", "needs", "words"),
    [
        ({"compiler": False}, {"on_gpu": True, "compiled": True}, ("no C compiler,", "apt-get install gcc")),
        ({"headers": False}, {"on_gpu": True, "compiled": True}, ("Python.h", "python3-dev")),
        ({"shared": 64 * 2**20}, {}, ("/dev/shm: found 0.1 GiB", "--shm-size")),
        ({"files": (1024, 65536)}, {}, ("found 1,024, expected at least 4,096", "ulimit -n 4096")),
        ({"files": (1024, 1024)}, {}, ("found 1,024", "limits.conf")),
        ({"files": (4096, 2**20)}, {"trials": 192, "memory": 0}, ("at least 12,288", "ulimit -n 12288")),
        ({"memory": 3 * GB}, {}, ("memory: found 3.0 GiB free, expected 4.0 GiB for 2", "--cpus-per-trial")),
        (
            {"disks": (("--cache", Path("/scratch"), GB),)},
            {},
            ("disk of --cache (/scratch): found 1.0 GiB free, expected at least 40.0 GiB", "make room"),
        ),
        ({"driver": "NVRM 470", "cuda": "13.0"}, {}, ("NVRM 470", "CUDA 13.0", "counts no GPU")),
        ({"driver": "NVRM 470", "cuda": None}, {}, ("torch built for the CPU alone", "pytorch.org")),
    ],
)
def test_what_is_wrong_with_a_machine_is_named_with_what_to_do(facts, needs, words):
    assert machine.problems(WELL, NEEDS) == []
    found = machine.problems(dataclasses.replace(WELL, **facts), dataclasses.replace(NEEDS, **needs))
    assert len(found) == 1
    for word in words:
        assert word in str(found[0])


def test_limits_that_there_are_not_are_no_problem():
    unlimited = resource.RLIM_INFINITY
    assert machine.problems(dataclasses.replace(WELL, files=(unlimited, unlimited)), NEEDS) == []
    (found,) = machine.problems(dataclasses.replace(WELL, files=(1024, unlimited)), NEEDS)
    assert "ulimit -n 4096 before the command" in str(found)
    plain = dataclasses.replace(WELL, compiler=False, headers=False)
    assert machine.problems(plain, NEEDS) == [], "no cell would be compiled"


def test_the_facts_are_those_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(machine, "bounds", lambda: SimpleNamespace(free=7 * GB))
    facts = machine.look([("--out", tmp_path / "not" / "there")])
    ((name, path, free),) = facts.disks
    assert (name, path) == ("--out", tmp_path / "not" / "there")
    assert 0 < free <= shutil.disk_usage(tmp_path).total
    assert facts.memory == 7 * GB, "of the container, where that has less than the machine"
    assert not facts.compiler
    monkeypatch.setenv("CC", sys.executable)
    assert machine.look([]).compiler


def test_the_disk_of_the_cache_has_to_hold_the_features_of_as_many_frozen_cells_as_run_at_once():
    """A ResNet-50 has 2,048 features; 200,000 images in 10 views are 8.2 GB in float16."""
    cells = [
        Cell(architecture="resnet50", train_images=size, init="imagenet", freeze=freeze)
        for size in (5000, 200_000)
        for freeze in ("none", "backbone")
    ]
    preset = chexpert()
    whole = measure.Check(preset, tuple(cells), GPU)
    large = 10 * 200_000 * 2048 * 2
    assert [check.features_bytes(whole, trials) for trials in (1, 2, 9)] == [
        large,
        large * 41 // 40,
        large * 41 // 40,
    ]
    assert check.features_bytes(measure.Check(preset, tuple(cells[::2]), GPU), 2) == 0
    without = dataclasses.replace(preset, recipe=dataclasses.replace(preset.recipe, frozen_views=0))
    assert check.features_bytes(measure.Check(without, tuple(cells), GPU), 2) == 0
    images = most_images(cells, preset.recipe) * 224**2
    assert check.needs(whole, []).disks["--cache"] == images + large


def test_what_the_plan_needs_of_the_machine_is_that_of_as_many_trials_as_run_at_once():
    wanted = tuple(chexpert().cells())
    whole = measure.Check(chexpert(), wanted, GPU)
    parameters = [ARCHITECTURES[name].parameters for name in whole.networks]
    assert len(parameters) > 1
    speed = Speed("cbr_tiny", 224, 32, 100.0, 100.0, 4, 0.25, "bfloat16", GB)
    found = [measure.Found("cbr_tiny", speed, host_memory=GB), measure.Found("resnet50", problem="none")]
    needs = check.needs(whole, found)
    assert (needs.on_gpu, needs.compiled, needs.trials, needs.memory) == (True, True, 4, GB)
    kept = check.RECORD_BYTES * len(wanted) + 4 * sum(parameters)  # of all pretrained, at most
    checkpoints = 4 * 4 * 4 * max(parameters)  # weights, Adam's moments and the best ones, of 4 trials
    assert needs.disks["--out"] == kept + checkpoints
    quick = dataclasses.replace(speed, alone=1e9)
    assert not check.needs(whole, [measure.Found("cbr_tiny", quick)]).compiled
    preset = demo()
    embedded = check.needs(measure.Check(preset, tuple(preset.cells()), CPU), []).disks["--cache"]
    frozen = check.features_bytes(measure.Check(preset, tuple(preset.cells()), CPU), 1)
    assert embedded == preset.phantom.images * preset.recipe.image_size**2 + frozen
    assert not check.needs(measure.Check(preset, tuple(preset.cells()), CPU), []).on_gpu
