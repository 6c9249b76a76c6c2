"""What a plan makes of speeds that were measured, or guessed."""

import dataclasses

import pytest
from machines import CPU, GB, GPU

from sweeps.measuring import measure
from sweeps.options.command_line import options_of
from sweeps.options.overrides import preset_of
from sweeps.planning.cost import CostModel, efficiency
from sweeps.planning.estimate import estimate
from sweeps.planning.plan import PlannedCell
from sweeps.planning.speeds import Speed, Speeds
from sweeps.presets import STUDIED, demo
from sweeps.running.progress import expectation
from transfusion.cell import Cell, Recipe

MODEL = CostModel(device="cuda", evaluation_images=100, selection_images=20, macs_per_second=1e12)
SLOW = Speed("resnet18", 224, 32, 64.0, 200.0, 4, 0.25, "bfloat16", 3 * GB)


def test_a_quarter_of_a_gpu_gets_a_quarter_of_its_arithmetic_unless_measured():
    recipe = Recipe()
    whole, quarter = (MODEL.image_seconds("resnet18", recipe, share) for share in (1.0, 0.25))
    assert quarter == pytest.approx(4 * whole)
    cell = Cell(architecture="resnet18", train_images=5000)
    more = MODEL.seconds(cell, recipe, 0.25) - MODEL.seconds(cell, recipe, 1.0)
    assert more > 3 * whole * recipe.epochs * cell.train_images
    measured = MODEL.measured(Speeds((SLOW,)))
    assert measured.training_seconds("resnet18", recipe, 3200, 0.25) == pytest.approx(3200 / 64)
    assert measured.guessed("resnet50", 224)
    assert not measured.guessed("resnet18", 224)
    assert measured.guessed("resnet18", 64)
    on_cpu = dataclasses.replace(MODEL, device="cpu")
    assert on_cpu.image_seconds("resnet18", recipe, 0.5) == on_cpu.image_seconds("resnet18", recipe)


def test_steps_of_a_frozen_head_count():
    recipe = Recipe()
    cell = Cell(architecture="cbr_tiny", train_images=200_000, init="imagenet", freeze="backbone")
    slow, fast = (MODEL.measured(Speeds((), step)).seconds(cell, recipe) for step in (0.004, 0.001))
    steps = recipe.range_test_steps + recipe.epochs * 200_000 / recipe.batch_size
    assert slow - fast == pytest.approx(0.003 * steps)


def test_what_a_core_reaches_at_24_pixels_is_not_taken_for_224():
    for name in STUDIED:
        at = [efficiency("cpu", name, size) for size in (16, 24, 64, 224, 512)]
        assert at[0] == at[1] > at[2] > at[3] == at[4]
        assert efficiency("cuda", name, 24) == 1


def test_guesses_for_a_gpu_are_ranges_of_what_is_guessed_alone():
    def planned(architecture, seconds, guessed):
        cell = Cell(architecture=architecture, train_images=1)
        return PlannedCell(f"{architecture} {seconds}", cell, None, seconds, 1.0, guessed)

    known, unknown = planned("resnet18", 36_000, False), planned("cbr_tiny", 72_000, True)
    found = estimate([known, unknown], GPU)
    assert "20.0 to 50.0 GPU-hours" in expectation(found, 1)
    assert expectation(found, 1).endswith("measured here, guessed for cbr_tiny (--check measures)")
    assert expectation(estimate([known], GPU), 1).endswith(
        "10.0 GPU-hours; up to 1 at a time, about 10:00 h; measured here"
    )
    assert expectation(estimate([unknown], CPU), 2).startswith("about 20:00 h of work; up to 2")
    assert expectation(estimate([], CPU), 2) == "about 0 s of work; up to 2 at a time, about 0 s"


def test_the_default_plan_is_all_that_a_check_needs():
    assert preset_of(options_of(["--check"])) == demo()
    assert set(measure.Check(demo(), tuple(demo().cells()), CPU).networks) == set(STUDIED)
