"""Of contrasts: their ends, what two have in common, and why one cannot be estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.contrasts import estimate, estimate_as_it_is, joint, limits
from analysis.statistics.measures import Measures
from analysis.statistics.paired import absent, coefficients, network_weights
from analysis.statistics.seeds import between_runs
from analysis.statistics.terms import Across, Contrast, Term

INFINITE = float("inf")
DEPTHS = {"shallow": 4, "middle": 8, "deep": 16}
Key = tuple[str, int, str, int]


def cells(values: dict[Key, float], metric: str, unfinished: tuple[Key, ...] = ()) -> Measures:
    """Measures from {(network, size, init, seed): value}; those `unfinished` are planned and missing."""
    rows = [
        {
            "architecture": a, "train_images": n, "init": i, "freeze": "none", "seed": s,
            "balance": "natural", "depth": DEPTHS[a], "parameters": 10 ** DEPTHS[a], metric: v,
            "status": "missing" if key in unfinished else "done",
        }
        for key, v in values.items()
        for a, n, i, s in [key]
    ]  # fmt: skip
    return Measures(pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("metric", "weights", "expected"),
    [
        ("test_auroc", (1.0,), (0.0, 1.0)),
        ("test_auroc", (1.0, -1.0), (-1.0, 1.0)),
        ("test_auroc", (0.5,), (0.0, 0.5)),
        ("test_auroc", (0.25, -0.75), (-0.75, 0.25)),
        ("test_auroc", (2.0, -3.0), (-1.0, 1.0)),
        ("train_loss", (1.0,), (0.0, INFINITE)),
        ("train_loss", (-1.0,), (-INFINITE, 0.0)),
        ("train_loss", (1.0, -1.0), (-INFINITE, INFINITE)),
    ],
)
def test_between_what_ends_a_contrast_can_be(
    metric: str, weights: tuple[float, ...], expected: tuple[float, float]
) -> None:
    """Of one network in two seeds, each half of it."""
    terms = tuple(Term(weight, 100 * (k + 1)) for k, weight in enumerate(weights))
    contrast = Contrast("ends", metric, terms, "")
    assert limits(contrast, np.array([0.5, 0.5]), np.zeros(2, np.intp)) == expected


def test_networks_on_either_side_of_a_difference_reach_both_ends() -> None:
    """One network less another, of which nothing is weighed twice: an AUROC's difference, from -1 to 1."""
    contrast = Contrast("ends", "test_auroc", (Term(1.0, 100),), "", "difference", group=("deep",))
    assert limits(contrast, np.array([1.0, -1.0]), np.arange(2)) == (-1.0, 1.0)
    assert limits(contrast, np.array([0.4, -0.3]), np.arange(2)) == (-0.3, 0.4)


def test_contrasts_on_the_same_patients_vary_together_by_hand() -> None:
    """Gains of two networks, whose four areas vary by a known covariance over patients.

    Variance of a - b is Caa + Cbb - 2 Cab; the covariance of a - b and c - d is Cac - Cad - Cbc + Cbd.
    """
    half = np.array([[3.0, 1.0, 1.0, 0.5], [0.0, 2.0, 0.4, 0.6], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 2.0]])
    covariance = 1e-4 * half @ half.T
    values = {
        (name, 100, init, 0): 0.7 + 0.03 * k
        for k, (name, init) in enumerate((n, i) for n in ("shallow", "deep") for i in ("random", "photos"))
    }
    measures = cells(values, "test_auroc")
    measures.covariance["test_auroc"] = covariance
    measures.patients["test_auroc"] = 500
    measures.positives["test_auroc"] = 100
    gains = [
        Contrast(f"gain of {name}", "test_auroc", (Term(1.0, 100, "photos"), Term(-1.0, 100)), "AUROC",
                 architectures=(name,))
        for name in ("shallow", "deep")
    ]  # fmt: skip
    found = joint(measures, gains)
    assert found is not None
    assert found[0] == pytest.approx([0.03, 0.03])
    c = covariance
    first, second = c[0, 0] + c[1, 1] - 2 * c[0, 1], c[2, 2] + c[3, 3] - 2 * c[2, 3]
    both = c[1, 3] - c[1, 2] - c[0, 3] + c[0, 2]
    np.testing.assert_allclose(found[1], [[first, both], [both, second]], rtol=1e-10)
    assert coefficients(measures, gains[1]).tolist() == [0, 0, -1, 1]
    assert joint(measures, [gains[0], Contrast("none", "test_auroc", (Term(1.0, 999),), "AUROC")]) is None
    assert joint(measures, []) is None


