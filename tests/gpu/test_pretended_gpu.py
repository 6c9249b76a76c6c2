"""Whole cells on a pretended GPU, by the real Lightning: devices, types, memory, waits."""

import dataclasses
import threading
from collections import Counter
from contextlib import suppress

import pandas as pd
import pytest
import torch
from imagenet_folder import write_images
from one_trial import run_trial
from pretended_cuda import pretended
from whole_gpu import given_back

from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell, Recipe, Supplied, upstream_of
from transfusion.layouts import imagenet
from transfusion.networks import weights
from transfusion.networks.network import Network, build
from transfusion.records import attempts, results
from transfusion.training import acceleration, module
from transfusion.training.fitting import Hooks
from transfusion.training.module import TrainingModule
from transfusion.training.process_state import cap_memory
from transfusion.training.schedule import EVALUATION_BATCH
from transfusion.weights_input import parse

RECIPE = Recipe(
    image_size=32,  # no map of one pixel: its order in memory is ambiguous, and CPU kernels take either
    epochs=2,
    batch_size=8,
    range_test_steps=3,
    range_test_low=1e-5,
    range_test_high=1e-3,
    frozen_views=2,
    upstream_images=16,
    upstream_epochs=1,
)
CELL = Cell(architecture="cbr_tiny", train_images=24)
QUICK = ("resnet18", "cbr_small", "cbr_tiny")


@pytest.fixture
def run(dataset, image_folder, tmp_path):
    """A function from a cell to its record and the pretended device, None on the CPU."""

    def run(cell=CELL, recipe=RECIPE, *, device="cuda", folder="cells", status="done", gpu=None, **options):
        place = {"cells": tmp_path / folder, "cache": image_folder, "device": device}
        if device == "cpu":
            record, found = run_trial(cell, recipe, dataset, **place, **options), None
        else:
            with pretended(**(gpu or {})) as found:
                record = run_trial(cell, recipe, dataset, **place, **options)
        assert record["status"] == status, record.get("error")
        return record, found

    return run


def types_of(gpu, operation):
    return {kind for name, kind in gpu.kinds if name.startswith(f"aten.{operation}")}


@pytest.mark.parametrize(
    "architecture",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES],
)
def test_every_architecture_trains_and_is_evaluated_where_its_weights_are(run, architecture):
    size = 48 if architecture.startswith("resnet") else 32
    recipe = dataclasses.replace(RECIPE, image_size=size, epochs=1, range_test_steps=2)
    _, gpu = run(Cell(architecture=architecture, train_images=16), recipe)
    assert types_of(gpu, "convolution.") == {"bfloat16"}
    assert types_of(gpu, "convolution_backward.") == {"bfloat16"}
    for operation in ("mean.", "addmm.", "binary_cross_entropy_with_logits.", "_fused_adam_."):
        assert types_of(gpu, operation) == {"float32"}, operation


def test_in_float32_it_is_the_cpus_result_to_the_bit(run):
    (ours, gpu), (theirs, _) = run(precision="float32", folder="a"), run(device="cpu", folder="b")
    assert "bfloat16" not in {kind for _, kind in gpu.kinds}
    for name in ("train_loss", "selection_loss", "test_auroc", "learning_rate"):
        assert ours["metrics"][name] == theirs["metrics"][name]


def test_no_training_step_waits_for_the_gpu(run):
    _, gpu = run()
    files = ("augmentation.py", "module.py", "convolution.py", "optimizer.py", "acceleration.py")
    places = Counter((what, where) for what, where in gpu.waits if where.split(":")[0] in files)
    steps = RECIPE.epochs * CELL.train_images // RECIPE.batch_size
    assert not {key: count for key, count in places.items() if count >= steps}


def test_gathering_threads_end(run):
    before = threading.active_count()
    run()
    longer = dataclasses.replace(CELL, train_images=96)  # more batches than are gathered ahead
    run(longer, hooks=Hooks(stop=lambda: True, stop_seconds=0), status="interrupted")
    assert threading.active_count() == before


def test_an_interrupted_cell_goes_on(run):
    asked = []
    run(hooks=Hooks(stop=lambda: asked.append(1) or len(asked) == 1), status="interrupted")
    run()


