"""Spikes, convergence and the power law, on curves with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics import curves, power_law


def falling(rng: np.random.Generator, steps: int = 2_000, noise: float = 0.05) -> np.ndarray:
    at = np.arange(steps)
    return (0.2 + 0.5 * np.exp(-at / (steps / 4))) * np.exp(noise * rng.normal(size=steps))


def test_planted_spikes_are_found_with_height_and_recovery() -> None:
    losses = falling(np.random.default_rng(0))
    trend = losses.copy()
    for at in (300, 900, 1_500):
        losses[at : at + 20] *= np.linspace(3.0, 1.0, 20)
    found = curves.spikes(losses)
    assert found is not None
    assert len(found.peak) == 3
    assert np.all(np.abs(found.peak - np.array([300, 900, 1_500])) <= 2)
    assert found.height == pytest.approx(3.0, rel=0.2)
    assert np.all((found.recovery >= 8) & (found.recovery <= 30))
    assert np.median(found.loss / trend) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_noise_alone_hardly_ever_spikes(noise: float) -> None:
    counts = []
    for seed in range(40):
        found = curves.spikes(falling(np.random.default_rng(seed), noise=noise))
        assert found is not None
        counts.append(len(found.peak))
    assert np.mean(counts) < 0.1


def test_a_spike_in_a_long_run_survives_the_binning() -> None:
    losses = falling(np.random.default_rng(1), steps=100_000)
    losses[40_000:41_000] *= 2
    found = curves.spikes(losses)
    assert found is not None
    assert len(found.loss) == curves.BINS
    assert len(found.peak) == 1
    assert 40_000 <= found.step[found.peak[0]] <= 41_050


def test_too_few_steps_have_no_answer() -> None:
    assert curves.spikes(np.ones(9)) is None
    assert curves.spikes(np.full(100, np.nan)) is None


def test_convergence_by_hand() -> None:
    # gain from 1.0 to 0.0; 95 % of it is at 0.05, reached in the fourth epoch
    assert curves.convergence_epochs(np.array([1.0, 0.5, 0.06, 0.05, 0.0])) == 4
    assert curves.convergence_epochs(np.array([1.0, 1.1, 1.2])) is None
    assert curves.convergence_epochs(np.array([1.0, 0.5])) is None


def test_bands_are_t_intervals() -> None:
    losses = {"a": [0.5, 0.4], "b": [0.7, 0.5], "c": [0.6, 0.3]}
    epochs = pd.DataFrame([(c, e + 1, v) for c, vs in losses.items() for e, v in enumerate(vs)],
                          columns=["cell_id", "epoch", "train_loss"])  # fmt: skip
    cells = pd.DataFrame({"cell_id": list(losses), "architecture": "resnet18"})
    first = curves.bands(epochs, cells).iloc[0]
    exact = stats.ttest_1samp([0.5, 0.7, 0.6], 0).confidence_interval(0.95)
    assert (first["low"], first["high"]) == pytest.approx((exact.low, exact.high))
    assert first["mean"] == pytest.approx(0.6)
    alone = curves.bands(epochs, cells.iloc[:1]).iloc[0]
    assert np.isnan(alone["low"])


def test_a_planted_power_law_is_recovered() -> None:
    sizes = np.array([5_000, 20_000, 50_000, 100_000, 200_000], dtype=float)
    aurocs = 1 - (0.08 + 0.1 * (sizes / 5_000) ** -0.5)
    found = power_law.fit(sizes, aurocs, np.eye(5) * 1e-10, np.random.default_rng(0))
    assert found is not None
    assert found.exponent[0] == pytest.approx(0.5, rel=0.05)
    assert found.promised[0] == pytest.approx(1 - (0.08 + 0.1 * 400**-0.5), abs=1e-3)
    assert found.promised[1] <= found.promised[0] <= found.promised[2]


def test_power_law_says_more_only_as_far_as_its_interval() -> None:
    sizes = np.array([5_000, 50_000, 100_000, 200_000], dtype=float)
    aurocs = np.array([0.80, 0.86, 0.87, 0.875])
    narrow = power_law.fit(sizes, aurocs, np.eye(4) * 1e-6, np.random.default_rng(0))
    wide = power_law.fit(sizes, aurocs, np.eye(4) * 1e-4, np.random.default_rng(0))
    assert narrow is not None
    assert wide is not None
    assert wide.promised[2] - wide.promised[1] > 3 * (narrow.promised[2] - narrow.promised[1])
    assert power_law.fit(sizes[:3], aurocs[:3], np.eye(3), np.random.default_rng(0)) is None
