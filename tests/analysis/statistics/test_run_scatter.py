"""The scatter of single runs around smooth learning curves, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.run_scatter import run_noise

SIZES = (100, 200, 400, 800)
BEYOND = 0.1 * np.array([1.0, -1.0, -1.0, 1.0])
"""What no level and no straight line over the doublings takes up."""


def arm(
    signs: Sequence[float], sizes: Sequence[int] = SIZES, init: str = "random", balance: str = "natural"
) -> pd.DataFrame:
    """Networks a, b, ...: levels, slopes and sizes' levels, and beyond them `BEYOND` with these signs."""
    rows = [
        {
            "architecture": "abcdefg"[k], "train_images": size, "init": init, "freeze": "none",
            "balance": balance,
            "m": 3.0 * k + k**2 * np.log2(size) + (7.0 if size == 200 else 0.0) + sign * BEYOND[s],
        }
        for s, size in enumerate(sizes)
        for k, sign in enumerate(signs)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_three_networks_and_four_sizes_by_hand() -> None:
    """(3 - 1) x (4 - 2) degrees of freedom; squares of two networks of 4 x 0.01 each: 0.08 / 4 = 0.02.

    Of each network's own residuals 4/9 of the squares are its own, 1/9 the others' (Grubbs), of two degrees
    of freedom: 0.04, 0.04 and -0.02, which makes 0.02 on average. Patients of variance 0.005 in each cell,
    independent of each other, take 0.005 off.
    """
    cells = arm((1, -1, 0))
    for covariance, explained in ((None, 0.0), (0.005 * np.eye(12), 0.005), (0.05 * np.eye(12), 0.05)):
        (noise,) = run_noise(cells, "m", covariance, {}).values()
        assert noise.pooled.raw == pytest.approx(0.02)
        assert noise.pooled.variance == pytest.approx(max(0.02 - explained, 0.0))
        assert noise.pooled.freedom == 4
        for name, own in (("a", 0.04), ("b", 0.04), ("c", -0.02)):
            assert noise.networks[name].variance == pytest.approx(own - explained)
            assert noise.networks[name].raw == pytest.approx(max(own, 0.0))
            assert noise.networks[name].freedom == pytest.approx(4 / 3)


def test_every_arm_has_its_own_and_balanced_or_too_small_ones_none() -> None:
    """Three networks at three sizes, and two at four, have two degrees of freedom; NaN is no cell."""
    three, balanced = SIZES[:3], arm((1, -1, 0), init="random", balance="balanced")
    arms = [arm((1, -1, 0)), balanced, arm((3, 0, -3), init="photos"), arm((1, -1, 0), three, "few sizes"),
            arm((1, -1), init="few networks"), arm((1, -1, 0), init="lost")]  # fmt: skip
    cells = pd.concat(arms).sort_values(["architecture", "init"]).reset_index(drop=True)
    cells.loc[(cells["init"] == "lost") & (cells["train_images"] == 800), "m"] = np.nan
    covariance = np.diag(np.where(cells["init"] == "photos", 0.03, 0.015))
    projections: dict = {}
    for _ in range(2):
        noise = run_noise(cells, "m", covariance, projections)
        assert noise.keys() == {("random", "none"), ("photos", "none")}
        assert noise["random", "none"].pooled.variance == pytest.approx(0.02 - 0.015)
        assert noise["photos", "none"].pooled.variance == pytest.approx(9 * 0.02 - 0.03)
        assert len(projections) == len(arms), "once for each arm"


def test_a_network_with_a_cell_per_parameter_of_its_curve_takes_the_scatter_of_all() -> None:
    """Two sizes of it fit a level and a slope; an arm of which patients' part is not known is left out."""
    cells = arm((1, -1, 0, 0))
    short = cells[(cells["architecture"] != "d") | (cells["train_images"] < 400)].reset_index(drop=True)
    (noise,) = run_noise(short, "m", None, {}).values()
    assert noise.pooled.freedom == 4
    assert noise.networks["d"] == noise.pooled
    assert noise.networks["c"].variance == pytest.approx(-0.02)
    unknown = np.full((len(short), len(short)), np.nan)
    assert run_noise(short, "m", unknown, {}) == {}