@pytest.mark.parametrize(
    ("init", "freeze", "views", "balance"),
    [
        ("random", "none", 2, "balanced"),
        ("photos", "none", 2, "natural"),
        ("photos", "backbone", 2, "balanced"),
        ("photos", "backbone", 0, "natural"),
        ("consolidation", "none", 2, "balanced"),
        ("consolidation", "backbone", 2, "natural"),
        ("consolidation", "backbone", 0, "balanced"),
    ],
)
def test_every_arm(run, init, freeze, views, balance):
    recipe = dataclasses.replace(RECIPE, epochs=1, frozen_views=views)
    cell = dataclasses.replace(CELL, init=init, freeze=freeze, balance=balance)
    for one in filter(None, (upstream_of(cell, recipe), cell)):
        _, gpu = run(one, recipe)
    trained = {"convolution_backward."} if freeze == "none" else set()
    assert {name for name in ("convolution_backward.",) if types_of(gpu, name)} == trained
    on_the_device = freeze == "none" or not views  # a head on features trains on the CPU
    assert types_of(gpu, "_fused_adam_.") == ({"float32"} if on_the_device else set())


def test_images_in_colour_are_pretrained_on_and_others_start_from_it(run, tmp_path):
    images = imagenet.read(write_images(tmp_path / "images"), 20)
    recipe = dataclasses.replace(RECIPE, upstream_images=20)
    supplied = Supplied(imagenet=images.fingerprint)
    cell = dataclasses.replace(CELL, init="imagenet")
    for one in (upstream_of(cell, recipe, supplied), cell):
        run(one, recipe, supplied=supplied, imagenet=images)


@pytest.mark.parametrize("freeze", ["none", "backbone"])
@pytest.mark.parametrize("scale", ["", "mean=0.5,std=0.5"])
def test_supplied_weights_on_the_scale_of_their_inputs(run, tmp_path, freeze, scale):
    torch.save(build("cbr_tiny").state_dict(), tmp_path / "mine.pth")
    fingerprint = weights.fingerprint(tmp_path / "mine.pth")
    inputs = (("cbr_tiny", parse(scale)),) if scale else ()
    supplied = Supplied(weights=(("cbr_tiny", fingerprint),), inputs=inputs)
    weights.store(tmp_path / "mine.pth", "cbr_tiny", tmp_path / "cells", fingerprint)
    run(dataclasses.replace(CELL, init="imagenet", freeze=freeze), supplied=supplied)


