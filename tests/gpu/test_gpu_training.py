"""What only a GPU can show: `pytest -m gpu -n 0`."""

import dataclasses
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from one_trial import run_trial

from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell, upstream_of
from transfusion.training import acceleration
from transfusion.training.fitting import Hooks
from transfusion.training.metrics import auroc
from transfusion.training.task import Batches, Task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="found no GPU"),
]
CUDA = torch.device("cuda")


@pytest.fixture
def run(dataset, image_folder, tmp_path):
    def run(cell, recipe, folder="cells", **options):
        record = run_trial(
            cell, recipe, dataset, cells=tmp_path / folder, cache=image_folder, device="cuda", **options
        )
        assert record["status"] == "done", record["error"]
        return record, tmp_path / folder / record["cell_id"]

    return run


def half_width(labels, logits):
    """Half of the 95 % interval of an AUROC over images drawn with replacement."""
    draw = np.random.default_rng(0)
    rows = (draw.integers(0, len(labels), len(labels)) for _ in range(500))
    areas = [area for chosen in rows if (area := auroc(labels[chosen], logits[chosen])) is not None]
    low, high = np.quantile(areas, (0.025, 0.975))
    return (high - low) / 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_and_float32_reach_the_same_auroc_within_its_interval(run, quick, architecture):
    recipe = dataclasses.replace(quick, epochs=6, image_size=32, range_test_steps=20)
    cell = Cell(architecture=architecture, train_images=400)
    areas, widths = [], []
    for precision in ("auto", "float32"):
        _, folder = run(cell, recipe, precision, precision=precision)
        frame = pd.read_parquet(folder / "predictions.parquet")
        labels, logits = frame["label"].to_numpy(), frame["logit"].to_numpy()
        areas.append(auroc(labels, logits))
        widths.append(half_width(labels, logits))
    assert abs(areas[0] - areas[1]) < max(widths), (areas, widths)


def task_of(count=100):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 16, 16), np.uint8)
    return Task(images, np.arange(count, dtype=np.float32)[:, None], 1, {"train": np.arange(count)})


def test_batches_that_come_ahead_are_those_of_the_cpu():
    task, rows = task_of(), np.random.default_rng(1).permutation(90)
    for plain, moved in zip(Batches(task, rows, 7), Batches(task, rows, 7, CUDA), strict=True):
        for expected, ours in zip(plain, moved, strict=True):
            assert ours.device.type == "cuda"
            torch.testing.assert_close(ours.cpu(), expected, atol=0, rtol=0)


def test_an_error_while_gathering_reaches_the_trial():
    with pytest.raises(IndexError):
        list(Batches(task_of(10), np.array([1, 99]), 2, CUDA))


def test_batches_that_nobody_finishes_leave_no_thread():
    before = threading.active_count()
    batches = iter(Batches(task_of(), np.arange(100), 2, CUDA))
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


def test_in_float32_a_cell_trains_as_on_the_cpu(run, quick, dataset, image_folder, tmp_path):
    """The same images, augmented alike, in the same order; only the order of summation differs."""
    cell = Cell(architecture="cbr_tiny", train_images=64)
    ours, _ = run(cell, quick, precision="float32")
    theirs = run_trial(cell, quick, dataset, cells=tmp_path / "cpu", cache=image_folder)
    assert ours["metrics"]["learning_rate"] == pytest.approx(theirs["metrics"]["learning_rate"], rel=0.3)
    assert ours["metrics"]["train_loss"] == pytest.approx(theirs["metrics"]["train_loss"], abs=0.05)
    assert ours["metrics"]["device_memory_bytes"] > 0


def test_the_same_cell_twice_gives_the_same_bits(run, quick):
    """cuDNN's deterministic algorithms, and none chosen by trying."""
    cell = Cell(architecture="resnet18", train_images=64)
    losses = [run(cell, quick, folder)[0]["metrics"]["train_loss"] for folder in ("once", "again")]
    assert losses[0] == losses[1]


def test_a_cell_cut_off_within_an_epoch_goes_on(run, quick, dataset, image_folder, tmp_path):
    cell = Cell(architecture="cbr_tiny", train_images=64)
    whole, _ = run(cell, quick, "whole", precision="float32")
    asked = iter((False, True))
    place = {"cells": tmp_path / "cut", "cache": image_folder, "device": "cuda", "precision": "float32"}
    hooks = Hooks(stop=lambda: next(asked), stop_seconds=0)
    assert run_trial(cell, quick, dataset, hooks=hooks, **place)["status"] == "interrupted"
    record, _ = run(cell, quick, "cut", precision="float32")
    assert record["metrics"]["train_loss"] == pytest.approx(whole["metrics"]["train_loss"], abs=1e-3)


def test_compiled_training_reaches_the_loss_of_plain_training(run, quick, monkeypatch):
    cell = Cell(architecture="cbr_tiny", train_images=128)
    plain, _ = run(cell, quick, "plain", precision="float32")
    monkeypatch.setattr(acceleration, "COMPILE_SECONDS", -1.0)
    compiled, _ = run(cell, quick, "compiled", precision="float32")
    assert compiled["environment"]["compiled"] == "yes"
    ours, theirs = compiled["metrics"]["train_loss"], plain["metrics"]["train_loss"]
    assert ours == pytest.approx(theirs, abs=0.05)


def test_a_frozen_cell_trains_on_features_of_the_gpu(run, quick):
    cell = Cell(architecture="resnet18", train_images=64, init="consolidation", freeze="backbone")
    run(upstream_of(cell, quick), quick)
    record, _ = run(cell, quick)
    assert record["environment"]["device"] == "cuda"
