"""What a cell costs, reckoned by hand from its passes, the network's arithmetic and the machine's speed."""

import dataclasses

import pytest
from counted_cells import FROZEN, RECIPE, TUNED

from sweeps.planning import cost
from sweeps.planning.cost import CostModel, efficiency
from sweeps.planning.speeds import Speed, Speeds
from transfusion.architectures import ARCHITECTURES

TINY = ARCHITECTURES["cbr_tiny"]
CPU = CostModel(device="cpu", evaluation_images=100, selection_images=10, macs_per_second=1e9)
GPU = dataclasses.replace(CPU, device="cuda", macs_per_second=1e12)
# The passes of these cells (see test_schedule): 248 images are trained in 17 steps and 130 pass forward;
# frozen, the head takes 17 steps and 190 images pass forward.
STEPS = 8 + 3 * 3


def setup():
    return 0.2 + 1.2e-8 * TINY.parameters


def test_a_trained_cell_on_a_cpu():
    image = 3 * TINY.macs(24) / (1e9 * TINY.efficiency[0])
    step = 5e-9 * TINY.parameters + 0.2e-3 * TINY.depth
    assert CPU.image_seconds("cbr_tiny", RECIPE) == pytest.approx(image)
    assert CPU.training_seconds("cbr_tiny", RECIPE, 40) == pytest.approx(40 * image + 3 * step)
    expected = setup() + 248 * image + STEPS * step + 130 * 0.42 * image
    assert CPU.seconds(TUNED, RECIPE) == pytest.approx(expected)
    assert CPU.seconds(TUNED, RECIPE, share=0.5) == pytest.approx(expected), "a share is of a GPU"


def test_a_frozen_cell_trains_its_head_on_the_cpu():
    image = 3 * TINY.macs(24) / (1e9 * TINY.efficiency[0])
    for head, step in ((None, 5e-4), (0.25, 0.25)):
        model = dataclasses.replace(CPU, head_step_seconds=head)
        expected = setup() + STEPS * step + 190 * 0.42 * image
        assert model.seconds(FROZEN, RECIPE) == pytest.approx(expected)


def test_a_share_of_a_gpu_takes_longer_for_its_images_alone():
    image = 3 * TINY.macs(24) / (1e12 * 0.25)
    step = 2e-11 * TINY.parameters + 1e-4 * TINY.depth
    expected = setup() + 248 * image + STEPS * step + 130 * 0.42 * image
    assert GPU.seconds(TUNED, RECIPE, share=0.25) == pytest.approx(expected)


def test_where_two_cores_feed_a_gpu_each_of_two_trials_gets_half_of_it():
    """Whatever their share of its memory; a check that measured two, and cells that ran so, say the same."""
    few = dataclasses.replace(GPU, least_part=0.5)
    assert few.seconds(TUNED, RECIPE, share=1 / 16) == GPU.seconds(TUNED, RECIPE, share=0.5)
    assert few.seconds(TUNED, RECIPE, share=1.0) == GPU.seconds(TUNED, RECIPE, share=1.0)
    took = 3 * GPU.training_seconds("cbr_tiny", RECIPE, 16, 0.5)
    speed = Speed("cbr_tiny", 24, 16, 16 / took, 1.0, 2, 1 / 16, "bfloat16", 0)
    assert few.measured(Speeds((speed,))).factors == {("cbr_tiny", 24): pytest.approx(3)}
    took = 3 * GPU.training_seconds("cbr_tiny", RECIPE, 40, 0.5)
    record = {
        "status": "done", "schema": 1,
        "cell": dataclasses.asdict(TUNED), "recipe": dataclasses.asdict(RECIPE),
        "environment": {"device": "cuda", "share": 1 / 16}, "metrics": {"images_per_second": 40 / took},
    }  # fmt: skip
    assert few.corrected({"a": record}).factors == {("cbr_tiny", 24): pytest.approx(3)}


def test_an_architecture_that_nobody_measured_takes_the_median_of_the_others():
    factors = {("resnet18", 24): 2.0, ("resnet34", 24): 3.0, ("resnet50", 24): 10.0}
    model = dataclasses.replace(CPU, factors=factors)
    assert CPU.factor("resnet18", 24) == 1
    assert model.factor("resnet18", 24) == 2
    assert model.factor("cbr_tiny", 24) == model.factor("resnet18", 32) == 3
    assert [model.guessed("resnet18", size) for size in (24, 32)] == [False, True]
    assert model.image_seconds("cbr_tiny", RECIPE) == pytest.approx(3 * CPU.image_seconds("cbr_tiny", RECIPE))
    assert model.step_seconds("cbr_tiny", RECIPE) == pytest.approx(3 * CPU.step_seconds("cbr_tiny", RECIPE))


def test_efficiency_lies_between_the_sizes_at_which_it_was_measured(monkeypatch):
    """Half way on a logarithmic scale from 16 to 256 pixels is 64; beyond them it stays as it is."""
    small, large = TINY.efficiency
    assert small != large
    assert [efficiency("cpu", "cbr_tiny", size) for size in (24, 224)] == pytest.approx([small, large])
    monkeypatch.setattr(cost, "EFFICIENCY_SIZES", (16, 256))
    found = [efficiency("cpu", "cbr_tiny", size) for size in (8, 16, 64, 256, 512)]
    assert found == pytest.approx([small, small, (small + large) / 2, large, large])
    assert efficiency("cuda", "cbr_tiny", 64) == 1
    unmeasured = next(name for name, spec in ARCHITECTURES.items() if spec.efficiency is None)
    assert efficiency("cpu", unmeasured, 64) == 1


def test_a_check_of_this_machine_corrects_what_was_expected():
    """A batch that took three times as long as expected; another size of image tells nothing of this one."""
    expected = CPU.training_seconds("cbr_tiny", RECIPE, 16)
    speed = Speed("cbr_tiny", 24, 16, 16 / (3 * expected), 1.0, 1, 1.0, "float32", 0)
    model = CPU.measured(Speeds((speed,), head_step_seconds=0.5))
    assert model.factors == {("cbr_tiny", 24): pytest.approx(3)}
    assert model.head_step_seconds == 0.5
    assert model.measured(Speeds((speed,))).factors == model.factors, "a correction does not correct itself"
    assert model.measured(Speeds()).head_step_seconds == 0.5
    assert model.measured(Speeds()).factors == {}
