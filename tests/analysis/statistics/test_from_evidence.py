"""What tables of cells, epochs, steps and predictions say of every cell, by hand and by scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from analysis.statistics import from_evidence
from analysis.statistics.from_evidence import add_split, measure
from analysis.statistics.measures import Measures
from analysis.tables import store

CELLS = {
    "small": (100, "done", None), "large": (200, "done", None), "epochs": (400, "done", None),
    "diverged": (200, "failed", "diverged"), "broken": (100, "failed", "error"),
    "to come": (200, "missing", None),
}  # fmt: skip
LABELS = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0])
LOGITS = {
    "small": np.array([3.0, 1.0, 0.5, 0.25, 2.0, 4.0, -1.0]),
    "large": np.array([2.0, 1.0, 3.0, 3.0, 5, 4, 0]),
}


def flat(steps: int, spike: int | None = None) -> np.ndarray:
    losses = np.full(steps, 0.5)
    if spike is not None:
        losses[spike] = 1.0
    return losses


STEPS = {
    "small": np.arange(24, 12, -1) / 16, "large": flat(60, 30), "diverged": flat(20, 9), "broken": flat(20),
    "upstream": flat(11, 5),
}  # fmt: skip
EPOCHS = {"small": [1.0, 0.5, 0.5, 0.0], "epochs": [1.0, 0.5, 0.25], "broken": [1.0, 0.5, 0.25]}


def predictions() -> pd.DataFrame:
    """Seven patients of one image each, a masked one; a failed cell's; and the official split of one cell."""
    rows = [
        (cell, "test", f"p{k}", None, label, logit)
        for cell in ("large", "small", "broken")
        for k, (label, logit) in enumerate(zip(LABELS, LOGITS.get(cell, -LABELS), strict=True))
    ]
    rows += [(cell, "test", "masked", None, None, 9.0) for cell in LOGITS]
    rows += [
        ("small", "official", patient, study, label, logit)
        for patient, study, label, logit in (
            ("q0", "s0", 1.0, 0.1), ("q0", "s0", 1.0, 0.9), ("q1", "s1", 0.0, 0.5), ("q2", None, 0.0, 0.95)
        )
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["cell_id", "split", "patient", "study", "label", "logit"])
    return frame.assign(image=frame.index.astype(str))


def loaded(out: Path, *, steps: bool = True) -> Measures:
    rows = [
        {
            "cell_id": name, "kind": "upstream" if name == "upstream" else "grid", "finding": "Edema",
            "architecture": "resnet18", "depth": 18, "parameters": 9, "train_images": size, "init": "random",
            "freeze": "none", "seed": 0, "status": status, "failure": failure, "train_loss": 0.25,
            "test_auroc": 0.9, "test_auprc": 0.9,
        }
        for name, (size, status, failure) in {"upstream": (50, "done", None), **CELLS}.items()
    ]  # fmt: skip
    store.write(out, "trials", pd.DataFrame(rows))
    curves = [(cell, k + 1, v) for cell, losses in EPOCHS.items() for k, v in enumerate(losses)]
    store.write(out, "epochs", pd.DataFrame(curves[::-1], columns=["cell_id", "epoch", "train_loss"]))
    if steps:
        curves = [(cell, k + 1, v) for cell, losses in STEPS.items() for k, v in enumerate(losses)]
        store.write(out, "steps", pd.DataFrame(curves[::-1], columns=["cell_id", "step", "train_loss"]))
        store.write(out, "predictions", predictions())
    return measure(store.load(out))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Measures:
    return loaded(tmp_path_factory.mktemp("tables"))


def column(found: Measures, name: str) -> dict[str, float]:
    """Values of the cells that have one."""
    return found.cells.set_index("cell_id")[name].dropna().to_dict()


def test_cells_are_those_of_the_grid_and_what_did_not_finish_has_no_value(found: Measures) -> None:
    assert found.cells["cell_id"].tolist() == list(CELLS)
    assert column(found, "train_loss") == dict.fromkeys(("small", "large", "epochs"), 0.25)
    assert column(found, "convergence_epochs") == {"small": 4, "epochs": 3}, (
        "gains of 1 and 0.75, 95 % of them"
    )


def test_spikes_are_counted_by_steps_and_a_divergence_is_one_more(found: Measures) -> None:
    assert column(found, "spikes") == {"small": 0, "large": 1, "diverged": 2, "broken": 0}
    assert column(found, "spike_height") == pytest.approx({"large": 2, "diverged": 2})
    assert column(found, "spike_recovery_steps") == {"large": 1, "diverged": 1}


