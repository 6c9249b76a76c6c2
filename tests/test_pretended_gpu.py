"""Whole cells on a pretended GPU, by the real Lightning: devices, types, memory, waits."""

import dataclasses
import threading
from collections import Counter

import pytest
import torch
from pretended_cuda import pretended

from transfusion.cell import ARCHITECTURES, Cell, Recipe, upstream_of
from transfusion.fitting import Hooks
from transfusion.trial import run_trial

RECIPE = Recipe(
    image_size=16,
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


@pytest.fixture
def run(table, image_folder, tmp_path):
    """A function from a cell to its record and the pretended device, None on the CPU."""

    def run(cell=CELL, recipe=RECIPE, *, device="cuda", folder="cells", status="done", gpu=None, **options):
        place = {"cells": tmp_path / folder, "cache": image_folder, "device": device}
        if device == "cpu":
            record, found = run_trial(cell, recipe, table, **place, **options), None
        else:
            with pretended(**(gpu or {})) as found:
                record = run_trial(cell, recipe, table, **place, **options)
        assert record["status"] == status, record.get("error")
        return record, found

    return run


def types_of(gpu, operation):
    return {kind for name, kind in gpu.kinds if name.startswith(f"aten.{operation}")}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_trains_and_is_evaluated_where_its_weights_are(run, architecture):
    size = 48 if architecture.startswith("resnet") else 16
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
    run(dataclasses.replace(CELL, seed=1), hooks=Hooks(stop=lambda: True), status="interrupted")
    assert threading.active_count() == before


def test_an_interrupted_cell_goes_on(run):
    asked = []
    run(hooks=Hooks(stop=lambda: asked.append(1) or len(asked) == 1), status="interrupted")
    run()


@pytest.mark.parametrize("freeze", ["none", "backbone"])
@pytest.mark.parametrize("init", ["photos", "consolidation"])
def test_every_arm(run, init, freeze):
    cell = dataclasses.replace(CELL, init=init, freeze=freeze)
    for one in (upstream_of(cell, RECIPE), cell):
        run(one)


def test_what_mixes_devices_raises():
    with pretended(), pytest.raises(RuntimeError, match="expected all tensors on one device"):
        torch.ones(2, device="cuda") + torch.ones(2)
