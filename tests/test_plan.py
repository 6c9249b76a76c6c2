"""Wanted minus done, upstream cells, costs, and the order in which cells run."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from sweeps import plan
from sweeps.cost import CostModel, measured_speeds
from sweeps.executor import CellQueue
from sweeps.spaces import DEMO, cells, grid
from transfusion import results
from transfusion.cell import Cell, cell_id, upstream_of

DATA = "fingerprint"
NOWHERE = Path("/nonexistent")
COST = CostModel(device="cpu", evaluation_images=100, selection_images=20)
RECIPE = DEMO.recipe


def finish(folder, cell, recipe=RECIPE, data=DATA, status="done", **metrics):
    results.write_result(
        folder / cell_id(cell, recipe, data), cell=cell, recipe=recipe, data=data, status=status, metrics=metrics,
        environment={}, started="", finished="",
    )  # fmt: skip


def test_upstream_cells_come_with_those_that_need_them(tmp_path):
    wanted = cells(DEMO.space)
    work = plan.make(wanted, RECIPE, DATA, tmp_path / "cells", COST)
    upstream = [planned for planned in work.cells if planned.cell.kind == "upstream"]
    assert len(upstream) == 14
    assert len(work.cells) == 154
    ids = {planned.id: planned for planned in work.cells}
    for planned in work.cells:
        expected = upstream_of(planned.cell, RECIPE)
        assert (ids[planned.upstream].cell if planned.upstream else None) == expected
    assert work.count("missing") == 154


def test_only_the_missing_cells_are_left(tmp_path):
    wanted = cells(DEMO.space)
    finish(tmp_path, wanted[0])
    finish(tmp_path, wanted[1], status="failed")
    finish(tmp_path, wanted[2], recipe=dataclasses.replace(RECIPE, epochs=99))
    (tmp_path / cell_id(wanted[3], RECIPE, DATA)).mkdir()  # interrupted: no result
    work = plan.make(wanted, RECIPE, DATA, tmp_path, COST)
    assert [work.count(state) for state in ("done", "failed", "missing")] == [1, 1, 152]
    assert work.others == 1
    missing = {planned.cell for planned in work.missing()}
    assert wanted[0] not in missing
    assert wanted[1] not in missing
    assert {wanted[2], wanted[3]} <= missing


def test_more_seeds_add_exactly_their_own_cells(tmp_path):
    sizes, inits = (64, 128), ("random", "photos")
    one = plan.make(cells(grid(train_images=sizes, inits=inits, seeds=1)), RECIPE, DATA, tmp_path, COST)
    for planned in one.cells:
        finish(tmp_path, planned.cell)
    three = plan.make(cells(grid(train_images=sizes, inits=inits, seeds=3)), RECIPE, DATA, tmp_path, COST)
    assert {planned.cell.seed for planned in three.missing()} == {1, 2}
    assert len(three.missing()) == 2 * len(one.cells)


def test_the_plan_on_disk_names_every_wanted_cell(tmp_path):
    work = plan.make(cells(DEMO.space), RECIPE, DATA, tmp_path / "cells", COST)
    plan.write(work, tmp_path / "plan.parquet")
    frame = pd.read_parquet(tmp_path / "plan.parquet")
    assert frame["cell_id"].tolist() == [planned.id for planned in work.cells]
    assert (frame.loc[frame["architecture"] == "cbr_tiny", "parameters"] == 1_078_817).all()
    assert frame.loc[frame["init"] == "random", "upstream"].isna().all()


def test_cost_grows_with_images_epochs_and_arithmetic():
    cell = Cell(architecture="resnet18", train_images=100)
    seconds = COST.seconds(cell, RECIPE)
    assert COST.seconds(dataclasses.replace(cell, train_images=200), RECIPE) > seconds
    assert COST.seconds(cell, dataclasses.replace(RECIPE, epochs=20)) > seconds
    assert COST.seconds(dataclasses.replace(cell, architecture="resnet50"), RECIPE) > seconds
    frozen = dataclasses.replace(cell, init="photos", freeze="backbone")
    assert COST.seconds(frozen, RECIPE) < seconds


def test_cost_follows_the_speeds_that_were_measured(tmp_path):
    fast, slow = (Cell(architecture="resnet18", train_images=n) for n in (100, 200))
    finish(tmp_path, fast, images_per_second=50.0)
    finish(tmp_path, slow, images_per_second=30.0)
    finish(tmp_path, dataclasses.replace(fast, init="photos", freeze="backbone"), images_per_second=9e9)
    speeds = measured_speeds(tmp_path)
    assert speeds == {("resnet18", RECIPE.image_size): 40.0}
    model = dataclasses.replace(COST, measured=speeds)
    assert model.seconds_per_image("resnet18", RECIPE) == pytest.approx(1 / 40)
    assert model.seconds_per_image("resnet34", RECIPE) == COST.seconds_per_image("resnet34", RECIPE)


def queue_of(wanted, done=()):
    work = plan.make(wanted, RECIPE, DATA, NOWHERE, COST)
    failures = []
    return work, CellQueue(work.cells, set(done), failures.append), failures


def test_a_cell_waits_for_its_upstream_and_the_others_do_not():
    scratch = Cell(architecture="cbr_tiny", train_images=64)
    tuned = dataclasses.replace(scratch, init="photos")
    work, queue, _ = queue_of([scratch, tuned])
    ids = {planned.cell: planned.id for planned in work.cells}
    upstream = upstream_of(tuned, RECIPE)
    assert queue.suggest("t1")["cell_id"] == ids[upstream]
    assert queue.suggest("t2")["cell_id"] == ids[scratch]
    assert queue.suggest("t3") is None
    queue.on_trial_complete("t2", {"status": "done"})
    assert queue.suggest("t3") is None
    queue.on_trial_complete("t1", {"status": "done"})
    assert queue.suggest("t3")["cell_id"] == ids[tuned]
    assert queue.suggest("t4") == CellQueue.FINISHED


@pytest.mark.parametrize(
    ("result", "error"), [({"status": "failed"}, False), (None, True), ({"epoch": 1}, False)]
)
def test_what_waits_for_a_failed_upstream_fails_with_it(result, error):
    tuned = Cell(architecture="cbr_tiny", train_images=64, init="photos")
    _, queue, failures = queue_of([tuned])
    assert queue.suggest("t1")["cell"]["kind"] == "upstream"
    queue.on_trial_complete("t1", result, error=error)
    assert queue.suggest("t2") == CellQueue.FINISHED
    assert [planned.cell for planned in failures] == [tuned]


def test_an_upstream_that_is_done_is_not_waited_for():
    tuned = Cell(architecture="cbr_tiny", train_images=64, init="photos")
    upstream = cell_id(upstream_of(tuned, RECIPE), RECIPE, DATA)
    planned = plan.PlannedCell(cell_id(tuned, RECIPE, DATA), tuned, upstream, 1.0)
    queue = CellQueue([planned], {upstream}, pytest.fail)
    assert queue.suggest("t1")["cell_id"] == planned.id


def test_large_cells_and_what_much_waits_for_come_first():
    work, queue, _ = queue_of(cells(DEMO.space))
    first = [queue.suggest(str(i))["cell"] for i in range(20)]
    assert all(cell["kind"] == "upstream" for cell in first[:4])
    scratch = [cell for cell in first if cell["kind"] == "grid"]
    assert scratch
    assert scratch[0]["train_images"] == 512