@pytest.mark.parametrize(
    ("across", "group", "expected"),
    [
        ("mean", (), (1 / 3, 1 / 3, 1 / 3)),
        ("difference", ("deep",), (-1 / 2, -1 / 2, 1)),
        ("difference", ("deep", "shallow"), (1 / 2, -1, 1 / 2)),
        ("log2_depth", (), (-1, 0, 1)),
        ("log10_parameters", (), (-12 * 48 / 672, -12 * 12 / 672, 12 * 60 / 672)),
    ],
)
def test_what_every_network_and_cell_weighs(across: Across, group: tuple[str, ...], expected: tuple) -> None:
    """Least squares by hand: log2 depths 2, 3, 4; log10 parameters 4, 8, 16, which lie 16/3, 4/3 and 20/3
    from their mean (squares 672/9), over a range of 12. A network's weight is shared by its seeds."""
    values = {(name, n, "random", s): 1.0 for name in DEPTHS for n in (100, 200) for s in (0, 1)}
    measures = cells(values, "train_loss")
    contrast = Contrast("x", "train_loss", (Term(0.25, 200), Term(-2.0, 100)), "nats", across, group=group)
    weights = network_weights(measures, contrast)
    assert weights == pytest.approx(dict(zip(DEPTHS, expected, strict=True)))
    by_cell = [weights[name] * {200: 0.25, 100: -2.0}[n] / 2 for name, n, _, _ in values]
    assert coefficients(measures, contrast).tolist() == pytest.approx(by_cell)


def test_between_seeds_two_contrasts_are_taken_as_independent() -> None:
    values = {("deep", n, "random", s): v for n, pair in ((100, (1.0, 2.0)), (200, (5.0, 8.0)))
              for s, v in enumerate(pair)}  # fmt: skip
    measures = cells(values, "train_loss")
    levels = [Contrast(str(n), "train_loss", (Term(1.0, n),), "nats") for n in (100, 200)]
    found = joint(measures, levels)
    assert found is not None
    assert found[0] == pytest.approx([1.5, 6.5])
    np.testing.assert_allclose(found[1], np.diag([0.5 / 2, 4.5 / 2]))


def test_seeds_add_to_what_patients_say_of_each_contrast_alone() -> None:
    """Two levels of two seeds each, patients that all four cells share alike: 0.01 in every place."""
    values = {("deep", n, "random", s): v for n, pair in ((100, (0.6, 0.8)), (200, (0.7, 0.9)))
              for s, v in enumerate(pair)}  # fmt: skip
    measures = cells(values, "test_auroc")
    measures.covariance["test_auroc"] = np.full((4, 4), 0.01)
    measures.patients["test_auroc"] = 500
    measures.positives["test_auroc"] = 100
    levels = [Contrast(str(n), "test_auroc", (Term(1.0, n),), "AUROC") for n in (100, 200)]
    found = joint(measures, levels)
    assert found is not None
    np.testing.assert_allclose(found[1], [[0.02, 0.01], [0.01, 0.02]], rtol=1e-10)


def test_why_there_is_no_estimate() -> None:
    nan = float("nan")
    both = (Term(1.0, 200), Term(-1.0, 100))
    values = {("deep", n, "random", s): 1.0 for n in (100, 200) for s in (0, 1)}

    def why(values: dict[Key, float], unfinished: tuple[Key, ...], contrast: Contrast) -> tuple[int, str]:
        measures = cells(values, "train_loss", unfinished)
        assert estimate(measures, contrast) is None
        return absent(measures, contrast)

    gain = Contrast("gain", "train_loss", both, "nats")
    other = Contrast("other", "train_loss", (Term(1.0, 999),), "nats")
    assert why(values, (), other) == (2, "the grid plans no cells of one kind that it compares")
    late = (("deep", 200, "random", 0), ("deep", 200, "random", 1))
    unfinished = values | dict.fromkeys(late, nan)
    assert why(unfinished, late, gain) == (2, "2 of the cells that it asks for have not finished")
    undefined = why(unfinished, (), gain)
    assert undefined == (
        2, "2 of its cells have finished without this measure (too few steps or images for it)"
    )  # fmt: skip
    groups = Contrast("groups", "train_loss", (Term(1.0, 100),), "nats", "difference", group=("none",))
    assert why(values, (), groups)[1] == "the grid has no network of one of the two groups that it compares"
    slope = Contrast("slope", "train_loss", (Term(1.0, 100),), "nats", "log2_depth")
    assert why(values, (), slope) == (
        0, "fewer than two networks of different, known size have all of the cells that it asks for"
    )  # fmt: skip
    crossed = {("deep", 100, "random", 0): 1.0, ("deep", 200, "random", 1): 1.0}
    assert why(crossed, (), gain) == (2, "the grid plans some of the cells that it compares only")


