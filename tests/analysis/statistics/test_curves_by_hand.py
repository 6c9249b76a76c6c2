"""Spikes of losses without noise, counted by hand; the power law against scipy's own fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from analysis.statistics import curves, power_law


def test_spikes_of_a_flat_loss_at_its_start_within_and_at_its_end() -> None:
    """Loss 0.5; a rise of 8 % is none; what has not come back at the end has taken until the end."""
    losses = np.full(200, 0.5)
    losses[0] = 1.0
    losses[40:43] = 1.0, 0.8, 0.7
    losses[100] = 0.54
    losses[198:] = 0.6, 0.9
    found = curves.spikes(losses)
    assert found is not None
    assert found.peak.tolist() == [0, 40, 199]
    assert found.height == pytest.approx([2.0, 2.0, 1.8])
    assert found.recovery.tolist() == [1, 3, 1]
    assert found.step.tolist() == list(range(1, 201))
    np.testing.assert_array_equal(found.loss, losses)
    np.testing.assert_allclose(found.trend, 0.5)
    told = curves.told({1: found, 0: found})
    assert told == "Spikes: 3, 3; median height 2.00 times the running median, median recovery 1 steps"


def test_a_long_run_is_told_in_steps_though_it_is_seen_in_bins() -> None:
    """4,000 steps in 2,000 bins; steps 2,001 to 2,006 are three bins."""
    losses = np.full(4_000, 0.5)
    losses[2_000:2_006] = 1.0
    found = curves.spikes(losses)
    assert found is not None
    assert found.peak.tolist() == [1_000]
    assert found.recovery.tolist() == [6]
    assert found.step[found.peak].tolist() == [2_002]
    quiet = curves.spikes(np.full(50, 0.5))
    assert quiet is not None
    assert curves.told({0: quiet, 1: quiet}) == "Spikes: 0, 0"


@pytest.mark.parametrize(("rise", "spikes"), [(0.17, 0), (0.18, 1)])
def test_a_spike_is_six_robust_deviations_above_the_running_median(rise: float, spikes: int) -> None:
    """Log losses of -0.02, 0 and 0.02 in turn: their median size is 0.02; 6 x 1.4826 x 0.02 = 0.178."""
    log = 0.02 * np.resize([-1.0, 0.0, 1.0], 200)
    log[100] = rise
    found = curves.spikes(np.exp(log))
    assert found is not None
    assert len(found.peak) == spikes
    np.testing.assert_allclose(found.trend, 1.0)


@pytest.mark.parametrize(("steps", "widest"), [(50, 3), (140, 3), (400, 10)])
def test_what_outlasts_half_of_the_median_s_window_is_no_spike(steps: int, widest: int) -> None:
    """The window is 5 % of the run, 7 bins at least and an odd number: 7, 7 and 21."""
    for length, peaks in ((widest, 1), (widest + 1, 0)):
        losses = np.full(steps, 0.5)
        losses[20 : 20 + length] = 1.0
        found = curves.spikes(losses)
        assert found is not None
        assert len(found.peak) == peaks


def test_ten_losses_are_enough_and_losses_of_nothing_are_left_out() -> None:
    assert curves.spikes(np.full(10, 0.5)) is not None
    assert curves.spikes(np.array([0.5] * 9 + [0.0])) is None


SIZES = np.array([1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0])
EXPONENT = float(power_law.EXPONENTS[60])


def law(images: np.ndarray, floor: float, scale: float, exponent: float) -> np.ndarray:
    """AUROC."""
    return 1 - floor - scale * (images / SIZES[0]) ** -exponent


@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_a_law_on_the_ladder_of_exponents_is_found_exactly(floor: float) -> None:
    covariance = 1e-12 * np.diag([1.0, 4.0, 2.0, 1.0, 3.0])
    found = power_law.fit(SIZES, law(SIZES, floor, 0.3, EXPONENT), covariance, np.random.default_rng(0), 20)
    assert found is not None
    assert found.exponent[0] == EXPONENT
    assert (found.images[0], found.images[-1]) == pytest.approx((1_000, 160_000))
    np.testing.assert_allclose(found.curve[0], law(found.images, floor, 0.3, EXPONENT), atol=1e-9)
    assert found.promised[0] == pytest.approx(law(np.array([160_000.0]), floor, 0.3, EXPONENT)[0])


def test_the_fit_and_its_interval_are_those_of_weighted_least_squares() -> None:
    """Errors of unlike size, the largest where the point lies far off; scipy's interval is by derivatives."""
    errors = 2e-3 * np.array([1.0, 1.0, 40.0, 1.0, 1.0])
    steep = float(power_law.EXPONENTS[90])
    aurocs = law(SIZES, 0.15, 0.3, steep) + 2e-3 * np.array([0.2, -0.4, 40.0, 0.3, -0.2])
    found = power_law.fit(SIZES, aurocs, np.diag(errors**2), np.random.default_rng(1), 4_000)
    assert found is not None
    (floor, scale, exponent), covariance = curve_fit(
        law, SIZES, aurocs, p0=(0.15, 0.3, steep), sigma=errors, absolute_sigma=True
    )
    assert found.exponent[0] == pytest.approx(exponent, rel=0.03)
    np.testing.assert_allclose(found.curve[0], law(found.images, floor, scale, exponent), atol=2e-3)
    far = np.array([160_000.0])
    steps = 1e-6 * np.eye(3)
    at = np.array([floor, scale, exponent])
    gradient = np.array([(law(far, *(at + step)) - law(far, *(at - step)))[0] / 2e-6 for step in steps])
    deviation = float(np.sqrt(gradient @ covariance @ gradient))
    assert found.promised[2] - found.promised[1] == pytest.approx(2 * 1.96 * deviation, rel=0.15)
    np.testing.assert_allclose(found.curve[1:, -1], found.promised[1:])


def test_more_data_that_make_it_worse_promise_what_there_is_on_average() -> None:
    """No falling curve fits: the mean, weighted by one over the variance, stands for every size."""
    aurocs, variances = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 1.0, 2.0, 2.0])
    found = power_law.fit(SIZES[:4], aurocs, 1e-12 * np.diag(variances), np.random.default_rng(2), 20)
    assert found is not None
    mean = float(aurocs @ (1 / variances) / (1 / variances).sum())
    np.testing.assert_allclose(found.curve[0], mean, atol=1e-9)


def test_a_variance_that_is_not_known_gives_no_law() -> None:
    covariance = np.eye(4) * 1e-6
    covariance[0, 1] = np.nan
    assert power_law.fit(SIZES[:4], np.linspace(0.8, 0.9, 4), covariance, np.random.default_rng(0)) is None
