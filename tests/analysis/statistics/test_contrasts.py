"""Contrasts: a small grid worked by hand, and against scipy and statsmodels where those are exact."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from analysis.claims.margin_tests import effect_of, p_values
from analysis.statistics.contrasts import estimate
from analysis.statistics.estimate import Estimate
from analysis.statistics.from_evidence import add_split
from analysis.statistics.measures import Measures
from analysis.statistics.paired import coefficients
from analysis.statistics.terms import Contrast, Term

DEPTHS = {"shallow": 4, "middle": 8, "deep": 16}


def cells(values: dict[tuple[str, int, str, int], float], metric: str = "train_loss") -> Measures:
    """Measures from {(architecture, size, init, seed): value}."""
    rows = [
        {
            "architecture": a, "train_images": n, "init": i, "freeze": "none", "seed": s,
            "balance": "natural", "depth": DEPTHS[a], "parameters": 10 ** DEPTHS[a], metric: v,
        }
        for (a, n, i, s), v in values.items()
    ]  # fmt: skip
    return Measures(pd.DataFrame(rows))


def test_a_small_grid_by_hand() -> None:
    """Two seeds, three networks: loss 1.0, 1.2, 1.8 and 1.2, 1.2, 1.6.

    Means 1.1, 1.2, 1.7; log2 depth 2, 3, 4: slope (1.7 - 1.1) / 2 = 0.3 per doubling, 0.6 from end to end.
    A seed is one block: its slope is 1.8 - 1.0 = 0.8, the other's 1.6 - 1.2 = 0.4. Their variance is 0.08, of
    their mean 0.04, with one degree of freedom: t = 12.7062.
    """
    loss = {"shallow": (1.0, 1.2), "middle": (1.2, 1.2), "deep": (1.8, 1.6)}
    measures = cells({(a, 100, "random", s): v for a, pair in loss.items() for s, v in enumerate(pair)})
    found = estimate(measures, Contrast("by hand", "train_loss", (Term(1.0, 100),), "nats", "log2_depth"))
    assert found is not None
    assert found.estimate == pytest.approx(0.6)
    assert found.standard_error == pytest.approx(0.2)
    assert found.degrees_of_freedom == pytest.approx(1)
    assert found.high - found.estimate == pytest.approx(12.7062 * 0.2, rel=1e-5)
    assert (found.seeds, found.cells, found.cells_missing, found.seed_part) == (2, 6, 0, "measured")
    assert found.patients is None


def test_paired_seeds_of_one_network_are_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 6))
    after += before  # paired: what the seeds share must cancel
    measures = cells(
        {("deep", 100, "random", s): before[s] for s in range(6)}
        | {("deep", 100, "photos", s): after[s] for s in range(6)}
    )
    contrast = Contrast("gain", "train_loss", (Term(1.0, 100, "photos"), Term(-1.0, 100)), "nats")
    found = estimate(measures, contrast)
    assert found is not None
    exact = stats.ttest_rel(after, before)
    interval = exact.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    supported, refuted = p_values(found, "zero", 0.5)
    assert supported == pytest.approx(ttost_paired(after, before, -0.5, 0.5)[0])
    ends = [stats.ttest_1samp(after - before, end, alternative="greater").pvalue for end in (0.5, -0.5)]
    size = abs(float(np.mean(after - before)))
    assert refuted == pytest.approx(
        sum(stats.t.sf((size + end) / found.standard_error, 5) for end in (-0.5, 0.5))
    )
    positive, below = p_values(found, "positive", 0.5)
    assert positive == pytest.approx(ends[0])
    assert below == pytest.approx(stats.ttest_1samp(after - before, 0.5, alternative="less").pvalue)
    assert p_values(found, "not_positive", 0.5) == (below, positive)
    negative, above = p_values(found, "negative", 0.5)
    assert above == pytest.approx(ends[1])
    assert negative == pytest.approx(stats.ttest_1samp(after - before, -0.5, alternative="less").pvalue)


def test_slope_is_least_squares_over_the_networks_that_are_there() -> None:
    rng = np.random.default_rng(1)
    loss = {a: rng.normal() for a in DEPTHS}
    measures = cells({(a, 100, "random", 0): v for a, v in loss.items()})
    found = estimate(measures, Contrast("slope", "train_loss", (Term(1.0, 100),), "nats", "log2_depth"))
    assert found is not None
    slope = np.polyfit(np.log2(list(DEPTHS.values())), list(loss.values()), 1)[0]
    assert found.estimate == pytest.approx(slope * 2)  # from depth 4 to 16: two doublings
    assert found.seed_part == "unknown"
    assert np.isnan(found.low)


def test_coefficients_give_the_estimate() -> None:
    rng = np.random.default_rng(2)
    values = {(a, n, "random", s): rng.normal() for a in DEPTHS for n in (100, 200) for s in range(3)}
    measures = cells(values)
    contrast = Contrast(
        "gain", "train_loss", (Term(1.0, 200), Term(-1.0, 100)), "nats", "difference", group=("deep",)
    )
    found = estimate(measures, contrast)
    assert found is not None
    assert coefficients(measures, contrast) @ measures.values("train_loss") == pytest.approx(found.estimate)


def test_missing_cells_are_counted_and_their_seed_is_left_out() -> None:
    values = {("deep", n, "random", s): float(n + s) for n in (100, 200) for s in range(3)}
    measures = cells(values)
    measures.cells.loc[0, "train_loss"] = np.nan
    contrast = Contrast("gain", "train_loss", (Term(1.0, 200), Term(-1.0, 100)), "nats")
    found = estimate(measures, contrast)
    assert found is not None
    assert (found.seeds, found.cells, found.cells_missing) == (2, 4, 1)
    assert found.estimate == pytest.approx(100)


def test_nothing_to_compare_is_none() -> None:
    measures = cells({("deep", 100, "random", 0): 1.0})
    assert estimate(measures, Contrast("none", "train_loss", (Term(1.0, 999),), "nats")) is None
    assert estimate(measures, Contrast("one", "train_loss", (Term(1.0, 100),), "nats", "log2_depth")) is None


def test_patients_shared_by_both_arms_cancel() -> None:
    """Two networks whose areas move together over patients: the difference has no patient part."""
    measures = cells(
        {
            ("shallow", 100, "random", 0): 0.8,
            ("deep", 100, "random", 0): 0.9,
            ("middle", 100, "random", 0): 0.85,
        },
        metric="test_auroc",
    )
    measures.covariance["test_auroc"] = np.full((3, 3), 0.02**2)
    measures.patients["test_auroc"] = 500
    measures.positives["test_auroc"] = 100
    difference = Contrast("slope", "test_auroc", (Term(1.0, 100),), "AUROC", "log2_depth")
    found = estimate(measures, difference)
    assert found is not None
    assert found.standard_error == pytest.approx(0, abs=1e-9)
    level = estimate(
        measures, Contrast("level", "test_auroc", (Term(1.0, 100),), "AUROC", architectures=("deep",))
    )
    assert level is not None
    assert level.standard_error == pytest.approx(0.02)
    assert level.seed_part == "unknown"
    assert level.patients == 500


def test_two_areas_by_hand() -> None:
    """Two networks on the same three patients of two images each; Obuchowski's variance worked by hand.

    Patients A (1, 0), B (1, 0), C (1, 0). The first network ranks C's positive below A's negative alone, the
    second errs nowhere. Of nine pairs the first gets eight right: 8/9, the second 1.
    Influence of an image on the first area: (share of the others that it beats - 8/9) / 3.
    A: positive beats 3/3, negative is beaten by 2/3 of the positives: (1/9 - 2/9) / 3 = -1/27.
    B: positive 3/3, negative 3/3: (1/9 + 1/9) / 3 = 2/27. C: positive 2/3, negative 3/3: -1/27.
    Variance: (1 + 4 + 1) / 27^2 x 3/2 = 1/81; the second area has none, nor does it vary with the first.
    """
    labels = np.array([1, 0, 1, 0, 1, 0.0])
    patients = np.array([0, 0, 1, 1, 2, 2])
    first, second = np.array([5, 3, 6, 0, 2, 1.0]), np.array([5, 0, 6, 1, 4, 2.0])
    measures = cells(
        {("deep", 100, "random", 0): np.nan, ("deep", 100, "photos", 0): np.nan}, metric="test_auroc"
    )
    measures.cells["test_auprc"] = np.nan
    add_split(
        measures, "test", rows=np.repeat([0, 1], 6), patients=np.tile(patients, 2),
        labels=np.tile(labels, 2), logits=np.concatenate([first, second]),
    )  # fmt: skip
    assert measures.values("test_auroc") == pytest.approx([8 / 9, 1])
    np.testing.assert_allclose(measures.covariance["test_auroc"], [[1 / 81, 0], [0, 0]], atol=1e-15)
    terms = (Term(1.0, 100, "photos"), Term(-1.0, 100))
    found = estimate(measures, Contrast("gain", "test_auroc", terms, "AUROC"))
    assert found is not None
    assert found.estimate == pytest.approx(1 / 9)
    assert found.standard_error == pytest.approx(1 / 9)
    assert (found.patients, found.positives, found.seed_part) == (3, 3, "unknown")


def test_an_effect_without_variation_is_not_tested() -> None:
    found = Estimate(1.0, 1.0, 1.0, 0.0, float("inf"), "measured", 0.0, 2, None, None, 4, 0)
    assert effect_of([found], 0.1, 0.05, 1) == "unknown"
    assert all(np.isnan(p) for p in p_values(found, "zero", 0.1))


def scattered(spread: dict[str, float], arms: int, seed: int = 3) -> Measures:
    """One seed, `arms` arms: level and slope per network, a common bend, noise of each network's own."""
    rng = np.random.default_rng(seed)
    rows = {}
    for arm in range(arms):
        for k, (name, noise) in enumerate(spread.items()):
            for step, size in enumerate((100, 200, 400, 800, 1600)):
                rows[name, size, f"arm{arm}", 0] = k - 0.1 * k * step + 0.3 * step**2 + noise * rng.normal()
    return cells(rows)


