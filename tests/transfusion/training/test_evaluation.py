"""Predictions of networks whose logits are known, beside scikit-learn's areas of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from transfusion.data.dataset import Dataset
from transfusion.training.evaluation import evaluate, predict
from transfusion.training.schedule import EVALUATION_BATCH
from transfusion.training.task import CPU, Task

IMAGES = 2 * EVALUATION_BATCH + 5


def case(official=True):
    """Images in random parts; the first feature of each is its logit, the second no more than noise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "image": [f"{k}.png" for k in range(IMAGES)],
            "patient": [f"p{k // 4}" for k in range(IMAGES)],
            "study": [f"s{k // 2}" for k in range(IMAGES)],
            "part": np.where(np.arange(IMAGES) // 4 % 2, "test", "official" if official else "train"),
        }
    )
    dataset = Dataset(Path("nowhere"), frame, (), "0" * 16)
    labels = rng.integers(0, 2, IMAGES).astype(np.float32)
    labels[::7] = np.nan
    features = (rng.normal(size=(IMAGES, 2)) + np.nan_to_num(labels)[:, None] * [1, 0]).astype(np.float32)
    rows = {part: dataset.rows(part) for part in ("test", "official")}
    return Task(features, labels[:, None], 2, rows), dataset, labels, features[:, 0]


def test_logits_are_those_of_evaluation_mode_in_the_order_of_the_rows():
    task, _, _, logits = case()
    rows = np.random.default_rng(1).permutation(IMAGES)
    network = nn.Dropout(0.5).train()
    found = predict(network, task, rows, CPU)
    np.testing.assert_array_equal(found, task.inputs[rows])
    np.testing.assert_array_equal(found[:, 0], logits[rows])


def test_of_no_rows_there_are_no_logits():
    task, *_ = case()
    found = predict(nn.Identity(), task, np.array([], np.int64), torch.device("cpu"))
    assert (found.shape, found.dtype) == ((0, 2), np.float32)


def test_the_table_of_predictions_and_its_areas():
    task, dataset, labels, logits = case()
    columns, areas = evaluate(nn.Identity(), task, dataset, CPU)
    table = pd.DataFrame(columns).set_index("image")
    assert len(table) == IMAGES
    whole = dataset.frame.set_index("image").assign(label=labels, logit=logits).loc[table.index]
    for name in ("patient", "study", "label", "logit"):
        pd.testing.assert_series_equal(table[name], whole[name])
    assert table["split"].tolist() == whole["part"].tolist()
    known = whole.dropna(subset="label")
    for part, rows in known.groupby("part"):
        assert areas[f"{part}_auroc"] == pytest.approx(roc_auc_score(rows["label"], rows["logit"]))
        assert areas[f"{part}_auprc"] == pytest.approx(average_precision_score(rows["label"], rows["logit"]))
    studies = whole[whole["part"] == "official"].groupby("study")[["label", "logit"]].max().dropna()
    assert len(studies) < (whole["part"] == "official").sum()
    assert areas["official_study_auroc"] == pytest.approx(roc_auc_score(studies["label"], studies["logit"]))
    assert len(areas) == 5


def test_a_data_set_without_an_official_part_has_no_area_of_it():
    task, dataset, *_ = case(official=False)
    columns, areas = evaluate(nn.Identity(), task, dataset, CPU)
    assert set(columns["split"]) == {"test"}
    assert [areas[name] for name in ("official_auroc", "official_auprc", "official_study_auroc")] == [
        None
    ] * 3
    assert areas["test_auroc"] is not None