def test_the_end_of_a_run_is_that_of_its_steps_or_else_of_its_epochs(found: Measures, tmp_path: Path) -> None:
    """Steps 7 to 12 of the small run fall by 5/16; of three epochs' losses a line falls by 0.75, no more than
    chance may (t with one degree of freedom)."""
    assert column(found, "late_fall") == pytest.approx({"small": 5 / 16, "large": 0, "epochs": 0.75})
    assert column(found, "still_falling") == {"small": True, "large": False, "epochs": False}
    by_epochs = loaded(tmp_path, steps=False)
    assert column(by_epochs, "late_fall") == pytest.approx({"small": 0.5, "epochs": 0.75})
    assert column(by_epochs, "spikes") == column(by_epochs, "equal_steps_loss") == {}


def test_runs_are_compared_after_the_steps_of_the_shortest_finished_one(found: Measures) -> None:
    """12 steps, of which the last five count: (17 + 16 + 15 + 14 + 13) / 5 / 16."""
    assert column(found, "equal_steps_loss") == pytest.approx({"small": 15 / 16, "large": 0.5})


def delong(one: np.ndarray, other: np.ndarray) -> float:
    """Covariance of two AUROC over the same images, as DeLong et al. 1988 have it."""
    wins = [np.subtract.outer(z[LABELS == 1], z[LABELS == 0]) for z in (one, other)]
    wins = [(w > 0) + (w == 0) / 2 for w in wins]
    return float(sum(np.cov(wins[0].mean(axis=k), wins[1].mean(axis=k))[0, 1] / wins[0].shape[1 - k]
                     for k in (0, 1)))  # fmt: skip


def test_areas_and_their_covariance_are_those_of_other_libraries(found: Measures) -> None:
    auroc, auprc = column(found, "test_auroc"), column(found, "test_auprc")
    for cell, logits in LOGITS.items():
        assert auroc[cell] == pytest.approx(roc_auc_score(LABELS, logits))
        assert auprc[cell] == pytest.approx(average_precision_score(LABELS, logits))
    assert (auroc["epochs"], auprc["epochs"]) == (0.9, 0.9), "without predictions as its table has them"
    assert auroc.keys() == {"small", "large", "epochs"}
    row = {cell: k for k, cell in enumerate(CELLS)}
    covariance = found.covariance["test_auroc"]
    for one, other in (("small", "small"), ("large", "large"), ("small", "large")):
        expected = delong(LOGITS[one], LOGITS[other])
        assert covariance[row[one], row[other]] == pytest.approx(expected)
    assert np.isnan(covariance[row["epochs"], row["epochs"]])
    for name in ("test_auroc", "test_auprc"):
        assert (found.patients[name], found.positives[name]) == (7, 3)
    assert found.freedom["test_auroc"] == 2, "three patients of the rarer class"


def test_views_of_a_study_are_one_image_there_and_images_without_a_study_none(found: Measures) -> None:
    assert column(found, "official_auroc") == {"small": 1 / 4}
    assert column(found, "official_study_auroc") == {"small": 1}
    assert (found.patients["official_auroc"], found.patients["official_study_auroc"]) == (3, 2)
    assert (found.positives["official_auroc"], found.positives["official_study_auroc"]) == (2, 1)
    assert found.freedom["official_auroc"] == 1
    assert np.isnan(found.covariance["official_auroc"]).all(), "one patient has all positive images"
    assert column(found, "test_study_auroc") == {}


def test_one_image_or_one_class_alone_has_no_area() -> None:
    """Two cells without a positive image, one of them with a single image."""
    measures = Measures(pd.DataFrame({"test_auroc": [0.9, 0.9], "test_auprc": [0.9, 0.9]}))
    zeros, rows = np.zeros(4), np.array([0, 0, 1, 0])
    add_split(measures, "test", rows=rows, patients=np.arange(4), labels=zeros, logits=np.arange(4.0))
    assert measures.cells.isna().all(axis=None)
    assert np.isnan(measures.covariance["test_auprc"]).all()
    assert (measures.patients["test_auroc"], measures.positives["test_auroc"]) == (4, 0)


def test_tables_larger_than_memory_are_read_in_parts(
    found: Measures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_evidence, "STEP_ROWS_AT_ONCE", 40)
    read, asked = from_evidence.read, []
    monkeypatch.setattr(from_evidence, "read", lambda *a, **k: asked.append(k["filters"]) or read(*a, **k))
    parts = loaded(tmp_path)
    pd.testing.assert_frame_equal(parts.cells, found.cells)
    named = [names for ((_, _, names),) in asked]
    each = [name for names in named[1:] for name in names]
    assert sorted(each) == sorted(CELLS), "123 rows in four parts, of two cells each"
    assert max(map(len, named)) == 2
