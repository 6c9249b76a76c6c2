"""When checkpoints are written and questions asked, and what is compiled; by a clock of our own."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from transfusion.cell import Recipe
from transfusion.records.failures import StoppedError
from transfusion.training import fitting
from transfusion.training.fitting import Hooks, Keeper, compile_where_worth, fit, pause
from transfusion.training.head_fitting import HeadTrainer, trains_features
from transfusion.training.module import TrainingModule
from transfusion.training.range_test import RangeTest
from transfusion.training.task import CPU, Task

LADDER = RangeTest(np.array([1e-3]), np.array([0.5]), 1e-3, "no")


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(fitting, "time", made)
    return made


class Trainer:
    """Lightning's, as far as a keeper asks it; a checkpoint takes 5 seconds."""

    max_epochs = 9

    def __init__(self, clock):
        self.clock, self.written, self.current_epoch, self.is_last_batch = clock, [], 1, False

    def save_checkpoint(self, path):
        self.written.append(self.clock.now)
        self.clock.now += 5
        path.touch()


def steps(keeper, trainer, times):
    """Steps that end at these times; the last is the last of its epoch."""
    for step, now in enumerate(times):
        trainer.clock.now, trainer.is_last_batch = float(now), step + 1 == len(times)
        keeper.on_train_batch_end(trainer, SimpleNamespace(device=CPU), None, None, step)


def test_a_checkpoint_is_due_after_its_pause_and_never_after_an_epochs_last_step(clock, tmp_path):
    trainer = Trainer(clock)
    keeper = Keeper(tmp_path / "c.pt", Hooks(checkpoint_seconds=60, stop_seconds=1e9))
    steps(keeper, trainer, [159, 160, 200])
    assert trainer.written == [160.0]
    assert keeper.due == 165 + 99 * 5, "5 seconds of writing are a hundredth of 500"
    steps(keeper, trainer, [600, 659, 660, 700])
    assert trainer.written == [160.0, 660.0]
    steps(keeper, trainer, [2000])
    assert trainer.written == [160.0, 660.0]


def test_a_question_is_asked_as_often_as_wished_and_ends_the_trial_with_its_checkpoint(clock, tmp_path):
    asked = []
    trainer = Trainer(clock)
    keeper = Keeper(
        tmp_path / "c.pt",
        Hooks(
            stop=lambda: asked.append(clock.now) or clock.now >= 130, checkpoint_seconds=1e9, stop_seconds=10
        ),
    )
    with pytest.raises(StoppedError, match="stopped after step 6 of epoch 2"):
        steps(keeper, trainer, [105, 110, 115, 119, 121, 131, 140])
    assert asked == [110.0, 121.0, 131.0]
    assert trainer.written == [131.0]


def module_of(images=5, batch_size=2):
    inputs = np.zeros((images, 1, 4, 4), np.uint8)
    rows = {"train": np.arange(images), "selection": np.arange(0)}
    task = Task(inputs, np.zeros((images, 1), np.float32), 1, rows)
    module = TrainingModule(nn.Flatten(), task, Recipe(batch_size=batch_size), seed=0)
    module.ladder, module.step_seconds = LADDER, 2.0
    return module


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize(("epoch", "now", "written"), [(1, 150, False), (1, 160, True), (9, 160, False)])
def test_after_an_epoch_it_is_written_where_due_or_asked_but_not_after_the_last(
    clock, tmp_path, epoch, now, written, stops
):
    told = []
    trainer, module = Trainer(clock), module_of()
    module.epochs = [{"epoch": number + 1} for number in range(epoch)]
    hooks = Hooks(report=told.append, stop=lambda: stops, checkpoint_seconds=60)
    keeper = Keeper(tmp_path / "c.pt", hooks)
    clock.now = float(now)
    if stops and epoch < 9:
        with pytest.raises(StoppedError, match=f"stopped after epoch {epoch} of 9"):
            keeper.on_train_epoch_end(trainer, module)
    else:
        keeper.on_train_epoch_end(trainer, module)
    assert bool(trainer.written) == (written or (stops and epoch < 9))
    assert told == [{"epoch": epoch, "epochs": 9}]


def test_the_pause_makes_writing_a_hundredth():
    assert pause(2.0, least=60.0) == pytest.approx(198.0)
    assert pause(0.5, least=60.0) == 60.0


@pytest.mark.parametrize("done", [None, 2])
def test_compiling_is_weighed_by_the_epochs_that_are_left(monkeypatch, tmp_path, done):
    weighed, module = [], module_of()
    monkeypatch.setattr(fitting, "compile_where_worth", lambda module, epochs, device: weighed.append(epochs))
    monkeypatch.setattr(
        fitting.pl, "Trainer", lambda **_: SimpleNamespace(fit=lambda module, **__: weighed.append("fit"))
    )
    checkpoint = tmp_path / "c.pt"
    if done is not None:
        ladder = ([1e-3], [0.5], 1e-3, "no")
        torch.save({"records": {"ladder": ladder, "step_seconds": 2.0, "epochs": [{}] * done}}, checkpoint)
    fit(module, 7, CPU, checkpoint, Hooks())
    assert weighed == [7 - (done or 0), "fit"]


