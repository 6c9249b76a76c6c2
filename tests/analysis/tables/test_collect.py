"""Collecting: finished, failed, running, foreign and damaged cells; and only what is new."""

from __future__ import annotations

from pathlib import Path

import cell_folders as folders
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import analysis
from analysis.tables import collect as collecting
from analysis.tables import long_tables
from analysis.tables.checking import check
from analysis.tables.collect import collect, completeness
from analysis.tables.schema import TABLES, EvidenceError

CELLS = folders.grid(("resnet18", "cbr_tiny"), (100, 200), (("random", "none"), ("photos", "none")))


def table(out: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(out / "evidence" / f"{name}.parquet")


def rows(out: Path, name: str, cell_id: str) -> pd.DataFrame:
    frame = table(out, name)
    return frame[frame["cell_id"] == cell_id]


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """Eight planned cells: five done, one diverged, one interrupted, one not started."""
    rng = np.random.default_rng(0)
    folders.write_plan(tmp_path, CELLS)
    for cell in CELLS[:5]:
        folders.write_cell(tmp_path, cell, test=folders.predictions(0.8, rng, patients=20))
    folders.write_cell(tmp_path, CELLS[5], status="failed", failure="diverged")
    folders.write_cell(tmp_path, CELLS[6], finished=False)
    return tmp_path


def test_an_unfinished_grid(unfinished: Path) -> None:
    found = collect(unfinished)
    assert found is not None
    assert (found.wanted, found.read, found.foreign, found.running) == (8, 6, 0, 1)
    trials = table(unfinished, "trials")
    assert trials["status"].value_counts().to_dict() == {"done": 5, "missing": 2, "failed": 1}
    assert list(trials["cell_id"]) == [folders.identity(c) for c in CELLS]  # in the plan's order
    failed = trials[trials["status"] == "failed"].iloc[0]
    assert failed["failure"] == "diverged"
    assert pd.isna(failed["test_auroc"])  # undefined is null: not 0, not 0.5
    missing = trials[trials["status"] == "missing"]
    assert missing[["test_auroc", "train_loss", "epochs", "error"]].isna().all().all()
    assert missing["depth"].notna().all()  # from the plan
    epochs = table(unfinished, "epochs")
    assert set(epochs["cell_id"]) == set(trials.loc[trials["status"] != "missing", "cell_id"])
    assert len(table(unfinished, "predictions")) == 5 * 40
    assert completeness(trials).iloc[-1][["planned", "done", "failed", "missing"]].tolist() == [8, 5, 1, 2]


@pytest.mark.parametrize("name", ["trials", "epochs", "steps", "range_tests", "predictions"])
def test_tables_have_the_columns_and_types_of_the_schema(unfinished: Path, name: str) -> None:
    collect(unfinished)
    schema = pq.read_schema(unfinished / "evidence" / f"{name}.parquet")
    assert [(f.name, f.type) for f in schema] == [(c.name, c.type) for c in TABLES[name]]
    assert all(f.metadata[b"meaning"] for f in schema)


def test_values_are_those_of_the_cells(unfinished: Path) -> None:
    collect(unfinished)
    name = folders.identity(CELLS[0])
    epochs = pd.read_parquet(unfinished / "cells" / name / "epochs.parquet")
    mine = rows(unfinished, "epochs", name).reset_index(drop=True)
    pd.testing.assert_frame_equal(mine[list(epochs)], epochs)
    logits = pd.read_parquet(unfinished / "cells" / name / "predictions.parquet")["logit"]
    ours = rows(unfinished, "predictions", name)["logit"]
    np.testing.assert_array_equal(ours, logits)


def test_collecting_again_reads_only_what_is_new(unfinished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(unfinished)
    before = {name: table(unfinished, name) for name in ("epochs", "steps", "predictions")}
    read: list[str] = []
    result, long = collecting.read_result, long_tables._cell_table
    monkeypatch.setattr(collecting, "read_result", lambda folder: read.append(folder.name) or result(folder))

    def counted(cells: Path, file: str, table: str, name: str, *, strict: bool) -> object:
        read.append(name)
        return long(cells, file, table, name, strict=strict)

    monkeypatch.setattr(long_tables, "_cell_table", counted)
    again = collect(unfinished)
    assert again is not None
    assert (again.read, read) == (0, [])
    new = folders.write_cell(unfinished, CELLS[6])
    third = collect(unfinished)
    assert third is not None
    assert third.read == 1
    assert set(read) == {new}
    for name, old in before.items():
        now = table(unfinished, name)
        pd.testing.assert_frame_equal(now[now["cell_id"] != new].reset_index(drop=True), old)
    assert new in set(table(unfinished, "epochs")["cell_id"])


def test_a_cell_that_was_run_again_replaces_its_rows(unfinished: Path) -> None:
    collect(unfinished)
    name = folders.write_cell(unfinished, CELLS[5], auroc=0.77, losses=np.linspace(1, 0.123, 6))
    collect(unfinished)
    row = rows(unfinished, "trials", name).iloc[0]
    assert (row["status"], row["test_auroc"], row["train_loss"]) == ("done", 0.77, pytest.approx(0.123))
    mine = rows(unfinished, "epochs", name)
    assert len(mine) == 6
    assert mine["train_loss"].iloc[-1] == pytest.approx(0.123)


def test_an_interrupted_collection_is_repeated_without_doubling(unfinished: Path) -> None:
    collect(unfinished)
    (unfinished / "evidence" / "collected.parquet").unlink()  # as if killed before the last write
    collect(unfinished)
    assert not table(unfinished, "epochs").duplicated(["cell_id", "epoch"]).any()


def test_cells_of_another_recipe_are_counted_and_never_mixed_in(unfinished: Path) -> None:
    other = {"epochs": 3, "image_size": 64}
    foreign = folders.write_cell(unfinished, CELLS[0], recipe=other)
    found = collect(unfinished)
    assert found is not None
    assert found.foreign == 1
    assert foreign not in set(table(unfinished, "trials")["cell_id"])
    assert foreign not in set(table(unfinished, "epochs")["cell_id"])
    folders.write_plan(unfinished, CELLS[:1], recipe=other)  # now the other recipe is what is wanted
    assert collect(unfinished) is not None
    assert set(table(unfinished, "epochs")["cell_id"]) == {foreign}
    assert list(table(unfinished, "trials")["cell_id"]) == [foreign]


def test_without_a_plan_the_recipe_that_finished_last_is_used(unfinished: Path) -> None:
    folders.write_cell(unfinished, CELLS[0], recipe={"epochs": 3, "image_size": 64})
    (unfinished / "plan.parquet").unlink()
    found = collect(unfinished)
    assert found is not None
    assert "2 recipes" in found.note
    assert found.foreign in (1, 6)


def test_a_damaged_result_is_a_failed_cell_that_says_so(unfinished: Path) -> None:
    name = folders.identity(CELLS[0])
    (unfinished / "cells" / name / "result.json").write_text('{"schema": 1, "cell"')
    collect(unfinished)
    row = rows(unfinished, "trials", name).iloc[0]
    assert (row["status"], row["failure"]) == ("failed", "unreadable")
    assert "result.json" in row["error"]
    assert "remove the cell's folder" in row["error"]


def other_type(file: Path) -> None:
    """Words where numbers belong, in the column that is named last."""
    frame = pd.read_parquet(file)
    frame[frame.columns[-2]] = "many"
    frame.to_parquet(file)


def without_a_column(file: Path) -> None:
    pd.read_parquet(file).drop(columns=["train_loss", "logit"], errors="ignore").to_parquet(file)


def rows_flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)
    file.write_bytes(content)


DAMAGE = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "foreign": lambda file: file.write_bytes(b"not Parquet"),
    "flipped": rows_flipped,
    "types": other_type,
    "columns": without_a_column,
}


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(("predictions.parquet", damage) for damage in DAMAGE),
        ("epochs.parquet", "cut"),
        ("steps.parquet", "types"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_and_left_out(unfinished: Path, file: str, damage: str) -> None:
    name = folders.identity(CELLS[2])
    before = (unfinished / "cells" / name / file).read_bytes()
    DAMAGE[damage](unfinished / "cells" / name / file)
    for _ in range(2):  # it stays so until it is mended
        found = collect(unfinished)
        assert found is not None
        assert list(found.unreadable) == [name]
        assert file in found.unreadable[name]
        trials = table(unfinished, "trials").set_index("cell_id")
        assert trials.loc[name, ["status", "failure"]].tolist() == ["failed", "unreadable"]
        assert pd.isna(trials.loc[name, "test_auroc"])
        assert trials["status"].value_counts().to_dict() == {"done": 4, "failed": 2, "missing": 2}
        for long in ("epochs", "steps", "range_tests", "predictions"):
            ids = set(table(unfinished, long)["cell_id"])
            assert name not in ids
            assert folders.identity(CELLS[0]) in ids
    (unfinished / "cells" / name / file).write_bytes(before)
    found = collect(unfinished)
    assert found is not None
    assert found.unreadable == {}
    assert name in set(table(unfinished, "epochs")["cell_id"])
    assert table(unfinished, "trials")["status"].value_counts().to_dict() == {
        "done": 5,
        "missing": 2,
        "failed": 1,
    }


@pytest.mark.parametrize(
    ("derived", "damage"),
    [
        *((name, "cut") for name in ("collected", "trials", "epochs", "steps", "range_tests", "predictions")),
        ("predictions", "flipped"), ("collected", "flipped"), ("epochs", "gone"), ("trials", "foreign"),
    ],
)  # fmt: skip
def test_a_derived_table_that_is_damaged_is_written_anew(unfinished: Path, derived: str, damage: str) -> None:
    collect(unfinished)
    names = ("trials", "epochs", "steps", "range_tests", "predictions")
    before = {name: table(unfinished, name) for name in names}
    file = unfinished / "evidence" / f"{derived}.parquet"
    file.unlink() if damage == "gone" else DAMAGE[damage](file)
    folders.write_cell(unfinished, CELLS[7], test=folders.predictions(0.8, np.random.default_rng(1), 20))
    collect(unfinished)
    new = folders.identity(CELLS[7])
    for name, old in before.items():
        now = table(unfinished, name)
        assert new in set(now["cell_id"])
        kept, ours = (frame[frame["cell_id"] != new] for frame in (now, old))
        keys = [key for key in ("cell_id", "epoch", "step", "split", "image") if key in kept]
        kept, ours = (frame.sort_values(keys, ignore_index=True) for frame in (kept, ours))
        pd.testing.assert_frame_equal(kept, ours)


def test_a_cut_plan_is_done_without(unfinished: Path) -> None:
    plan = unfinished / "plan.parquet"
    DAMAGE["cut"](plan)
    found = collect(unfinished)
    assert found is not None
    assert f"{plan} cannot be read" in found.note
    assert "run the sweep's command again" in found.note
    assert table(unfinished, "trials")["status"].value_counts().to_dict() == {"done": 5, "failed": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"[1, 2]", b"null", b"\xff\xfe", b"[" * 20_000, b'{"cell": 3}', b'{"cell": {"seed": 1e40}}',
        b'{"cell": {"kind": "grid"}, "environment": "cpu"}', b'{"cell": {"seed": 0}, "status": "running"}',
        b'{"cell": {"seed": 0}, "status": "done", "code": {"version": 3}}',
    ],
)  # fmt: skip
def test_odd_results_are_failed_cells(unfinished: Path, content: bytes) -> None:
    name = folders.identity(CELLS[0])
    (unfinished / "cells" / name / "result.json").write_bytes(content)
    found = collect(unfinished)
    assert found is not None
    assert list(found.unreadable) == [name]
    assert "result.json" in found.unreadable[name]
    assert table(unfinished, "trials")["status"].value_counts()["done"] == 4


