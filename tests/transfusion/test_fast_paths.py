"""The fast paths give what the plain ones give, within stated tolerances; and nothing is done twice."""

import dataclasses
import errno
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from one_trial import run_trial

from transfusion import trial
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell, Recipe, upstream_of
from transfusion.networks.network import build
from transfusion.training import fitting
from transfusion.training.augmentation import evaluation_inputs, training_inputs
from transfusion.training.features import feature_task
from transfusion.training.metrics import auroc
from transfusion.training.randomness import VIEWS, torch_generator
from transfusion.training.task import Batches, Task

CELL = Cell(architecture="cbr_tiny", train_images=64, init="consolidation", freeze="backbone")
MARGIN = 0.01
"""The smallest difference of AUROC that matters, as in the verdicts."""


@pytest.fixture
def run(dataset, image_folder, tmp_path):
    def run(cell, recipe, cells=tmp_path / "cells", **options):
        record = run_trial(cell, recipe, dataset, cells=cells, cache=image_folder, **options)
        assert record["status"] == "done", record["error"]
        return record, cells / record["cell_id"]

    return run


def learned(record, folder):
    predictions = pd.read_parquet(folder / "predictions.parquet")
    return record["metrics"], predictions["label"].to_numpy(), predictions["logit"].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_head_on_augmented_views_trains_as_with_the_backbone_run_every_epoch(run, quick, seed):
    """As many views as epochs: both ways see every image in as many versions, drawn differently."""
    fast = dataclasses.replace(
        quick, epochs=6, frozen_views=6, upstream_images=256, upstream_epochs=4, range_test_steps=20
    )
    slow = dataclasses.replace(fast, frozen_views=0)
    cell = dataclasses.replace(CELL, train_images=256, seed=seed)
    found = []
    for recipe in (fast, slow):
        run(upstream_of(cell, recipe), recipe)
        found.append(learned(*run(cell, recipe)))
    (ours, labels, logits), (plain, same, others) = found
    np.testing.assert_array_equal(labels, same)
    assert ours["train_loss"] == pytest.approx(plain["train_loss"], abs=0.02)
    assert abs(auroc(labels, logits) - auroc(labels, others)) < MARGIN
    assert np.corrcoef(logits, others)[0, 1] > 0.99


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_features_are_those_of_each_image_run_alone(architecture):
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 24, 24), np.uint8)
    rows = {"train": np.arange(5), "selection": np.array([5, 6])}
    task = Task(images, np.zeros((7, 1), np.float32), 1, rows)
    recipe = Recipe(image_size=24, epochs=4, frozen_views=2)
    network = build(architecture).eval()
    fast = feature_task(network, task, recipe, 3, torch.device("cpu"))
    assert len(fast.inputs) == 2 * 5 + 2
    with torch.no_grad():
        for view in range(2):
            inputs = training_inputs(torch.from_numpy(images[:5]), recipe, torch_generator(3, VIEWS, view))
            for i in range(5):
                alone = network.features(inputs[i : i + 1])[0].numpy()
                np.testing.assert_allclose(fast.inputs[view * 5 + i], alone, rtol=1e-3, atol=1e-4)
        alone = network.features(evaluation_inputs(torch.from_numpy(images[5:6])))[0].numpy()
        np.testing.assert_allclose(fast.inputs[10], alone, rtol=1e-3, atol=1e-4)


def test_features_lie_in_a_file_without_a_name_in_half_precision(tmp_path):
    task, recipe = feature_case()
    fast = feature_task(build("resnet18").eval(), task, recipe, 3, torch.device("cpu"), tmp_path / "new")
    assert isinstance(fast.inputs, np.memmap)
    assert fast.inputs.dtype == np.float16
    assert list((tmp_path / "new").iterdir()) == []
    batch, _ = next(iter(Batches(fast, fast.rows["train"], 4)))
    assert training_inputs(batch, recipe, torch_generator(0, VIEWS)).dtype == torch.float32


def test_a_disk_too_small_for_the_features_is_an_error_before_any_is_computed(tmp_path, monkeypatch):
    task, recipe = feature_case()
    network, taken = build("resnet18").eval(), []

    def full(_file, _start, size):
        taken.append(size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(network, "features", None)
    with pytest.raises(OSError, match="No space left"):
        feature_task(network, task, recipe, 3, torch.device("cpu"), tmp_path)
    assert taken == [(2 * 5 + 2) * 512 * 2]


@pytest.mark.parametrize("factor", [1e6, 1e-7, float("nan")])
def test_features_that_half_precision_cannot_hold_are_kept_in_full(factor):
    task, recipe = feature_case()
    torch.manual_seed(0)
    network = build("cbr_tiny").eval()
    plain = feature_task(network, task, recipe, 3, torch.device("cpu")).inputs
    assert plain.dtype == np.float16
    network.stages[-1].append(Scaled(factor))
    scaled = feature_task(network, task, recipe, 3, torch.device("cpu")).inputs
    assert scaled.dtype == np.float32
    expected = plain.astype(np.float32) * np.float32(factor)
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-5 * factor)