def test_one_seed_takes_the_scatter_around_learning_curves() -> None:
    """The noise alone is found, each network's by itself, however unlike they are."""
    planted = {"shallow": 0.02, "middle": 0.05, "deep": 0.15}
    noise = scattered(planted, 300).noise("train_loss")
    assert len(noise) == 300
    assert all(n.pooled.freedom == 6 for n in noise.values())  # (3 networks - 1) x (5 sizes - 2)
    for name, sd in planted.items():
        found = np.mean([n.networks[name].variance for n in noise.values()])
        assert found == pytest.approx(sd**2, rel=0.2, abs=2e-4), name
        assert noise["arm0", "none"].networks[name].freedom == pytest.approx(2)
    mean = np.mean([n.pooled.variance for n in noise.values()])
    assert mean == pytest.approx(np.mean([sd**2 for sd in planted.values()]), rel=0.1)


def from_scratch(measures: Measures) -> Measures:
    """The same single arm, from scratch: without an upstream network's luck."""
    return Measures(measures.cells.assign(init="random"))


def test_intervals_hold_though_networks_scatter_unlike() -> None:
    """The deepest network scatters most, and the slope on depth rests on it: pooling is too sure."""
    covered = 0
    for seed in range(400):
        measures = from_scratch(scattered({"shallow": 0.02, "middle": 0.02, "deep": 0.2}, 1, seed))
        terms = (Term(1.0, 1600), Term(-1.0, 100))
        found = estimate(measures, Contrast("gain", "train_loss", terms, "nats", "log2_depth"))
        assert found is not None
        truth = -0.1 * 2 * 4 - 0.0  # slope of k from the shallowest (0) to the deepest (2), times four steps
        covered += found.low <= truth <= found.high
    assert 0.91 <= covered / 400 <= 0.995


def test_a_single_network_takes_the_larger_scatter_of_its_own_and_all_together() -> None:
    measures = from_scratch(scattered({"shallow": 0.001, "middle": 0.1, "deep": 0.1}, 1))
    noise = measures.noise("train_loss")["random", "none"]
    own = estimate(
        measures, Contrast("one", "train_loss", (Term(1.0, 100),), "nats", architectures=("shallow",))
    )
    assert own is not None
    assert own.standard_error == pytest.approx(np.sqrt(noise.pooled.variance))
