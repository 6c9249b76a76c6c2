"""Wanted minus done, upstream cells, costs, and shares."""

import dataclasses

import pandas as pd
import pytest
import torch

from analysis.tables.collect import collect
from analysis.tables.store import read
from sweeps.planning import history, plan
from sweeps.planning.cost import HEAD_STEP_SECONDS, CostModel, macs_per_second
from sweeps.planning.estimate import SECONDS_PER_RUN, estimate
from sweeps.planning.named_weights import NamedWeights
from sweeps.planning.resources import Resources
from sweeps.planning.speeds import Speeds
from sweeps.presets import demo
from sweeps.spaces import cells, grid
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import FREEZES, Cell, Supplied, cell_id, upstream_of
from transfusion.records import attempts, results

DATA = "fingerprint"
COST = CostModel(device="cpu", evaluation_images=100, selection_images=20)
RECIPE = demo().recipe


def finish(folder, cell, recipe=RECIPE, data=DATA, status="done", failure=None, **metrics):
    results.write_result(
        folder / cell_id(cell, recipe, data),
        results.Origin(cell=cell, recipe=recipe, fingerprint=data),
        results.Outcome(status=status, metrics=metrics, failure=failure),
        environment={"device": "cpu"},
        started="",
        finished="",
    )


def test_upstream_cells_come_with_those_that_need_them(tmp_path):
    wanted = demo().cells()
    work = plan.make(wanted, RECIPE, DATA, history.read(tmp_path / "cells"), COST)
    upstream = [planned for planned in work.cells if planned.cell.kind == "upstream"]
    assert len(upstream) == 14
    assert len(work.cells) == 182
    ids = {planned.id: planned for planned in work.cells}
    for planned in work.cells:
        expected = upstream_of(planned.cell, RECIPE)
        assert (ids[planned.upstream].cell if planned.upstream else None) == expected
    assert work.count("missing") == 182


def test_only_the_missing_cells_are_left(tmp_path):
    wanted = demo().cells()
    finish(tmp_path, wanted[0])
    finish(tmp_path, wanted[1], status="failed")
    finish(tmp_path, wanted[2], recipe=dataclasses.replace(RECIPE, epochs=99))
    (tmp_path / cell_id(wanted[3], RECIPE, DATA)).mkdir()  # interrupted: no result
    work = plan.make(wanted, RECIPE, DATA, history.read(tmp_path), COST)
    assert [work.count(state) for state in ("done", "failed", "missing")] == [1, 1, 180]
    assert work.orphaned == {"recipe": 1}
    assert work.begun == {cell_id(wanted[3], RECIPE, DATA)}
    missing = {planned.cell for planned in work.missing()}
    assert wanted[0] not in missing
    assert wanted[1] not in missing
    assert {wanted[2], wanted[3]} <= missing


def test_more_seeds_add_exactly_their_own_cells(tmp_path):
    sizes, inits = (64, 128), ("random", "photos")
    axes = {"architecture": ARCHITECTURES, "train_images": sizes, "init": inits, "freeze": FREEZES}
    one = plan.make(cells(grid(**axes)), RECIPE, DATA, history.read(tmp_path), COST)
    for planned in one.cells:
        finish(tmp_path, planned.cell)
    three = plan.make(cells(grid(**axes, seed=range(3))), RECIPE, DATA, history.read(tmp_path), COST)
    assert {planned.cell.seed for planned in three.missing()} == {1, 2}
    assert len(three.missing()) == 2 * len(one.cells)


def test_the_plan_on_disk_names_every_wanted_cell(tmp_path):
    work = plan.make(demo().cells(), RECIPE, DATA, history.read(tmp_path / "cells"), COST)
    plan.write(work, tmp_path / "plan.parquet")
    frame = pd.read_parquet(tmp_path / "plan.parquet")
    assert frame["cell_id"].tolist() == [planned.id for planned in work.cells]
    assert (frame.loc[frame["architecture"] == "cbr_tiny", "parameters"] == 1_078_817).all()
    assert frame.loc[frame["init"] == "random", "upstream"].isna().all()


