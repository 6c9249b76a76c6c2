"""What only a GPU can show: `pytest -m gpu`."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from transfusion import acceleration, fitting
from transfusion.cell import ARCHITECTURES, Cell, upstream_of
from transfusion.metrics import auroc
from transfusion.task import Batches, Task
from transfusion.trial import run_trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="found no GPU"),
]
CUDA = torch.device("cuda")


@pytest.fixture
def run(table, image_folder, tmp_path):
    def run(cell, recipe, folder="cells", **options):
        record = run_trial(
            cell, recipe, table, cells=tmp_path / folder, cache=image_folder, device="cuda", **options
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


def test_a_trial_that_exceeds_its_share_asks_for_a_larger_one(table, image_folder, tmp_path, quick):
    record = run_trial(
        Cell(architecture="cbr_tiny", train_images=32), quick, table,
        cells=tmp_path, cache=image_folder, device="cuda", share=1e-4,
    )  # fmt: skip
    assert record["status"] == "out_of_memory"


def task_of(count=100):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 16, 16), np.uint8)
    return Task(images, np.arange(count, dtype=np.float32)[:, None], 1, {"train": np.arange(count)})


def test_resident_and_prefetched_batches_are_those_of_the_cpu():
    task = task_of()
    rows = np.random.default_rng(1).permutation(90)
    kept = acceleration.resident(task.inputs, np.arange(5, 95), CUDA, 2**32)
    assert kept is not None
    assert not kept.holds(np.array([0]))
    assert kept.holds(np.array([5, 94]))
    held = dataclasses.replace(task, resident=kept)
    for given, wanted in ((task, rows), (held, rows[rows >= 5])):
        plain = list(Batches(task, wanted, 7))
        moved = list(Batches(given, wanted, 7, CUDA))
        assert len(plain) == len(moved)
        for (images, labels), (ours, theirs) in zip(plain, moved, strict=True):
            assert ours.device.type == theirs.device.type == "cuda"
            torch.testing.assert_close(ours.cpu(), images, atol=0, rtol=0)
            torch.testing.assert_close(theirs.cpu(), labels, atol=0, rtol=0)


def test_inputs_stay_out_of_device_memory_that_they_do_not_fit():
    task = task_of()
    assert acceleration.resident(task.inputs, np.arange(100), CUDA, room=0) is None


def test_an_error_while_gathering_reaches_the_trial():
    with pytest.raises(IndexError):
        list(Batches(task_of(10), np.array([1, 99]), 2, CUDA))


def test_batches_that_nobody_finishes_leave_no_thread():
    batches = iter(Batches(task_of(), np.arange(100), 2, CUDA))
    next(batches)
    batches.close()


@pytest.mark.parametrize("kept", [True, False])
def test_a_cell_trains_the_same_from_device_memory_and_from_transfers(run, quick, monkeypatch, kept):
    tasks = []
    original = fitting.accelerate

    def accelerate(module, epochs, device, room):
        original(module, epochs, device, room if kept else 0)
        tasks.append(module.task)

    monkeypatch.setattr(fitting, "accelerate", accelerate)
    record, _ = run(Cell(architecture="cbr_tiny", train_images=64), quick, precision="float32")
    assert (tasks[0].resident is not None) == kept
    assert record["metrics"]["device_memory_bytes"] > 0


def test_compiled_training_reaches_the_loss_of_plain_training(run, quick, monkeypatch):
    cell = Cell(architecture="cbr_tiny", train_images=128)
    plain, _ = run(cell, quick, "plain", precision="float32")
    monkeypatch.setattr(acceleration, "COMPILE_SECONDS", -1.0)
    compiled, _ = run(cell, quick, "compiled", precision="float32")
    ours, theirs = compiled["metrics"]["train_loss"], plain["metrics"]["train_loss"]
    assert ours == pytest.approx(theirs, abs=0.05)


def test_a_frozen_cell_trains_on_features_of_the_gpu(run, quick):
    cell = Cell(architecture="resnet18", train_images=64, init="consolidation", freeze="backbone")
    run(upstream_of(cell, quick), quick)
    record, _ = run(cell, quick)
    assert record["environment"]["device"] == "cuda"
