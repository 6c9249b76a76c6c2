"""Losses, records and tables of a training module, by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from transfusion.cell import Recipe
from transfusion.records.failures import DivergedError
from transfusion.training.module import TrainingModule, masked_loss
from transfusion.training.range_test import RangeTest
from transfusion.training.task import Task

NAN = math.nan


def module_of(inputs, targets, train, batch_size=2, **options):
    """A head that is not yet trained, on features of which the last two are the selection part."""
    rows = {"train": np.arange(train), "selection": np.arange(train, train + 2)}
    task = Task(inputs, targets, 1, rows)
    module = TrainingModule(nn.Linear(2, 1), task, Recipe(batch_size=batch_size), seed=0, **options)
    module.ladder = RangeTest(np.array([1e-3, 1e-2]), np.array([0.5, NAN]), 1e-3, "no")
    return module


def features(count):
    rng = np.random.default_rng(count)
    return rng.normal(size=(count, 2)).astype(np.float32), np.arange(count).astype(np.float32)[:, None] % 2


@pytest.mark.parametrize(
    ("targets", "loss"),
    [
        ([1, 0, 1], (math.log(2) + math.log(1 + math.exp(2)) + math.log(1 + math.e)) / 3),
        ([1, NAN, 1], (math.log(2) + math.log(1 + math.e)) / 2),
        ([NAN, NAN, 0], math.log(1 + math.exp(-1))),
        ([NAN, NAN, NAN], 0.0),
    ],
)
def test_the_loss_is_the_mean_over_known_targets(targets, loss):
    logits = torch.tensor([[0.0], [2.0], [-1.0]])
    assert float(masked_loss(logits, torch.tensor(targets, dtype=torch.float32)[:, None])) == pytest.approx(
        loss, rel=1e-6
    )


def test_an_unknown_target_moves_nothing():
    logits = torch.tensor([[0.0], [5.0]], requires_grad=True)
    masked_loss(logits, torch.tensor([[1.0], [NAN]])).backward()
    assert logits.grad.tolist() == [[-0.5], [0.0]]


def test_the_loss_of_classes_is_the_logarithm_of_their_probability():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    expected = (math.log(4) - math.log(0.8)) / 2
    assert float(masked_loss(logits, torch.tensor([1, 2]))) == pytest.approx(expected, rel=1e-6)


def test_a_loss_that_is_not_finite_is_told_with_its_step_over_all_epochs():
    module = module_of(*features(6), train=4)
    module.configure_optimizers()
    module.epochs, module.steps = [{}], [0.3, 0.2]
    module._start_epoch()
    module.step_losses = [torch.tensor(0.5), torch.tensor(torch.inf), torch.tensor(NAN)]
    with pytest.raises(DivergedError, match=r"became inf at step 4 in epoch 2, learning rate 0\.001"):
        module.on_train_epoch_end()
    assert module.steps == [0.3, 0.2, 0.5]


def test_logits_that_are_not_finite_are_told_with_their_epoch():
    module = module_of(*features(6), train=4)
    module.configure_optimizers()
    module.epochs = [{}, {}]
    module._start_epoch()
    module.step_losses, module.step_sizes = [torch.tensor(0.5)], [2]
    module.selection = [(torch.tensor([[NAN], [0.0]]), torch.tensor([[1.0], [0.0]]))]
    with pytest.raises(DivergedError, match="not finite after epoch 3"):
        module.on_train_epoch_end()


def ended(module, losses, sizes, logits, targets):
    """An epoch of these steps and selection part."""
    module._start_epoch()
    module.step_losses, module.step_sizes = [torch.tensor(one) for one in losses], list(sizes)
    module.train_seconds = 2.0
    module.selection = [(torch.tensor(logits)[:, None], torch.tensor(targets)[:, None])]
    with torch.no_grad():
        module.network.bias.fill_(float(len(module.epochs)))
    module.on_train_epoch_end()


def test_an_epochs_loss_weighs_steps_by_their_images_and_the_best_has_the_largest_area():
    """Areas 0.5, 1, 1: of the last two the second, whose loss is the lower."""
    module = module_of(*features(5), train=3)
    module.configure_optimizers()
    for logits in ([0.0, 0.0], [1.0, -1.0], [0.5, -0.5]):
        ended(module, [0.5, 0.2], [2, 1], logits, [1.0, 0.0])
    assert [one["epoch"] for one in module.epochs] == [1, 2, 3]
    assert [one["train_loss"] for one in module.epochs] == pytest.approx([0.4] * 3)
    assert [one["selection_auroc"] for one in module.epochs] == [0.5, 1.0, 1.0]
    losses = [math.log(2), math.log(1 + math.exp(-1)), math.log(1 + math.exp(-0.5))]
    assert [one["selection_loss"] for one in module.epochs] == pytest.approx(losses)
    assert module.best_epoch == 2
    module.restore_best()
    assert float(module.network.bias.detach()) == 1.0
    summary = module.summary()
    assert summary["selection_loss"] == pytest.approx(losses[1])
    assert (summary["best_epoch"], summary["epochs"], summary["train_seconds"]) == (2, 3, 6.0)
    assert summary["images_per_second"] == 3 * 3 / 6.0


def test_without_an_area_the_lowest_loss_is_the_best():
    module = module_of(*features(5), train=3)
    module.configure_optimizers()
    for logit in (0.0, 2.0, 1.0):
        ended(module, [0.5], [3], [logit, logit], [1.0, 1.0])
    assert [one["selection_auroc"] for one in module.epochs] == [None] * 3
    assert module.best_epoch == 2


def test_steps_and_rungs_are_counted_from_one_and_know_their_epoch():
    module = module_of(*features(5), train=3)
    module.configure_optimizers()
    for _ in range(2):
        ended(module, [0.5, 0.2], [2, 1], [1.0, -1.0], [1.0, 0.0])
    tables = module.tables()
    assert {name: list(values) for name, values in tables["steps"].items()} == {
        "step": [1, 2, 3, 4], "epoch": [1, 1, 2, 2], "train_loss": pytest.approx([0.5, 0.2, 0.5, 0.2])
    }  # fmt: skip
    assert {name: list(values) for name, values in tables["range_test"].items()} == {
        "step": [1, 2], "learning_rate": [1e-3, 1e-2], "loss": [0.5, None]
    }  # fmt: skip
    assert tables["epochs"]["epoch"] == [1, 2]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", [np.float16, np.uint8])
def test_the_head_is_trained_alone_on_features_and_of_frozen_networks(kind, frozen):
    inputs, targets = features(5)
    module = module_of(inputs.astype(kind), targets, train=3, frozen=frozen)
    assert module.head_alone == (frozen or kind is np.float16)


def test_whole_batches_go_through_the_compiled_network_and_the_last_one_through_the_plain():
    module = module_of(*features(5), train=3)
    called = []
    module.compiled = lambda inputs: called.append(len(inputs)) or module.network(inputs)
    module._start_epoch()
    for index, batch in enumerate(module.train_dataloader()):
        module.training_step(batch, index)
    assert called == [2]
    assert module.step_sizes == [2, 1]