def test_the_plan_on_disk_names_weights_and_another_name_makes_no_other_cells(tmp_path):
    sha256 = "1a2b3c4d" * 8
    wanted = [
        Cell(architecture=one, train_images=64, init=init)
        for one in ("resnet18", "cbr_tiny")
        for init in ("random", "imagenet", "photos")
    ]
    supplied = Supplied(weights=(("resnet18", sha256),), imagenet="i" * 16)
    work = plan.make(wanted, RECIPE, DATA, history.read(tmp_path / "cells"), COST, supplied)
    file, written = tmp_path / "plan.parquet", []
    for name, natural in (("radimagenet", False), ("Places", True)):
        named = (NamedWeights("resnet18", name, sha256, natural),)
        for _ in range(2):
            plan.write(dataclasses.replace(work, weights=named), file)
            written.append(file.stat().st_mtime_ns)
        collect(tmp_path)
        trials = read(tmp_path, "trials").to_pandas()
        assert set(trials["cell_id"]) == {planned.id for planned in work.cells}
        trials = trials.drop_duplicates(["kind", "architecture", "init"])
        trials = trials.set_index(["kind", "architecture", "init"]).sort_index()
        row = trials.loc[("grid", "resnet18", "imagenet")]
        assert (row["weights"], row["weights_sha256"], row["weights_natural"]) == (name, sha256, natural)
        assert pd.isna(trials.loc[("grid", "resnet18", "random"), "weights"])
        tiny, photos = (trials.loc[("grid", "cbr_tiny", init)] for init in ("imagenet", "photos"))
        assert (tiny["weights"], tiny["weights_natural"]) == ("imagenet pretrained here", True)
        assert photos["weights"] == "photos pretrained here"
        assert pd.isna(photos["weights_sha256"])
    assert written[0] == written[1] < written[2] == written[3], (
        "written anew where a name changed, and only then"
    )


def test_cost_grows_with_images_epochs_and_arithmetic():
    cell = Cell(architecture="resnet18", train_images=100)
    seconds = COST.seconds(cell, RECIPE)
    assert COST.seconds(dataclasses.replace(cell, train_images=200), RECIPE) > seconds
    assert COST.seconds(cell, dataclasses.replace(RECIPE, epochs=20)) > seconds
    assert COST.seconds(dataclasses.replace(cell, architecture="resnet50"), RECIPE) > seconds
    frozen = dataclasses.replace(cell, init="photos", freeze="backbone")
    assert COST.seconds(frozen, RECIPE) < seconds


def test_cost_follows_the_speeds_that_were_measured(tmp_path):
    def speed(cell, factor):
        return cell.train_images / (
            factor * COST.training_seconds(cell.architecture, RECIPE, cell.train_images)
        )

    one, two = (Cell(architecture="resnet18", train_images=n) for n in (100, 200))
    finish(tmp_path, one, images_per_second=speed(one, 1.5))
    finish(tmp_path, two, images_per_second=speed(two, 2.5))
    finish(tmp_path, dataclasses.replace(one, init="photos", freeze="backbone"), images_per_second=9e9)
    records = history.read(tmp_path).records
    assert dataclasses.replace(COST, device="cuda").corrected(records).factors == {}
    model = COST.corrected(records)
    assert model.factors == {("resnet18", RECIPE.image_size): pytest.approx(2.0)}
    assert model.corrected(records).factors == model.factors, "a correction does not correct itself"
    for architecture in ("resnet18", "resnet34"):
        plain = COST.training_seconds(architecture, RECIPE, 100)
        assert model.training_seconds(architecture, RECIPE, 100) == pytest.approx(2 * plain)


