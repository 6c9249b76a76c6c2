"""One trial: its records, its determinism, resuming, divergence, freezing."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from one_trial import run_trial
from sklearn.metrics import roc_auc_score

from transfusion import trial
from transfusion.cell import Cell, cell_id, upstream_of
from transfusion.records import results
from transfusion.training import fitting
from transfusion.training.fitting import Hooks
from transfusion.trial import initial_network

CELL = Cell(architecture="cbr_tiny", train_images=48)
PARTS = ("range_test_seconds", "feature_seconds", "train_seconds", "epoch_seconds", "evaluation_seconds")
TIMES = {"seconds", "images_per_second", *PARTS}


@pytest.fixture
def run(dataset, image_folder, tmp_path, quick):
    def run(cell=CELL, recipe=quick, cells=tmp_path / "cells", **options):
        record = run_trial(cell, recipe, dataset, cells=cells, cache=image_folder, **options)
        return record, cells / record["cell_id"]

    return run


def tables(folder):
    return {
        name: pd.read_parquet(folder / f"{name}.parquet").drop(columns=["seconds"], errors="ignore")
        for name in results.TABLES
    }


def assert_same(one, two):
    (record, folder), (other, other_folder) = one, two
    assert {k: v for k, v in record["metrics"].items() if k not in TIMES} == {
        k: v for k, v in other["metrics"].items() if k not in TIMES
    }
    for (name, frame), again in zip(tables(folder).items(), tables(other_folder).values(), strict=True):
        pd.testing.assert_frame_equal(frame, again, check_exact=True, obj=name)


def test_the_records_of_a_cell(run, dataset, quick):
    reported = []
    record, folder = run(hooks=Hooks(report=reported.append))
    assert record["status"] == "done", record["error"]
    assert json.loads((folder / "result.json").read_text()) == record
    assert folder.name == cell_id(CELL, quick, dataset.fingerprint)
    frames = tables(folder)
    assert frames["epochs"]["epoch"].tolist() == [1, 2, 3]
    assert [metrics["epoch"] for metrics in reported] == [1, 2, 3]
    assert len(frames["steps"]) == 3 * 3
    assert frames["steps"]["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    by_epoch = frames["steps"].groupby("epoch")["train_loss"].mean()
    np.testing.assert_allclose(frames["epochs"]["train_loss"], by_epoch)
    assert len(frames["range_test"]) == quick.range_test_steps
    assert quick.range_test_low <= record["metrics"]["learning_rate"] <= quick.range_test_high
    assert not (folder / results.WEIGHTS).exists(), "weights are kept for upstream cells only"

    predictions = frames["predictions"]
    labels = dataset.labels("Edema", "ones", "zeros")
    for part in ("test", "official"):
        rows = predictions[predictions["split"] == part]
        assert rows["image"].tolist() == dataset.frame["image"].iloc[dataset.rows(part)].tolist()
        assert rows["label"].tolist() == labels[dataset.rows(part)].tolist()
        area = roc_auc_score(rows["label"], rows["logit"])
        assert record["metrics"][f"{part}_auroc"] == pytest.approx(area, abs=1e-12)


def test_a_finished_cell_is_not_trained_again(run, monkeypatch):
    record, _ = run()
    monkeypatch.setattr(trial, "_train", lambda *args: pytest.fail("trained again"))
    assert run()[0] == record


def test_the_same_cell_gives_the_same_result_in_whatever_company(run, tmp_path):
    alone = run(cells=tmp_path / "alone")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  (what another trial may leave)
    torch.set_num_threads(2)
    run(Cell(architecture="resnet18", train_images=32, seed=5), cells=tmp_path / "company")
    torch.backends.cudnn.benchmark = True
    torch.set_default_dtype(torch.float64)
    try:
        assert_same(alone, run(cells=tmp_path / "company"))
    finally:
        torch.set_default_dtype(torch.float32)


def test_another_seed_gives_another_result(run):
    one, two = run()[0], run(dataclasses.replace(CELL, seed=1))[0]
    assert one["metrics"]["train_loss"] != two["metrics"]["train_loss"]


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_an_interrupted_cell_continues_to_the_same_bits(run, tmp_path, quick, freeze):
    init = "random" if freeze == "none" else "photos"
    cell = dataclasses.replace(CELL, init=init, freeze=freeze)
    recipe = dataclasses.replace(quick, epochs=4, plateau_patience=0)
    for where in ("whole", "broken"):
        if upstream := upstream_of(cell, recipe):
            run(upstream, recipe, tmp_path / where)
    whole = run(cell, recipe, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def killer(metrics):
        if metrics["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        run(cell, recipe, tmp_path / "broken", hooks=Hooks(report=killer, checkpoint_seconds=0))
    folder = tmp_path / "broken" / whole[0]["cell_id"]
    assert (folder / results.CHECKPOINT).exists()
    assert results.read_result(folder) is None

    epochs = []
    resumed = run(
        cell,
        recipe,
        tmp_path / "broken",
        hooks=Hooks(report=lambda metrics: epochs.append(metrics["epoch"]), checkpoint_seconds=0),
    )
    assert epochs == [3, 4], "the finished epochs are not trained again"
    assert not (folder / results.CHECKPOINT).exists()
    assert_same(whole, resumed)


def test_divergence_is_a_recorded_failure(run, quick):
    ladder = dataclasses.replace(quick, range_test_low=1e28, range_test_high=1e30, range_test_steps=2)
    record, folder = run(recipe=ladder)
    assert (record["status"], record["failure"]) == ("failed", "diverged")
    assert "step" in record["error"]
    assert "learning rate" in record["error"]
    assert results.read_result(folder) == record


def test_a_bug_is_recorded_with_its_traceback(run, monkeypatch):
    def broken(*args):
        raise RuntimeError("planted")

    monkeypatch.setattr(fitting, "find_learning_rate", broken)
    record, folder = run()
    assert (record["status"], record["failure"]) == ("failed", "error")
    assert "RuntimeError: planted" in record["error"]
    assert "in broken" in (folder / "traceback.txt").read_text()


def test_upstream_weights_feed_the_cells_that_start_from_them(run, dataset, quick, tmp_path):
    cells = tmp_path / "cells"
    cell = dataclasses.replace(CELL, init="consolidation", freeze="backbone")
    upstream = upstream_of(cell, quick)
    record, folder = run(upstream)
    assert record["status"] == "done"
    assert record["cell"]["finding"] == "Consolidation"
    weights = trial.load_stages(folder / results.WEIGHTS)
    network = initial_network(cell, quick, dataset.fingerprint, cells, 1)
    for name, value in network.stages.state_dict().items():
        assert torch.equal(value, weights[name])
    scratch = initial_network(CELL, quick, dataset.fingerprint, cells, 1)
    assert torch.equal(scratch.head.weight, network.head.weight), "the same seed draws the same head"
    frozen, folder = run(cell)
    assert frozen["status"] == "done"
    ladder = tables(folder)["range_test"]["learning_rate"]
    assert ladder.iloc[0] == pytest.approx(10 * quick.range_test_low), "a head alone bears higher rates"
    assert ladder.iloc[-1] <= 10 * quick.range_test_high * 1.001
    assert frozen["metrics"]["rate_at_edge"] in ("no", "low", "high")


def test_a_photographs_cell_has_no_areas(run, quick):
    record, folder = run(upstream_of(dataclasses.replace(CELL, init="photos"), quick))
    assert record["status"] == "done"
    assert "test_auroc" not in record["metrics"]
    assert record["metrics"]["selection_auroc"] is None
    assert not (folder / "predictions.parquet").exists()


def test_features_computed_once_train_the_head_as_the_backbone_run_every_epoch(run, quick):
    """With one view and no augmentation both ways see the same inputs, and must reach the same loss."""
    still = dataclasses.replace(
        quick, rotation_degrees=0, translate_fraction=0, scale_fraction=0, frozen_views=1, upstream_epochs=2
    )
    slow = dataclasses.replace(still, frozen_views=0)
    cell = dataclasses.replace(CELL, init="photos", freeze="backbone")
    for recipe in (still, slow):
        run(upstream_of(cell, recipe), recipe)
    (fast_record, fast), (slow_record, plain) = run(cell, still), run(cell, slow)
    for name in ("train_loss", "test_auroc", "learning_rate"):
        assert fast_record["metrics"][name] == pytest.approx(slow_record["metrics"][name], abs=1e-4), name
    np.testing.assert_allclose(
        tables(fast)["predictions"]["logit"], tables(plain)["predictions"]["logit"], atol=1e-3, rtol=0
    )