def test_what_has_not_finished_is_told_before_what_could_not_be_fitted() -> None:
    """A slope of nothing, and a group against others that are still to come."""
    values = {(name, 100, "random", 0): 1.0 for name in DEPTHS}
    slope = Contrast("slope", "train_loss", (Term(1.0, 100),), "nats", "log2_depth")
    group = Contrast("group", "train_loss", (Term(1.0, 100),), "nats", "difference", group=("deep",))
    late = ("deep", 100, "random", 0)
    for contrast, unfinished in ((slope, tuple(values)), (group, (late,))):
        measures = cells(values | dict.fromkeys(unfinished, float("nan")), "train_loss", unfinished)
        assert estimate(measures, contrast) is None
        count = len(unfinished)
        assert absent(measures, contrast) == (
            count, f"{count} of the cells that it asks for have not finished"
        )  # fmt: skip
    other = Contrast("group", "train_loss", (Term(1.0, 100),), "nats", "difference", group=tuple(DEPTHS))
    assert "no network of one of the two groups" in absent(cells(values, "train_loss"), other)[1]


@pytest.mark.parametrize("row", [0, 1])
def test_a_cell_that_failed_is_counted_as_doubtful_wherever_it_stands(row: int) -> None:
    measures = cells({("deep", 100, "random", s): 0.5 + 0.1 * s for s in range(3)}, "train_loss")
    measures.cells.loc[row, ["train_loss", "status"]] = [float("nan"), "failed"]
    found = estimate(measures, Contrast("level", "train_loss", (Term(1.0, 100),), "nats"))
    assert found is not None
    assert found.doubtful == 1
    rest = [0.5 + 0.1 * s for s in range(3) if s != row]
    assert found.estimate == pytest.approx(np.mean(rest))
    assert found.high > 0.69, "and the interval spans the reading with that cell at ln 2"


@pytest.mark.parametrize("row", [0, 2])
def test_a_cell_that_collapsed_is_counted_also_where_it_stays_as_it_ended(row: int) -> None:
    measures = cells({("deep", 100, "random", s): 0.5 + 0.1 * s for s in range(3)}, "train_loss")
    measures.cells["collapsed"] = [k == row for k in range(3)]
    found = estimate_as_it_is(measures, Contrast("level", "train_loss", (Term(1.0, 100),), "nats"))
    assert found is not None
    assert (found.doubtful, found.estimate) == (1, pytest.approx(0.6))


def test_patients_and_the_scatter_of_single_runs_add_up_by_satterthwaite() -> None:
    """One seed, three networks: freedom (p + s)^2 / (p^2 / (f + 2) + d) - 2, with p and f of the patients."""
    rng = np.random.default_rng(0)
    sizes = (100, 200, 400, 800)
    values = {
        (name, size, "random", 0): 0.7 + 0.02 * step + 0.01 * rng.normal()
        for name in DEPTHS
        for step, size in enumerate(sizes)
    }
    measures = cells(values, "test_auroc")
    count = len(values)
    measures.covariance["test_auroc"] = 1e-4 * np.eye(count) + 2e-4
    measures.patients["test_auroc"] = 500
    measures.positives["test_auroc"] = 9
    measures.freedom["test_auroc"] = 8
    level = Contrast("level", "test_auroc", (Term(1.0, 400),), "AUROC")
    found = estimate(measures, level)
    part = between_runs(measures, "test_auroc", coefficients(measures, level))
    assert found is not None
    assert (found.seed_part, part.source) == ("runs", "runs")
    patients = 1e-4 / 3 + 2e-4
    variance = patients + part.variance
    assert found.standard_error == pytest.approx(np.sqrt(variance))
    expected = variance**2 / (patients**2 / (8 + 2) + part.denominator) - 2
    assert found.degrees_of_freedom == pytest.approx(expected, rel=1e-6)