def test_a_gpus_speed_tells_nothing_of_another_kind_of_gpu():
    def record(name, factor):
        speed = 100 / (factor * cost.training_seconds("resnet18", RECIPE, 100))
        return {
            "status": "done",
            "schema": 1,
            "cell": dataclasses.asdict(Cell(architecture="resnet18", train_images=100)),
            "recipe": dataclasses.asdict(RECIPE),
            "metrics": {"images_per_second": speed},
            "environment": {"device": "cuda", "device_name": name},
        }

    cost = dataclasses.replace(COST, device="cuda", device_name="A100")
    records = {"a": record("A100", 2.0), "t": record("T4", 9.0)}
    factors = cost.corrected(records).factors
    assert factors == {("resnet18", RECIPE.image_size): pytest.approx(2.0)}
    several = dataclasses.replace(cost, device_name="").corrected(records).factors
    assert several == {("resnet18", RECIPE.image_size): pytest.approx(5.5)}


def test_the_heads_of_frozen_cells_that_have_finished_tell_what_their_steps_take(tmp_path):
    """Two epochs a second of 100 images in batches of 32 are 8 steps a second; the median counts."""
    frozen = Cell(architecture="resnet18", train_images=100, init="photos", freeze="backbone")
    seconds = {0: 1 / 8, 1: 1 / 4, 2: 1 / 2}
    for seed, step in seconds.items():
        one = dataclasses.replace(frozen, seed=seed)
        finish(tmp_path, one, images_per_second=100 / (4 * step))
    through = dataclasses.replace(RECIPE, frozen_views=0)  # runs the backbone: no step of a head alone
    finish(tmp_path, frozen, recipe=through, images_per_second=1e-3)
    finish(tmp_path, dataclasses.replace(frozen, seed=9), status="failed", failure="error")
    assert RECIPE.batch_size == 32
    records = history.read(tmp_path).records
    checked = Speeds((), head_step_seconds=7.0)
    plain, model = COST.corrected({}), COST.corrected(records, checked)
    assert model.head_step_seconds == pytest.approx(1 / 4)
    assert (plain.head_step_seconds, COST.corrected({}, checked).head_step_seconds) == (None, 7.0)
    assert model.factors == {}, "of the network's own steps they tell nothing"
    steps = RECIPE.range_test_steps + RECIPE.epochs * 4
    more = model.seconds(frozen, RECIPE) - plain.seconds(frozen, RECIPE)
    assert more == pytest.approx(steps * (1 / 4 - HEAD_STEP_SECONDS))
    elsewhere = dataclasses.replace(COST, device="cuda").corrected(records)
    assert elsewhere.head_step_seconds is None


def test_a_matrix_product_measures_the_machine_and_leaves_its_threads():
    threads = torch.get_num_threads()
    assert 1e8 < macs_per_second("cpu") < 5e11, "no core has 100 multiply-adds in each of 5e9 cycles a second"
    assert torch.get_num_threads() == threads
    assert [macs_per_second("cuda", element_bytes=size) for size in (2, 4)] == [2e13, 3e12]
    fast = dataclasses.replace(COST, macs_per_second=2 * COST.macs_per_second)
    assert fast.image_seconds("cbr_tiny", RECIPE) == COST.image_seconds("cbr_tiny", RECIPE) / 2


def test_failed_cells_are_missing_when_retried_but_a_divergence_is_a_result(tmp_path):
    wanted = demo().cells()
    finish(tmp_path, wanted[0], status="failed", failure="error")
    finish(tmp_path, wanted[1], status="failed", failure="diverged")
    finish(tmp_path, wanted[2], status="failed", failure="upstream")
    finish(tmp_path, wanted[3])
    past = history.read(tmp_path)
    assert plan.make(wanted, RECIPE, DATA, past, COST).count("missing") == 178
    work = plan.make(wanted, RECIPE, DATA, dataclasses.replace(past, retry_failed=True), COST)
    missing = {planned.cell for planned in work.missing()}
    assert wanted[0] in missing
    assert wanted[1] not in missing
    assert wanted[2] in missing
    assert wanted[3] not in missing
    assert work.begun == {cell_id(wanted[i], RECIPE, DATA) for i in (0, 2)}


