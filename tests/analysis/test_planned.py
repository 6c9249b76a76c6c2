"""A plan as plain values: its setting, its hours, where its variances come from, and its power."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import planned
from analysis.calibration.power import DEMO_PRIORS, PRIORS
from analysis.calibration.settings import CHEXPERT
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import planted, simulated_claims
from analysis.planned import Planned, hours, known_variances, power, setting_of
from analysis.statistics.measures import Measures

ARMS = (("random", "none"), ("photos", "none"), ("photos", "backbone"), ("consolidation", "none"))


def plan(sizes: tuple[int, ...] = (100, 200, 400)) -> Planned:
    networks = {"resnet18": (18, 11_000_000), "cbr_tiny": (5, 1_000_000)}
    rows = [
        {"architecture": name, "train_images": size, "init": init, "freeze": freeze, "balance": "natural",
         "depth": depth, "parameters": parameters, "hours": size / 100,
         "upstream": None if init == "random" else f"{init} {name}", "upstream_hours": 10.0}
        for name, (depth, parameters) in networks.items()
        for size in sizes
        for init, freeze in ARMS
    ]  # fmt: skip
    return Planned(
        pd.DataFrame(rows), "photos", "consolidation", 3, 300, 800, 0.4, {"auroc": 0.05, "loss": 0.1}
    )


def test_the_setting_is_that_of_the_plan() -> None:
    setting = setting_of(plan())
    assert setting.sizes == (100, 200, 400)
    assert setting.networks == {"resnet18": (18, 11_000_000), "cbr_tiny": (5, 1_000_000)}
    assert set(setting.arms) == {
        ("random", "none"), ("natural", "none"), ("natural", "backbone"), ("consolidation", "none"),
    }  # fmt: skip
    assert (setting.seeds, setting.patients, setting.images, setting.prevalence) == (3, 300, 800, 0.4)
    assert (setting.margins.auroc, setting.margins.loss, setting.margins.spikes) == (0.05, 0.1, 2.0)
    assert not setting.balanced


def test_hours_count_every_pretraining_once_a_seed() -> None:
    """A seed: 2 networks x 4 arms x (1 + 2 + 4) h, and 4 pretrainings of 10 h; the largest size alone 4 h."""
    whole = setting_of(plan())
    assert hours(plan(), whole) == 3 * (2 * 4 * 7 + 40)
    smaller = dataclasses.replace(whole, seeds=5, sizes=(400,), networks={"cbr_tiny": (5, 1_000_000)})
    assert hours(plan(), smaller) == 5 * (4 * 4 + 20)


def simulated(sizes: tuple[int, ...], seeds: int) -> Measures:
    setting = dataclasses.replace(setting_of(plan()), sizes=sizes, seeds=seeds, auroc_sd=0.03, loss_sd=0.05)
    truth = planted(setting, 0.0, np.random.default_rng(0), simulated_claims(setting))
    return simulate(setting, truth, np.random.default_rng(1))


def test_where_the_variances_come_from_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert known_variances(plan(), tmp_path, PRIORS) == (
        PRIORS, "Variances: stated priors for large sets; nothing has finished. --pilot measures them.",
    )  # fmt: skip

    def finished(measures: Measures) -> str:
        monkeypatch.setattr(planned, "_finished", lambda planned, out: measures)
        return known_variances(plan(), tmp_path, DEMO_PRIORS)[1]

    assert finished(simulated((100, 200), 3)) == "Variances: of 48 finished cells of a pilot."
    assert finished(simulated((100, 200, 400), 3)) == "Variances: of 72 finished cells."
    assert "too few seeds have finished" in finished(simulated((100, 200, 400), 1))
    two = simulated((100, 200, 400), 3)
    scratch = (two.cells["init"] == "random").to_numpy()
    cells = two.cells.assign(test_auroc=np.where(scratch, two.values("test_auroc"), np.nan))
    told = finished(Measures(cells, two.covariance, two.patients, two.positives, two.freedom))
    assert "of 18 finished cells; stated priors for small sets, of real seeds on the phantom for " in told
    assert "random none" not in told
    assert "consolidation none, natural backbone, natural none" in told


def test_balanced_classes_are_no_scatter_between_seeds() -> None:
    """The same seeds on balanced classes, 0.2 lower, change no variance."""
    plain = simulated((100, 200, 400), 3)
    other = plain.cells.assign(balance="balanced", test_auroc=plain.values("test_auroc") - 0.2)
    covariance = np.tile(plain.covariance["test_auroc"], (2, 2))
    both = Measures(
        pd.concat([plain.cells, other], ignore_index=True), {"test_auroc": covariance}, plain.patients,
        plain.positives, plain.freedom,
    )  # fmt: skip
    found = planned.variances_of(both, "finished cells", DEMO_PRIORS).auroc
    assert found == planned.variances_of(plain, "finished cells", DEMO_PRIORS).auroc


def test_the_power_of_a_plan_and_the_cheapest_that_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned, "SEEDS", (3, 4))
    easy = dataclasses.replace(plan((100, 200)), margins={"auroc": 0.06, "loss": 1.0})
    found = power(easy, tmp_path, [3], grids=2)
    assert set(found.table["effect"]) == {0.0, 1.0, 2.0}
    assert {"conjecture 1", "conjecture 3", "last_doubling_gains_nothing"} <= set(found.table["claim"])
    assert found.tried
    costs = [one.hours for one in found.tried]
    assert costs == sorted(costs)
    if found.best is not None:
        assert found.best.power >= 0.8
        assert found.best is found.tried[-1]
    assert "stated priors" in found.source


def test_a_plan_that_cannot_test_a_conjecture_has_no_design_for_it(tmp_path: Path) -> None:
    one_size = plan((400,))
    found = power(one_size, tmp_path, [3], grids=1)
    assert found.best is None
    assert all(one.power == 0 for one in found.tried)
    assert "conjecture 3" not in set(found.table["claim"])


def test_margins_and_sizes_of_large_sets_take_their_priors(tmp_path: Path) -> None:
    assert max(CHEXPERT.sizes) >= planned.LARGE_SET
    large = plan((5_000, 50_000))
    assert setting_of(large).auroc == CHEXPERT.auroc
    assert known_variances(large, tmp_path, PRIORS)[0] is PRIORS
