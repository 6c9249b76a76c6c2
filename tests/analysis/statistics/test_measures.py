"""What is asked of all cells together: doubtful ones, the two readings of a grid, and parts of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.names import IN_DOMAIN
from analysis.statistics.measures import Measures

NAN = float("nan")
LN2 = float(np.log(2))


def grid(
    values: list[float], sizes: list[int] | None = None, error: float | None = 0.02, **columns
) -> Measures:
    """Networks a, b, ... of these AUROC, whose sampling errors are independent."""
    rows = {
        "architecture": list("abcdefgh"[: len(values)]), "train_images": sizes or [100] * len(values),
        "init": "random", "freeze": "none", "balance": "natural", "seed": 0, "depth": 5, "parameters": 10,
        "status": "done", "test_auroc": values, **columns,
    }  # fmt: skip
    covariance = {} if error is None else {"test_auroc": error**2 * np.eye(len(values))}
    return Measures(pd.DataFrame(rows), covariance)


@pytest.mark.parametrize(
    ("value", "others", "error", "expected"),
    [
        (0.532, 0.80, 0.02, True),  # at chance up to 0.5 + 1.645 x 0.02 = 0.5329
        (0.534, 0.80, 0.02, False),
        (0.49, 0.552, 0.02, True),  # 3 x 0.02 below its peers
        (0.49, 0.548, 0.02, False),
        (0.499, 0.51, None, True),  # nothing is known of an error
        (0.501, 0.51, None, False),
        (NAN, 0.80, 0.02, False),
    ],
)
def test_a_cell_at_chance_whose_peers_are_not_has_collapsed(
    value: float, others: float, error: float | None, expected: bool
) -> None:
    assert grid([others, value, others], error=error).collapsed.tolist() == [False, expected, False]


def test_peers_are_of_one_arm_and_size() -> None:
    """Half of the cells are at chance because their training set is too small, or their arm no better."""
    values, sizes = [0.8, 0.52, 0.51, 0.8, 0.52, 0.8], [200, 100, 100, 200, 200, 200]
    assert grid(values, sizes).collapsed.tolist() == [False, False, False, False, True, False]
    arms = grid(values, freeze=["none", "backbone", "backbone", "none", "none", "none"])
    assert arms.collapsed.tolist() == [False, False, False, False, True, False]
    assert grid(values, seed=[0, 1, 2, 3, 4, 5]).peers.tolist() == [0] * 6
    assert grid(values, balance=[None] * 6).peers.tolist() == [0] * 6


def test_a_flag_of_the_curves_counts_where_it_is_known() -> None:
    flags = pd.array([True, False, pd.NA], "boolean")
    assert grid([0.8, 0.8, 0.8], collapsed=flags).collapsed.tolist() == [True, False, False]
    without = grid([0.8, 0.8, 0.8], collapsed=flags)
    del without.cells["test_auroc"]
    assert without.collapsed.tolist() == [True, False, False]


STATUS = ["done", "failed", "done", "missing"]


def doubtful() -> Measures:
    """One cell as it should be, one that failed, one that collapsed, one to come."""
    return grid(
        [0.8, NAN, 0.5, NAN], status=STATUS, train_loss=[0.2, NAN, 0.9, NAN], test_auprc=[0.4, NAN, 0.1, NAN]
    )


def test_doubtful_cells_are_left_out_or_taken_at_their_worst() -> None:
    found = doubtful()
    assert found.failed.tolist() == [False, True, False, False]
    assert found.doubtful.tolist() == [False, True, True, False]
    without, worst = found.readings("test_auroc")
    np.testing.assert_array_equal(without.values("test_auroc"), [0.8, NAN, NAN, NAN])
    np.testing.assert_array_equal(worst.values("test_auroc"), [0.8, 0.5, 0.5, NAN])
    own = 0.02**2
    expected = np.diag([own, own, NAN, own])
    expected[2], expected[:, 2] = NAN, NAN
    np.testing.assert_array_equal(without.covariance["test_auroc"], expected)
    np.testing.assert_array_equal(worst.covariance["test_auroc"], np.diag([own, 0, own, own]))
    without, worst = found.readings("train_loss")
    np.testing.assert_array_equal(without.values("train_loss"), [0.2, NAN, NAN, NAN])
    np.testing.assert_array_equal(worst.values("train_loss"), [0.2, LN2, 0.9, NAN])
    assert found.readings("test_auprc") == (found,), "its worst is not known"
    np.testing.assert_array_equal(found.values("test_auroc"), [0.8, NAN, 0.5, NAN])


def test_a_grid_without_doubt_has_one_reading() -> None:
    found = grid([0.8, 0.7], status=["done", "missing"])
    assert found.readings("test_auroc") == (found,)
    for worst in (True, False):
        np.testing.assert_array_equal(found.read_as(worst=worst).values("test_auroc"), [0.8, 0.7])
    unknown = grid([0.8, 0.7])
    del unknown.cells["status"]
    assert not unknown.failed.any()


@pytest.mark.parametrize("worst", [True, False])
def test_a_grid_read_one_way_has_no_doubtful_cell_any_more(worst: bool) -> None:
    found = doubtful()
    read = found.read_as(worst=worst)
    for metric in ("test_auroc", "train_loss"):
        chosen = found.readings(metric)[1 if worst else 0]
        np.testing.assert_array_equal(read.values(metric), chosen.values(metric))
    kept = np.diag(read.covariance["test_auroc"])
    np.testing.assert_array_equal(kept, 0.02**2 * np.array([1, 0 if worst else 1, 1 if worst else NAN, 1]))
    np.testing.assert_array_equal(read.values("test_auprc"), found.values("test_auprc"))
    assert not read.doubtful.any()
    assert read.readings("test_auroc") == (read,)


def test_a_part_of_the_grid_keeps_what_belongs_to_it() -> None:
    covariance = {"test_auroc": np.arange(9.0).reshape(3, 3)}
    counts = [{"test_auroc": count} for count in (50, 20, 19)]
    found = Measures(grid([0.7, 0.8, 0.9], [100, 200, 100]).cells, covariance, *counts)
    part = found.where("train_images", lambda size: size < 150)
    assert part.cells["architecture"].tolist() == ["a", "c"]
    assert part.cells.index.tolist() == [0, 1]
    np.testing.assert_array_equal(part.covariance["test_auroc"], [[0, 2], [6, 8]])
    assert (part.patients, part.positives, part.freedom) == (found.patients, found.positives, found.freedom)


def test_axes_of_a_grid_and_where_they_are_not_told() -> None:
    plain = grid([0.7, 0.8])
    assert (plain.subsets, plain.other_weights, plain.in_domain) == ((0,), [], IN_DOMAIN)
    told = grid([0.7, 0.8, 0.9], subset=[2.0, None, 1.0], seed=[4, 2, 4], init=["own", "fractures", "random"],
                in_domain=[False, True, False], other_weights=[True, False, False])  # fmt: skip
    assert (told.subsets, told.other_weights, told.in_domain) == ((0, 1, 2), ["own"], "fractures")
    assert told.seeds == [2, 4]
    assert grid([0.7], subset=[None]).subsets == grid([], subset=[]).subsets == (0,)