def test_finished_cells_outside_the_plan_are_told_apart(tmp_path):
    wanted = demo().cells()
    finish(tmp_path, wanted[0], recipe=dataclasses.replace(RECIPE, epochs=99))
    finish(tmp_path, wanted[0], data="other")
    finish(tmp_path, wanted[1], data="other")
    finish(tmp_path, dataclasses.replace(wanted[0], seed=7))
    work = plan.make(wanted, RECIPE, DATA, history.read(tmp_path), COST)
    assert work.orphaned == {"recipe": 1, "data": 2, "axes": 1}


def test_a_cell_that_ran_out_of_memory_is_planned_at_the_next_larger_share(tmp_path):
    wanted = demo().cells()[:3]
    attempts.add(tmp_path / cell_id(wanted[0], RECIPE, DATA), "out_of_memory", 0.25)
    attempts.add(tmp_path / cell_id(wanted[1], RECIPE, DATA), "started", 0.25)
    work = plan.make(wanted, RECIPE, DATA, history.read(tmp_path), COST, share_of=lambda cell: 0.25)
    shares = {planned.cell: planned.share for planned in work.cells}
    assert [shares[cell] for cell in wanted] == [0.5, 0.25, 0.25]


def test_only_failed_cells_that_are_tried_again_are_planned_by_the_memory_that_they_ran_out_of(tmp_path):
    wanted = demo().cells()[:3]
    finish(tmp_path, wanted[0], status="failed", failure="error")
    finish(tmp_path, wanted[1], status="failed", failure="error")
    finish(tmp_path, wanted[2])
    for cell, share in zip(wanted, (0.25, 0.5, 0.25), strict=True):
        attempts.add(tmp_path / cell_id(cell, RECIPE, DATA), "out_of_memory", share)
    for retry, expected in ((False, [0.125] * 3), (True, [0.5, 1.0, 0.125])):
        past = history.read(tmp_path, retry_failed=retry)
        work = plan.make(wanted, RECIPE, DATA, past, COST, share_of=lambda cell: 0.125)
        shares = {planned.cell: planned.share for planned in work.cells}
        assert [shares[cell] for cell in wanted] == expected
    assert past.exhausted_share(cell_id(wanted[2], RECIPE, DATA)) is None


def test_the_estimate_is_the_work_divided_or_the_longest_chain():
    def planned(one, seconds, upstream=None, share=0.5):
        return plan.PlannedCell(one, Cell(architecture="cbr_tiny", train_images=1), upstream, seconds, share)

    machine = Resources(device="cuda", cpus=1, cores=(8,), gpus=(2.0,), gpu_memory=2**34)
    many = [planned(str(i), 100) for i in range(8)]
    found = estimate(many, machine, gpu_price=3.6)
    assert found.work_seconds == 800
    assert found.wall_seconds == 800 / 4 + SECONDS_PER_RUN
    assert found.gpu_hours == pytest.approx(800 * 0.5 / 3600)
    assert found.price == pytest.approx(2 * found.wall_seconds / 3600 * 3.6)
    chain = [planned("a", 100), planned("b", 300, upstream="a")]
    # half a GPU each while others work, and there are no others: all of it at twice the speed, at the latest
    # after the 100 s that both GPUs would take for it all
    assert estimate(chain, machine).wall_seconds == 100 + 400 / 2 + SECONDS_PER_RUN
    whole = [dataclasses.replace(one, share=1.0) for one in chain]
    assert estimate(whole, machine).wall_seconds == 400 + SECONDS_PER_RUN
    cores = Resources(device="cpu", cpus=1, cores=(2,))
    assert estimate(chain, cores).wall_seconds == 400 + SECONDS_PER_RUN
    assert estimate([], machine).wall_seconds == 0