def test_a_step_of_the_range_test_is_timed_one_more_than_there_are_rungs(monkeypatch, clock, tmp_path):
    """The last batch is only looked at: 6 losses of 5 rungs in 12 seconds."""

    def find(module, device):
        clock.now += 12
        return RangeTest(np.full(5, 1e-3), np.full(5, 0.5), 1e-3, "no")

    monkeypatch.setattr(fitting, "find_learning_rate", find)
    monkeypatch.setattr(fitting, "compile_where_worth", lambda *_: None)
    monkeypatch.setattr(fitting.pl, "Trainer", lambda **_: SimpleNamespace(fit=lambda module, **__: None))
    module = module_of()
    module.ladder = None
    fit(module, 1, CPU, tmp_path / "c.pt", Hooks())
    assert (module.range_test_seconds, module.step_seconds) == (12.0, 2.0)


@pytest.mark.parametrize(("images", "steps"), [(5, 6), (4, 6), (1, 0)])
@pytest.mark.parametrize("worth", [True, False])
def test_whole_batches_are_compiled_where_that_pays_and_there_are_any(monkeypatch, images, steps, worth):
    weighed, examples = [], []
    acceleration = SimpleNamespace(
        worth_compiling=lambda device, seconds, steps: weighed.append((seconds, steps)) or worth,
        compiled=lambda network, example: examples.append(example.shape) or ("twin", "yes"),
    )
    monkeypatch.setattr(fitting, "acceleration", acceleration)
    module = module_of(images)
    compile_where_worth(module, 3, CPU)
    assert weighed == [(2.0, steps)]
    assert module.compiling == ("yes" if worth and steps else "no")
    assert examples == ([(2, 3, 4, 4)] if worth and steps else [])


def head_of(seed=0):
    """A module that trains a head on seven random features."""
    rng = np.random.default_rng(0)
    targets = np.array([0, 1, 0, 1, 1, 0, 1], np.float32)[:, None]
    rows = {"train": np.arange(5), "selection": np.arange(5, 7)}
    task = Task(rng.normal(size=(7, 2)).astype(np.float32), targets, 1, rows)
    torch.manual_seed(seed)
    module = TrainingModule(nn.Linear(2, 1), task, Recipe(batch_size=2, plateau_patience=0), seed=0)
    module.ladder = LADDER
    return module


class Watch:
    """What a head's trainer tells; `then` is called after every epoch."""

    def __init__(self, then=lambda trainer: None):
        self.seen, self.then = [], then

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.append((trainer.current_epoch, batch_idx, len(batch[0]), trainer.is_last_batch))

    def on_train_epoch_end(self, trainer, module):
        self.seen.append(("end", len(module.epochs)))
        self.then(trainer)


def test_a_head_is_trained_epoch_by_epoch_and_knows_its_last_batch():
    module, watch = head_of(), Watch()
    HeadTrainer(module, 2, watch).fit(None)
    assert watch.seen == [
        (0, 0, 2, False), (0, 1, 2, False), (0, 2, 1, True), ("end", 1),
        (1, 0, 2, False), (1, 1, 2, False), (1, 2, 1, True), ("end", 2),
    ]  # fmt: skip
    assert len(module.steps) == 6


def test_a_head_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path):
    whole, cut, resumed = head_of(), head_of(), head_of(seed=1)
    HeadTrainer(whole, 5, Watch()).fit(None)

    def stop(trainer):
        if len(cut.epochs) == 2:
            trainer.save_checkpoint(tmp_path / "c.pt")
            raise StoppedError

    with pytest.raises(StoppedError):
        HeadTrainer(cut, 5, Watch(stop)).fit(None)
    watch = Watch()
    HeadTrainer(resumed, 5, watch).fit(tmp_path / "c.pt")
    assert [one[1] for one in watch.seen if one[0] == "end"] == [3, 4, 5]
    assert torch.equal(resumed.network.weight, whole.network.weight)
    assert not torch.equal(resumed.network.weight, cut.network.weight)
    assert (resumed.steps, resumed.best_epoch) == (whole.steps, whole.best_epoch)


@pytest.mark.parametrize(
    ("network", "shape", "head"),
    [(nn.Linear(2, 1), (3, 2), True), (nn.Linear(2, 1), (3, 1, 2, 2), False), (nn.Flatten(), (3, 2), False)],
)
def test_a_linear_layer_on_features_is_a_head(network, shape, head):
    assert trains_features(network, np.zeros(shape)) == head
