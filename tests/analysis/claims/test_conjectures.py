"""How the sizes of a grid are put together, by hand, and what a grid lacks."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.claims.conjectures import CLAIMS, Grid, Sizes, lacking, size_weights
from analysis.claims.study_results import STUDY

SIZES = (1_000, 2_000, 4_000, 16_000)


@pytest.mark.parametrize(
    ("how", "weights"),
    [
        ("largest", (0, 0, 0, 1)),
        ("smallest", (1, 0, 0, 0)),
        ("middle", (0, 1 / 2, 1 / 2, 0)),
        ("mean", (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
        ("last_doubling", (0, 0, -1 / 2, 1 / 2)),
        ("range", (0, 0, -1, 1)),
    ],
)
def test_sizes_are_put_together_by_hand(how: Sizes, weights: tuple[float, ...]) -> None:
    """From 4,000 to 16,000 images are two doublings: half of what they gain is the gain of the last."""
    assert size_weights(SIZES, how) == pytest.approx(weights)


def test_a_trend_is_the_slope_of_a_straight_line_through_the_doublings() -> None:
    weights = size_weights(SIZES, "trend")
    assert weights is not None
    values = np.array([0.70, 0.74, 0.75, 0.79])
    assert weights @ values == pytest.approx(np.polyfit(np.log2(SIZES), values, 1)[0])


@pytest.mark.parametrize(
    ("how", "fewest"),
    [("largest", 1), ("mean", 1), ("smallest", 2), ("last_doubling", 2), ("range", 2), ("trend", 2),
     ("middle", 3)],
)  # fmt: skip
def test_too_few_sizes_have_no_weights(how: Sizes, fewest: int) -> None:
    assert [size_weights(SIZES[:count], how) is not None for count in range(4)] == [
        count >= fewest for count in range(4)
    ]


def test_what_a_grid_lacks_is_said() -> None:
    middle = next(one.claim for one in STUDY if one.claim.sizes == "middle")
    doubling = next(claim for claim in CLAIMS if claim.sizes == "last_doubling")
    said = lacking(middle, Grid(SIZES[:2], None))
    assert said == "it compares three sizes of the training data or more, and the grid has 2 sizes"
    said = lacking(doubling, Grid(SIZES[:1], None))
    assert said == "it compares two sizes of the training data or more, and the grid has one size"
    assert lacking(CLAIMS[-1], Grid(SIZES, None)).startswith("no network of the grid starts from natural")
