"""How many trials are measured at once, for how many steps, and what is kept of several."""

import dataclasses

import pytest

from sweeps.measuring import measure
from sweeps.measuring.measure import Check, lasts
from sweeps.planning.memory import needed_on_cpu
from sweeps.planning.resources import Resources
from sweeps.presets import chexpert, smoke
from transfusion.cell import Cell

GB = 2**30
GPU = Resources(device="cuda", cpus=1, cores=(16,), gpus=(1.0,), gpu_memory=16 * GB, reduced=True)
CPU = Resources(device="cpu", cpus=1, cores=(16,))


def test_on_a_cpu_as_many_are_measured_at_once_as_the_plan_lets_run():
    """A cell needs a quarter of the memory: four run on sixteen cores."""
    cell = Cell(architecture="resnet50", train_images=1)
    at_hand = dataclasses.replace(CPU, host_memory=4 * needed_on_cpu(cell))
    check = Check(smoke(), (cell,), at_hand)
    assert check.share("resnet50") == 0.25
    assert check.trials(0.25) == 4


def test_on_a_gpu_its_part_of_the_cores_bounds_them():
    for cores, gpus, cpus, trials in ((16, 1, 1, 16), (16, 4, 1, 4), (8, 1, 2, 4), (4, 4, 3, 1)):
        at_hand = dataclasses.replace(GPU, cores=(cores,), gpus=(float(gpus),), cpus=cpus)
        assert Check(smoke(), (), at_hand).trials(0.0625) == trials
    assert Check(smoke(), (), GPU).trials(0.3) == 3


class Timed:
    """Workers whose steps take so many seconds, each its own; the second trial needs most memory."""

    def __init__(self, *seconds):
        self.seconds, self.steps = seconds, None

    def release(self):
        pass

    def ask(self, count, question):
        if question["what"] == "warm_up":
            return [{"step_seconds": one} for one in self.seconds]
        self.steps = question["steps"]
        memory = [GB, 3 * GB, 2 * GB][:count]
        return [
            {"images_per_second": 10.0, "type": "float32", "memory": one, "host_memory": 2 * one}
            for one in memory
        ]


@pytest.mark.parametrize(
    ("at_hand", "seconds", "steps"),
    [
        (CPU, (0.1, 0.02), 5),
        (CPU, (0.001,), 64),
        (CPU, (0.4, 0.45), 1),
        (CPU, (0.4, 0.6), 0),
        (GPU, (0.1,), 16),
        (GPU, (5.0,), 16),
        (GPU, (0.01,), 41),
    ],
)
def test_an_epoch_fills_its_time_by_the_slowest_of_them(at_hand, seconds, steps):
    """On a CPU a long step is measured once; a GPU works behind the CPU's back, and takes some."""
    workers = Timed(*seconds)
    measure.train(Check(smoke(), (), at_hand), "cbr_tiny", workers, len(seconds), 1.0)
    assert workers.steps == steps


def test_of_several_trials_the_largest_memory_is_kept():
    check = Check(
        smoke(), (Cell(architecture="cbr_tiny", train_images=1),), dataclasses.replace(CPU, cores=(3,))
    )
    found = measure.one(check, "cbr_tiny", Timed(0.01, 0.01, 0.01), 1e12)
    assert (found.speed.memory, found.host_memory, found.speed.trials) == (3 * GB, 6 * GB, 3)


def test_training_lasts_as_long_as_the_longest_cell_of_that_network_or_its_pretraining():
    """More than ten minutes, at 100 images a second: 60,000 images."""
    preset, recipe = chexpert(), chexpert().recipe

    def long(epochs, pretraining, *cells):
        made = dataclasses.replace(recipe, epochs=epochs, upstream_epochs=1, upstream_images=pretraining)
        check = Check(dataclasses.replace(preset, recipe=made), cells, GPU)
        return lasts(check, "cbr_tiny", 100.0)

    tiny = Cell(architecture="cbr_tiny", train_images=5000)
    other = Cell(architecture="resnet50", train_images=200_000)
    assert not long(11, 50_000, tiny, other)
    assert long(13, 50_000, tiny, other)
    assert long(11, 70_000, tiny, other)
    assert not lasts(Check(preset, (tiny,), CPU), "cbr_tiny", 0.1), "nothing is compiled on a CPU"
