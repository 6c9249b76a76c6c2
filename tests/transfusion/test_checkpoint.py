"""Checkpoints within an epoch: a cell cut off after any step goes on to the same bits, at little cost."""

import dataclasses

import pytest
import torch
from one_trial import run_trial
from test_trial import assert_same

from transfusion.cell import Cell, Recipe, cell_id, upstream_of
from transfusion.records import results
from transfusion.training import fitting
from transfusion.training.fitting import WRITING_SHARE, Hooks, pause

RECIPE = Recipe(
    image_size=16,
    epochs=2,
    batch_size=8,
    range_test_steps=3,
    range_test_low=1e-5,
    range_test_high=1e-2,
    frozen_views=2,
    plateau_patience=0,
    upstream_images=16,
    upstream_epochs=1,
)
CELL = Cell(architecture="cbr_tiny", train_images=28)
STEPS = 2 * 4


@pytest.fixture
def run(dataset, image_folder, tmp_path):
    def run(folder, cell=CELL, recipe=RECIPE, **options):
        cells = tmp_path / folder
        record = run_trial(cell, recipe, dataset, cells=cells, cache=image_folder, **options)
        return record, cells / cell_id(cell, recipe, dataset.fingerprint)

    return run


@pytest.mark.parametrize(
    ("init", "freeze", "views", "balance"),
    [
        ("random", "none", 2, "natural"),
        ("photos", "backbone", 2, "balanced"),
        ("photos", "backbone", 0, "natural"),
    ],
)
def test_cut_off_after_any_step_it_ends_in_the_same_bits(run, init, freeze, views, balance, monkeypatch):
    recipe = dataclasses.replace(RECIPE, frozen_views=views)
    cell = dataclasses.replace(CELL, init=init, freeze=freeze, balance=balance)
    for folder in ("whole", "broken"):
        if upstream := upstream_of(cell, recipe):
            assert run(folder, upstream, recipe)[0]["status"] == "done"
    whole = run("whole", cell, recipe)
    assert whole[0]["status"] == "done", whole[0]["error"]

    steps = []
    original = fitting.masked_loss
    monkeypatch.setattr(fitting, "masked_loss", lambda *parts: steps.append(1) or original(*parts))
    attempts = 0
    while True:
        record, folder = run("broken", cell, recipe, hooks=Hooks(stop=lambda: True, stop_seconds=0))
        attempts += 1
        if record["status"] == "done":
            break
        assert record["status"] == "interrupted", record["error"]
        assert (folder / results.CHECKPOINT).exists()
    assert attempts == STEPS
    assert len(steps) == RECIPE.range_test_steps + 1, "the range test is done once"
    assert_same(whole, (record, folder))


def test_a_killed_cell_loses_the_steps_since_its_last_checkpoint_only(run, monkeypatch):
    whole = run("whole")

    class Killed(BaseException):
        pass

    kept = []

    def saved():
        kept.append(1)
        if len(kept) == 4:  # the folder, and three steps
            raise Killed

    with pytest.raises(Killed):
        run("broken", hooks=Hooks(saved=saved, checkpoint_seconds=0))
    _, folder = run("whole")
    broken = folder.parent.parent / "broken" / folder.name
    begun = torch.load(broken / results.CHECKPOINT, weights_only=True)["records"]["begun"]
    assert len(begun["sizes"]) == 3
    assert_same(whole, run("broken"))


def test_checkpoints_take_a_hundredth_of_the_time_at_most():
    for writing in (0.001, 0.5, 2.0, 30.0):
        between = pause(writing, least=60.0)
        assert between >= 60
        assert writing / (writing + between) <= WRITING_SHARE + 1e-12
    assert pause(0.1, least=60.0) == 60


def test_a_slow_disk_gets_fewer_checkpoints(run, monkeypatch):
    """A clock that a checkpoint moves by 5 seconds, and a step by one: the first is due after 2 of them."""
    now = [0.0]
    monkeypatch.setattr(fitting.time, "monotonic", lambda: now[0])
    written = []

    def saved():
        now[0] += 5
        written.append(now[0])

    original = fitting.Keeper.on_train_batch_end

    def step(keeper, *rest):
        now[0] += 1
        original(keeper, *rest)

    monkeypatch.setattr(fitting.Keeper, "on_train_batch_end", step)
    record, _ = run("slow", hooks=Hooks(saved=saved, checkpoint_seconds=2.0, stop_seconds=1e9))
    assert record["status"] == "done"
    assert len(written) == 2, "that of the folder, and one checkpoint: the next is due 495 seconds later"


def test_a_head_ends_in_the_same_bits_as_by_lightnings_loop(run, monkeypatch):
    recipe = dataclasses.replace(RECIPE, epochs=4)
    cell = dataclasses.replace(CELL, init="photos", freeze="backbone")
    for folder in ("plain", "lightning"):
        run(folder, upstream_of(cell, recipe), recipe)
    trained = []
    original = fitting.HeadTrainer.fit
    monkeypatch.setattr(fitting.HeadTrainer, "fit", lambda *a: trained.append(1) or original(*a))
    plain = run("plain", cell, recipe)
    monkeypatch.setattr(fitting, "trains_features", lambda network, inputs: False)
    lightning = run("lightning", cell, recipe)
    assert (len(trained), plain[0]["status"]) == (1, "done")
    assert_same(plain, lightning)
