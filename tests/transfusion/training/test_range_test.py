"""The range test on curves with known answers."""

import numpy as np
import pytest
import torch
from torch import nn

from transfusion.training.range_test import choose, range_test


def valley(rates, lowest):
    """A loss that falls slowly to its minimum at the rate `lowest` and explodes beyond it."""
    x = np.log10(rates) - np.log10(lowest)
    return 0.5 + np.where(x < 0, 0.1 * x**2, x**2)


@pytest.mark.parametrize("lowest", [1e-4, 1e-3, 1e-2])
def test_a_tenth_of_the_rate_of_the_lowest_loss(lowest):
    rates = np.geomspace(1e-7, 1, 100)
    assert np.log10(choose(rates, valley(rates, lowest))) == pytest.approx(np.log10(lowest / 10), abs=0.3)


def test_noise_moves_the_answer_little():
    rates = np.geomspace(1e-7, 1, 100)
    chosen = [
        choose(rates, valley(rates, 1e-2) + np.random.default_rng(seed).normal(0, 0.05, 100))
        for seed in range(50)
    ]
    assert np.abs(np.log10(chosen) + 3).mean() < 0.4


def test_the_answer_does_not_depend_on_the_spacing_of_the_ladder():
    sparse, dense = np.geomspace(1e-6, 1, 40), np.geomspace(1e-6, 1, 400)
    answers = [np.log10(choose(rates, valley(rates, 1e-2))) for rates in (sparse, dense)]
    assert answers[0] == pytest.approx(answers[1], abs=0.2)


def test_a_low_loss_after_the_explosion_is_not_the_minimum():
    rates = np.geomspace(1e-7, 1, 100)
    losses = valley(rates, 1e-3)
    losses[rates > 1e-1] = 0.0
    assert np.log10(choose(rates, losses)) == pytest.approx(-4, abs=0.3)


def test_the_answer_stays_inside_the_ladder():
    rates = np.geomspace(1e-4, 1, 50)
    assert choose(rates, valley(rates, 8e-4)) == pytest.approx(1e-4)
    falling_to_the_end = 1 - np.log10(rates / 1e-4) / 10
    assert choose(rates, falling_to_the_end) == pytest.approx(1e-1, rel=0.1)


def test_a_curve_that_never_falls_gives_the_middle_of_what_comes_before_the_rise():
    rates = np.geomspace(1e-5, 1e-1, 41)
    assert choose(rates, np.ones(41)) == pytest.approx(1e-3)
    step_up_at = np.where(rates > 1.01e-3, 5.0, 1.0)
    assert np.log10(choose(rates, step_up_at)) == pytest.approx(-4, abs=0.2)
    assert choose(rates, np.geomspace(1, 1e6, 41)) == pytest.approx(1e-5, rel=0.5)
    assert choose(np.array([1e-4, 1e-2]), np.array([2.0, 1.0])) == pytest.approx(1e-3)


def test_losses_that_are_not_finite_are_left_out():
    rates = np.geomspace(1e-4, 1e-2, 5)
    assert choose(rates, np.array([1, 0.5, np.nan, np.inf, np.nan])) == pytest.approx(10**-3.75)
    with pytest.raises(ValueError, match="no finite loss"):
        choose(rates, np.full(5, np.nan))


def test_a_real_ladder_restores_the_network_and_stops_when_the_loss_explodes():
    torch.manual_seed(0)
    inputs = torch.randn(256, 10)
    targets = inputs @ torch.randn(10, 1)
    network = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    test = range_test(
        network, lambda step: nn.functional.mse_loss(network(inputs), targets), low=1e-5, high=1e4, steps=90
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None for weight in network.parameters())
    assert len(test.rates) == len(test.losses) < 90
    assert test.losses[-1] > 4 * np.median(test.losses[:5])
    assert 1e-4 < test.chosen < 1
