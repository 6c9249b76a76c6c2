"""The range test on curves with known answers."""

import numpy as np
import pytest
import torch
from torch import nn

from transfusion.training.range_test import choose, edge_of, range_test

STUDY = np.geomspace(1e-6, 1, 100)
SHORT = np.geomspace(3e-4, 3e-3, 6)


def basin(rates, left, right, floor=0.3, start=0.7, end=2.0):
    """`start` below the rate `left`, `floor` between the two rates, `end` above `right`."""
    return np.where(rates < left, start, np.where(rates > right, end, floor))


@pytest.mark.parametrize("middle", [1e-4, 1e-3, 1e-2])
def test_the_middle_of_a_basin_on_the_logarithmic_scale(middle):
    curve = basin(STUDY, middle / 10, middle * 10)
    assert np.log10(choose(STUDY, curve)) == pytest.approx(np.log10(middle), abs=0.15)


def test_the_weighted_mean_by_hand():
    # weights 1, 2^4, 1: (-4 - 3 * 16 - 2) / 18 = -3; then 1, 16, 0: (-4 - 48) / 17
    rates = np.array([1e-4, 1e-3, 1e-2])
    assert choose(rates, np.array([0.8, 0.4, 0.8])) == pytest.approx(1e-3)
    assert choose(rates, np.array([0.8, 0.4, np.inf])) == pytest.approx(10 ** (-52 / 17), rel=1e-4)


def test_a_loss_of_zero_weighs_most_and_is_no_error():
    assert choose(np.array([1e-4, 1e-3, 1e-2]), np.array([0.8, 0.0, 0.4])) == pytest.approx(1e-3)


@pytest.mark.parametrize("rates", [STUDY, SHORT], ids=["study", "short"])
def test_a_factor_of_all_losses_changes_nothing(rates):
    curve = basin(rates, 4e-4, 4e-3)
    assert choose(rates, 7 * curve) == pytest.approx(choose(rates, curve), rel=1e-4)


def test_noise_of_single_batches_moves_the_answer_little():
    """The lowest of six noisy losses is anywhere; their weighted mean stays near the middle of the basin."""
    chosen, lowest = [], []
    for seed in range(200):
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.25, len(SHORT)))
        curve = basin(SHORT, 4e-4, 4e-3, floor=0.5, end=1.0) * noise
        chosen.append(np.log10(choose(SHORT, curve)))
        lowest.append(np.log10(SHORT[curve.argmin()]))
    assert np.std(chosen) < 0.2 < np.std(lowest)
    assert np.mean(chosen) == pytest.approx(np.log10(np.sqrt(4e-4 * 4e-3)), abs=0.15)


def test_the_answer_hardly_depends_on_how_dense_the_ladder_is():
    sparse, dense = np.geomspace(1e-6, 1, 40), np.geomspace(1e-6, 1, 400)
    answers = [np.log10(choose(rates, basin(rates, 1e-4, 1e-2))) for rates in (sparse, dense)]
    assert answers[0] == pytest.approx(answers[1], abs=0.1)


@pytest.mark.parametrize("rates", [STUDY, SHORT], ids=["study", "short"])
def test_a_flat_curve_gives_the_middle_of_the_ladder(rates):
    chosen = choose(rates, np.ones(len(rates)))
    assert chosen == pytest.approx(np.sqrt(rates[0] * rates[-1]))
    assert edge_of(chosen, rates[0], rates[-1]) == "no"


def test_rates_that_destroy_the_network_weigh_little():
    """The loss of a network that predicts a constant, which a broken one falls back to, is no low loss."""
    constant = basin(STUDY, 1e-4, 3e-3, floor=0.3, start=0.69, end=0.6)
    assert np.log10(choose(STUDY, constant)) == pytest.approx(-3.26, abs=0.4)
    diverging = np.where(STUDY > 3e-3, 1e6, constant)
    assert np.log10(choose(STUDY, diverging)) == pytest.approx(-3.4, abs=0.4)
    assert choose(STUDY, diverging) < 3e-3


def test_a_ladder_that_ends_too_early_is_said():
    falling = np.linspace(1, 0.1, 6)
    assert edge_of(choose(SHORT, falling), 3e-4, 3e-3) == "high"
    rising = falling[::-1]
    assert edge_of(choose(SHORT, rising), 3e-4, 3e-3) == "low"
    assert edge_of(1e-3, 1e-3, 1e-3) == "no", "a ladder of one rate has no ends"


def test_losses_that_are_not_finite_weigh_nothing():
    rates = np.geomspace(1e-4, 1e-2, 5)
    assert choose(rates, np.array([0.5, 0.5, np.nan, np.inf, np.nan])) == pytest.approx(10**-3.75)
    assert choose(rates, np.full(5, np.nan)) == pytest.approx(1e-4), "the lowest is the least wrong"


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1))


def test_a_real_ladder_restores_the_network_and_stops_when_the_loss_explodes():
    torch.manual_seed(1)
    inputs = torch.randn(256, 10)
    targets = inputs @ torch.randn(10, 1)
    climbing = network()
    before = {name: value.clone() for name, value in climbing.state_dict().items()}
    test = range_test(
        climbing, lambda step: nn.functional.mse_loss(climbing(inputs), targets), low=1e-5, high=1e4, steps=90
    )
    for name, value in climbing.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None for weight in climbing.parameters())
    assert len(test.rates) == len(test.losses) < 90
    assert test.losses[-1] > 4 * np.median(test.losses[:5])
    assert 1e-4 < test.chosen < 1
    assert test.edge == "no"


def test_a_loss_stands_at_the_rate_of_the_step_before_it():
    """Step k of plain descent on its own loss is seen in the loss of batch k + 1, and only there."""
    weight = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight.weight.fill_(1.0)
    seen = []

    def loss(step):
        value = weight(torch.ones(1, 1)).square().sum()
        seen.append(float(value.detach()))
        return value

    test = range_test(weight, loss, low=1e-3, high=1e-1, steps=3)
    assert len(seen) == 4
    assert test.losses.tolist() == seen[1:]
    assert test.losses[0] == pytest.approx((1 - 1e-3) ** 2, rel=1e-5), (
        "Adam's first step is as long as its rate"
    )


def test_a_first_step_that_breaks_the_network_leaves_the_lowest_rate():
    breaking = network()
    inputs = torch.randn(8, 10)
    test = range_test(breaking, lambda step: breaking(inputs).square().mean(), low=1e28, high=1e30, steps=2)
    assert test.chosen == 1e28
    assert test.edge == "low"
    with pytest.raises(ValueError, match="before the first step"):
        range_test(breaking, lambda step: breaking(inputs * torch.nan).sum(), low=1e-3, high=1e-2, steps=2)
