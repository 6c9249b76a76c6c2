"""What a measurement of training is: which steps are timed, on what, and what is left in its process."""

from types import SimpleNamespace

import pytest
import torch
from pretended_cuda import pretended

from transfusion.cell import Recipe
from transfusion.study import Machine
from transfusion.training import probe, probe_worker
from transfusion.training.probe import Probe
from transfusion.training.probe_worker import Answers
from transfusion.training.schedule import EVALUATION_BATCH

RECIPE = Recipe(image_size=24, batch_size=4)
PLACE = {"device": "cpu", "threads": 1, "share": 1.0, "precision": "float32"}


@pytest.fixture
def tiny():
    return Probe("cbr_tiny", RECIPE, Machine())


def test_the_network_lies_in_memory_as_a_cells_does(tiny):
    weights = [one for one in tiny.network.parameters() if one.dim() == 4]
    assert weights
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)


@pytest.mark.parametrize(("slow", "steps"), [(4.0, 2), (0.0, 1)])
def test_a_first_step_is_left_out_where_it_is_short(monkeypatch, tiny, slow, steps):
    made = []
    monkeypatch.setattr(probe, "SLOW_SECONDS", slow)
    monkeypatch.setattr(probe, "find_learning_rate", lambda *_: made.append(1))
    assert tiny.warm_up() > 0
    assert len(made) == steps


def test_the_first_epoch_warms_up(monkeypatch):
    def fit(module, epochs, *_):
        module.epochs = [{"train_seconds": seconds} for seconds in (9.0, 1.0, 3.0)]

    monkeypatch.setattr(probe, "fit", fit)
    assert probe._epoch_seconds(SimpleNamespace(), torch.device("cpu")) == 2.0


def test_the_peak_of_memory_begins_with_the_network(monkeypatch):
    asked = []
    monkeypatch.setattr(probe, "forget_peak", lambda: asked.append(1))
    Probe("cbr_tiny", RECIPE, Machine())
    assert asked == [1]


def test_on_a_gpu_an_epoch_ends_with_a_whole_batch_of_evaluation():
    """It may be what needs most memory."""
    with pretended():
        module = Probe("cbr_tiny", RECIPE, Machine(device="cuda"))._module(3)
    assert len(module.task.rows["train"]) == 3 * RECIPE.batch_size
    assert len(set(module.task.rows["selection"])) == EVALUATION_BATCH


def test_what_cannot_be_compiled_is_not_timed(monkeypatch, tiny):
    monkeypatch.setattr(probe.acceleration, "compiled", lambda network, example: (network, "no compiler"))
    monkeypatch.setattr(probe, "fit", lambda *_: pytest.fail("plain training, timed as compiled"))
    outcome, seconds, speed = tiny.compiled(1)
    assert (outcome, speed, seconds >= 0) == ("no compiler", 0.0, True)


def test_an_error_of_the_driver_is_no_memory_that_others_hold(monkeypatch):
    def fails(*_):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pretended():
        monkeypatch.setattr(torch.cuda, "mem_get_info", fails)
        with pytest.raises(RuntimeError, match="illegal memory access"):
            probe.used_by_others()


def ask(process, what, **more):
    return process.to({"what": what, "place": PLACE, "recipe": {"image_size": 24}, **more})


def test_a_process_holds_one_network_and_after_an_error_none(monkeypatch):
    process, held = Answers(), []

    class Made:
        def __init__(self, architecture, recipe, place):
            held.append(process.probe)
            assert (recipe.image_size, place) == (24, Machine(**PLACE))

        def warm_up(self):
            return 0.5

        def train(self, steps):
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(probe_worker, "Probe", Made)
    for _ in range(2):
        assert ask(process, "warm_up", architecture="cbr_tiny") == {"step_seconds": 0.5}
    assert held == [None, None], "the one before is given up first"
    answer = ask(process, "train", steps=1)
    assert answer == {"error": "OutOfMemoryError: CUDA out of memory", "kind": "out_of_memory"}
    assert process.probe is None
    assert ask(process, "release") == {}