@pytest.mark.parametrize(("capability", "kind"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_bfloat16_is_used_where_the_device_has_it_and_is_not_emulated(run, capability, kind):
    record, gpu = run(recipe=dataclasses.replace(RECIPE, epochs=1), gpu={"capability": capability})
    assert types_of(gpu, "convolution.") == {kind}
    assert record["environment"]["type"] == kind


@pytest.mark.parametrize("dead", [True, False])
def test_a_gpu_that_answers_no_more_is_no_failure_of_the_cell(run, monkeypatch, tmp_path, dead):
    """After such an error every call fails in this process, and so would all cells after this one."""

    def fails(*_):
        monkeypatch.setattr(torch.cuda, "synchronize", answer)
        monkeypatch.setattr(torch.cuda, "empty_cache", answer)
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def answer(*_):
        if dead:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(TrainingModule, "training_step", fails)
    if dead:
        with pytest.raises(RuntimeError, match="illegal memory access"):
            run()
        (folder,) = (tmp_path / "cells").iterdir()
        assert results.read_result(folder) is None, "another process tries it again"
    else:
        record, _ = run(status="failed")
        assert record["failure"] == "error"


def test_out_of_memory_at_a_share_it_trains_at_the_next(run, tmp_path):
    """Of this memory the cell needs more than a quarter and less than half."""
    _, plain = run(folder="plain")
    gpu = {"memory": int(plain.highest / 0.18)}  # half of a share is torch's: CUDA's context takes the rest
    run(gpu=gpu, share=0.25, status="out_of_memory")
    (folder,) = (tmp_path / "cells").iterdir()
    assert attempts.exhausted_share(folder) == 0.25
    record, _ = run(gpu=gpu, share=0.5)
    assert record["environment"]["share"] == 0.5


def test_the_peak_that_is_recorded_is_that_of_training_after_its_first_step(run, monkeypatch):
    """A workspace of 64 MB in the range test and in the first step is no need; one of later steps is."""
    plain, _ = run(folder="plain")
    original = TrainingModule.training_step

    def training_step(module, batch, index):
        if (module.current_epoch, index) in spiked:
            torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")
        return original(module, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    peaks = []
    for spiked in ({(0, 0)}, {(1, 1)}):
        record, _ = run(folder=str(spiked))
        peaks.append(record["metrics"]["device_memory_bytes"])
    assert peaks[0] == plain["metrics"]["device_memory_bytes"]
    assert peaks[1] >= 64 * 2**20 > peaks[0]


def test_the_need_of_a_frozen_cell_is_that_of_its_features_after_their_first_batch(run, monkeypatch):
    cell = dataclasses.replace(CELL, init="photos", freeze="backbone")
    run(upstream_of(cell, RECIPE))
    original, peaks, batches, spiked = Network.features, [], [], []

    def features(network, images):
        batches.append(1)
        if len(batches) == spiked[-1]:
            torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")
        return original(network, images)

    monkeypatch.setattr(Network, "features", features)
    for place, balance in ((1, "natural"), (2, "balanced")):  # the same images, in another cell
        batches.clear()
        spiked.append(place)
        record, _ = run(dataclasses.replace(cell, balance=balance))
        peaks.append(record["metrics"]["device_memory_bytes"])
    assert 4 * record["metrics"]["parameters"] < peaks[0] < 64 * 2**20 <= peaks[1]


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_no_more_than_a_batch_of_images_and_no_kept_features_lie_on_the_device(run, freeze):
    cell = dataclasses.replace(CELL, init="photos", freeze=freeze)
    recipe = dataclasses.replace(RECIPE, epochs=1)
    run(upstream_of(cell, recipe), recipe)
    _, gpu = run(cell, recipe)
    assert 0 < gpu.largest[torch.uint8] <= EVALUATION_BATCH * RECIPE.image_size**2
    assert torch.float16 not in gpu.largest


def test_under_a_batch_job_of_several_tasks_a_trial_is_one_process(run, monkeypatch):
    job = {"JOB_ID": "7", "JOB_NAME": "sweep", "NTASKS": "4", "PROCID": "1", "LOCALID": "1", "NODEID": "0"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    run()
    run(dataclasses.replace(CELL, seed=1), device="cpu", hooks=Hooks(checkpoint_seconds=0))


@pytest.mark.parametrize("resumed", [False, True])
def test_long_training_is_compiled_also_where_it_goes_on(run, monkeypatch, resumed):
    """By a backend that computes as before, and counts: whole batches are compiled, results are the same."""
    plain, _ = run(precision="float32", folder="plain")
    made = []

    def compile_(function):
        return lambda images: made.append(images.shape) or function(images)

    monkeypatch.setattr(torch, "compile", compile_)
    if resumed:
        asked = iter((False, True))
        hooks = Hooks(stop=lambda: next(asked), stop_seconds=0)
        run(precision="float32", hooks=hooks, status="interrupted")
        assert not made
    monkeypatch.setattr(acceleration, "COMPILE_SECONDS", 0.0)  # of steps that have been measured
    record, _ = run(precision="float32")
    assert record["environment"]["compiled"] == "yes"
    assert len(made) == (1 + 3 + 3 - 2 if resumed else 1 + 3 + 3)
    for name in ("train_loss", "selection_loss", "test_auroc"):
        assert record["metrics"][name] == plain["metrics"][name]


def test_a_loss_that_is_no_number_in_bfloat16_is_a_divergence_with_its_curve(run, monkeypatch, tmp_path):
    """The first step of the second epoch; the call before it is the first selection's."""
    original, calls = module.masked_loss, []

    def loss(logits, targets):
        calls.append(1)
        steps = CELL.train_images // RECIPE.batch_size
        return original(logits, targets) * (float("nan") if len(calls) == steps + 2 else 1.0)

    monkeypatch.setattr(module, "masked_loss", loss)
    record, gpu = run(status="failed")
    assert types_of(gpu, "convolution.") == {"bfloat16"}
    assert record["failure"] == "diverged"
    assert "nan at step 4 in epoch 2" in record["error"]
    curve = pd.read_parquet(tmp_path / "cells" / record["cell_id"] / "steps.parquet")
    assert len(curve) == CELL.train_images // RECIPE.batch_size


def test_host_memory_that_cannot_be_pinned_is_a_lack_of_memory(run, monkeypatch):
    """It is a thread that gathers and pins."""

    def refused(_):
        raise torch.AcceleratorError("CUDA error: out of memory")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refused)
    before = threading.active_count()
    run(share=0.25, status="out_of_memory")
    record, _ = run(status="failed")
    assert record["failure"] == "out_of_memory"
    assert threading.active_count() == before


def test_what_mixes_devices_raises():
    with pretended():
        with pytest.raises(RuntimeError, match="expected all tensors on one device"):
            torch.ones(2, device="cuda") + torch.ones(2)
        loss = torch.ones(2, device="cuda").sum()
        assert (loss + torch.tensor(1.0)).device.type == "cuda", "CUDA takes a number of the CPU's"
        with pytest.raises(RuntimeError, match="expected all tensors on one device"):
            torch.stack([loss, torch.tensor(1.0)])


def test_a_test_on_a_gpu_leaves_the_whole_memory_to_the_next():
    with pretended() as gpu:
        with suppress(AssertionError), given_back():
            cap_memory(1e-4)
            raise AssertionError(f"a test that fails at {gpu.limit} bytes")
        assert gpu.limit == gpu.memory