def test_impossible_values_of_one_cell_leave_that_cell_out(unfinished: Path) -> None:
    """One cell with a label of 7, one with an epoch twice: the others are reported."""
    first, second = (unfinished / "cells" / folders.identity(CELLS[k]) for k in (1, 3))
    predictions = pd.read_parquet(first / "predictions.parquet")
    predictions.loc[3, "label"] = 7
    predictions.to_parquet(first / "predictions.parquet")
    epochs = pd.read_parquet(second / "epochs.parquet")
    epochs["epoch"] = 1
    epochs.to_parquet(second / "epochs.parquet")
    collect(unfinished)
    with pytest.raises(EvidenceError, match=r"column label, row 44: found 7\.0"):
        check(unfinished)
    found = collect(unfinished, anew=True)
    assert found is not None
    assert set(found.unreadable) == {first.name, second.name}
    assert "column label, row 4: found 7.0, expected 0 or 1" in found.unreadable[first.name]
    assert "found epoch 1 in each" in found.unreadable[second.name]
    check(unfinished)


def test_a_folder_without_anything_says_what_is_expected(tmp_path: Path) -> None:
    assert collect(tmp_path) is None
    with pytest.raises(EvidenceError, match="expected the --out folder of a sweep"):
        analysis.load(tmp_path)
    with pytest.raises(EvidenceError, match="no such folder"):
        analysis.run(tmp_path / "nowhere")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    pd.DataFrame({"cell_id": ["a"], "seed": [0]}).to_parquet(tmp_path / "evidence" / "trials.parquet")
    with pytest.raises(EvidenceError, match="architecture, train_images, init, freeze, status"):
        analysis.load(tmp_path)