class Scaled(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, maps):
        return maps * self.factor


def feature_case():
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 24, 24), np.uint8)
    rows = {"train": np.arange(5), "selection": np.array([5, 6])}
    return Task(images, np.zeros((7, 1), np.float32), 1, rows), Recipe(
        image_size=24, epochs=4, frozen_views=2
    )


def test_every_range_test_and_every_pretraining_is_done_once(run, quick, monkeypatch, tmp_path):
    """Across runs as well: the second pass over the same folder starts nothing."""
    done = []
    original = fitting.find_learning_rate
    monkeypatch.setattr(
        fitting,
        "find_learning_rate",
        lambda module, device: done.append(len(module.task.rows["train"])) or original(module, device),
    )
    cells = [
        dataclasses.replace(CELL, train_images=n, freeze=f) for n in (32, 64) for f in ("none", "backbone")
    ]
    upstream = upstream_of(cells[0], quick)
    assert {upstream_of(cell, quick) for cell in cells} == {upstream}
    for _ in range(2):
        for cell in (upstream, *cells):
            run(cell, quick)
    assert sorted(done) == [32, 32, 32, 64, 64]

    class Killed(BaseException):
        pass

    def killer(metrics):
        raise Killed

    cell = Cell(architecture="cbr_tiny", train_images=48)
    with pytest.raises(Killed):
        run(cell, quick, hooks=fitting.Hooks(report=killer, checkpoint_seconds=0))
    run(cell, quick)
    assert done.count(48) == 1, "a cell that was cut off keeps its range test"


def test_the_batched_input_pipeline_gives_what_image_by_image_gives():
    recipe = Recipe(image_size=32)
    images = torch.randint(0, 256, (6, 1, 32, 32), dtype=torch.uint8)
    together = training_inputs(images, recipe, torch_generator(0, VIEWS))
    still = dataclasses.replace(recipe, rotation_degrees=0, translate_fraction=0, scale_fraction=0)
    for i in range(6):
        one = training_inputs(images[i : i + 1], still, torch_generator(0, VIEWS))
        torch.testing.assert_close(one, evaluation_inputs(images[i : i + 1]), atol=1e-3, rtol=0)
    assert together.shape == (6, 3, 32, 32)
    assert (together - evaluation_inputs(images)).abs().mean() > 0.01, "the affine moves images"


def test_on_the_cpu_nothing_is_reduced_compiled_or_moved(run, quick, monkeypatch):
    seen = []
    original = trial.fit
    monkeypatch.setattr(trial, "fit", lambda module, *rest: (seen.append(module), original(module, *rest)))
    run(Cell(architecture="cbr_tiny", train_images=32), quick)
    (module,) = seen
    assert module.network.reduced is None
    assert module.compiling == "no"
    assert module.compiled.__self__ is module.network
    assert not [name for name in module.state_dict() if name.startswith("compiled")]
    batches = Batches(module.task, np.arange(3), 2)
    assert [inputs.device.type for inputs, _ in batches] == ["cpu", "cpu"]


def test_reduced_precision_stays_close_and_leaves_logits_in_float32():
    torch.manual_seed(0)
    network = build("cbr_tiny").eval()
    images = evaluation_inputs(torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8))
    with torch.no_grad():
        plain = network(images)
        network.reduced = torch.bfloat16
        reduced = network(images)
    assert reduced.dtype == torch.float32
    assert not torch.equal(plain, reduced)
    torch.testing.assert_close(reduced, plain, atol=0.02, rtol=0.02)


RELEASES = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_freeze_count(), file=sys.stderr))  # the first to register is called last
from transfusion.training import process_state

class Garbage:
    alive = 0

    def __init__(self):
        self.itself = self
        Garbage.alive += 1

    def __del__(self):
        Garbage.alive -= 1

process_state.release()
aside = gc.get_freeze_count()
Garbage()
process_state.release()
print(Garbage.alive, aside, gc.get_freeze_count())
"""


def test_what_outlives_a_trial_is_set_aside_once_and_later_garbage_is_still_collected():
    """In a process of its own: what other tests have left, and set aside, decides nothing here."""
    done = subprocess.run([sys.executable, "-c", RELEASES], capture_output=True, text=True, check=True)
    alive, aside, later = map(int, done.stdout.split())
    assert aside > 1000
    assert alive == 0
    assert later <= aside
    assert done.stderr == "0\n", "what was set aside is given back before the process ends"
