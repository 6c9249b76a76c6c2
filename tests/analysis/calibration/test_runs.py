"""Runs of simulated grids: what they have in common, and which of them leave no result."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.calibration import runs
from analysis.calibration.settings import CHEXPERT, DEMO, RESNETS
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import plan, planted, simulated_claims
from analysis.calibration.worlds import PLAIN, WORLDS, Fate, Luck, World, setting_of
from analysis.statistics.measures import Measures

TABLE = plan(CHEXPERT)
CELLS = runs.Cells(TABLE)


def correlation(luck: Luck, same: list[str], other: str) -> float:
    """Of deviations of two cells that share the axes `same` and differ in `other`, over 400 grids."""
    rng = np.random.default_rng(0)
    drawn = np.array([runs.deviations(luck, CELLS, rng)[0] for _ in range(400)])
    first = TABLE[(TABLE[["architecture", "train_images"]] == ["cbr_small", 50_000]).all(axis=1)].index[0]
    axes = ["architecture", "train_images", "init", "freeze", "seed"]
    alike = np.logical_and.reduce([TABLE[a] == TABLE.loc[first, a] for a in axes if a != other])
    partner = TABLE[alike & (TABLE[other] != TABLE.loc[first, other])].index[0]
    return float(np.corrcoef(drawn[:, first], drawn[:, partner])[0, 1])


@pytest.mark.parametrize(
    ("luck", "other", "expected"),
    [
        (Luck(), "train_images", 0.0),
        (Luck(over_sizes={"random none": 0.8}), "train_images", 0.8),
        (Luck(over_sizes={"random none": 0.8}), "architecture", 0.0),
        (Luck(over_sizes={"random none": 0.8}, over_networks=(0.5, 0.0)), "architecture", 0.4),
        (Luck(over_networks=(0.5, 0.5)), "architecture", 0.5),
        (Luck(over_networks=(0.5, 0.5)), "seed", 0.0),
    ],
)
def test_runs_share_what_a_world_says(luck: Luck, other: str, expected: float) -> None:
    assert correlation(luck, [], other) == pytest.approx(expected, abs=0.15)  # three standard errors


def test_scatter_has_the_size_that_a_world_says() -> None:
    luck = Luck(by_network={"resnet50": 3.0}, by_arm={"natural none": 2.0}, largest=4.0)
    rng = np.random.default_rng(1)
    drawn = np.array([runs.deviations(luck, CELLS, rng)[0] for _ in range(300)])
    sd = drawn.std(axis=0)

    def of(**axes: object) -> float:
        return float(sd[np.logical_and.reduce([TABLE[name] == value for name, value in axes.items()])].mean())

    plain = of(architecture="cbr_tiny", init="random", train_images=5_000)
    assert plain == pytest.approx(1.0, rel=0.1)
    assert of(architecture="resnet50", init="random", train_images=5_000) == pytest.approx(3.0, rel=0.1)
    assert of(architecture="cbr_tiny", init="random", train_images=200_000) == pytest.approx(4.0, rel=0.1)
    natural = of(architecture="cbr_tiny", init="natural", freeze="none", train_images=5_000)
    assert natural == pytest.approx(2.0, rel=0.1)


def test_a_loss_that_follows_is_high_where_auroc_is_low() -> None:
    auroc, loss = runs.deviations(Luck(loss_follows=0.7), CELLS, np.random.default_rng(2))
    assert np.corrcoef(auroc, loss)[0, 1] == pytest.approx(-0.7, abs=0.1)


def measured(world: World) -> Measures:
    setting = setting_of(world, *world.studies[-1])
    claims = simulated_claims(setting)
    truth = planted(setting, 0.0, np.random.default_rng(0), claims, world)
    return simulate(setting, truth, np.random.default_rng(1), world)


def test_worst_runs_diverge_and_leave_nothing_but_a_spike() -> None:
    world = World("x", "", (("demo", 3),), fate=Fate(worst_diverge={"resnet50": 0.25}))
    cells = measured(world).cells
    gone = cells[cells["failure"].eq("diverged").fillna(False)]
    assert len(gone) == 3  # a quarter of four sizes and three seeds
    assert set(gone["architecture"]) == {"resnet50"}
    assert set(gone["init"]) == {"random"}
    assert gone[["test_auroc", "train_loss"]].isna().all(axis=None)
    assert (gone["spikes"] >= 1).all()
    assert set(gone["status"]) == {"failed"}


def test_what_fails_or_is_still_to_come_leaves_nothing() -> None:
    world = World("x", "", (("demo", 3),), fate=Fate(fail={"resnet50": 0.9}, unfinished=("cbr_tiny",)))
    measures = measured(world)
    cells = measures.cells
    late = cells[(cells["architecture"] == "cbr_tiny") & (cells["status"] == "missing")]
    assert set(late["train_images"]) == {384}
    assert set(late["seed"]) == {2}
    assert len(late) == 4
    assert 0.75 < (cells[cells["architecture"] == "resnet50"]["status"] == "failed").mean() < 1
    absent = (cells["status"] != "done").to_numpy()
    assert cells.loc[absent, ["test_auroc", "train_loss", "spikes"]].isna().all(axis=None)
    assert np.isnan(measures.covariance["test_auroc"][absent]).all()
    assert np.isfinite(measures.covariance["test_auroc"][np.ix_(~absent, ~absent)]).all()


def test_collapsed_runs_are_at_chance() -> None:
    world = World("x", "", (("demo", 3),), fate=Fate(collapse=dict.fromkeys(RESNETS, 1.0)))
    cells = measured(world).cells
    resnets = cells[cells["architecture"].isin(RESNETS)]
    assert resnets["test_auroc"].mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(resnets["train_loss"], np.log(2))
    assert cells[cells["architecture"] == "cbr_tiny"]["test_auroc"].mean() > 0.6


def test_an_arm_that_loses_its_worst_looks_better_than_it_is() -> None:
    world = World("x", "", (("demo", 3),), fate=Fate(worst_of_arm_fail={"consolidation none": 0.5}))
    setting = setting_of(world, "demo", 3)
    truth = planted(setting, 0.0, np.random.default_rng(0), simulated_claims(setting), world)
    cells = simulate(setting, truth, np.random.default_rng(1), world).cells
    assert (cells[cells["init"] == "consolidation"]["status"] == "failed").mean() == 0.5
    means = cells.groupby(["init", "freeze"])["test_auroc"].mean()
    planted_means = truth.groupby(["init", "freeze"])["test_auroc"].mean()
    others = (means - planted_means)["random", "none"]
    assert (means - planted_means)["consolidation", "none"] > others + setting.auroc_sd / 2


def test_a_second_seed_for_one_network_alone() -> None:
    world = World("x", "", (("chexpert", 2),), fate=Fate(second_seed_for=("cbr_small",)))
    seeds = plan(setting_of(world, "chexpert", 2), world=world).groupby("architecture")["seed"].nunique()
    assert seeds["cbr_small"] == 2
    assert set(seeds.drop("cbr_small")) == {1}


def test_dents_are_in_the_truth_and_the_planted_effects_stay() -> None:
    world = World("x", "", (("chexpert", 3),), bend=0.02)
    bent = planted(CHEXPERT, 0.0, np.random.default_rng(3), simulated_claims(), world)
    smooth = planted(CHEXPERT, 0.0, np.random.default_rng(3), simulated_claims(), PLAIN)
    falls = bent[bent["architecture"].eq("cbr_tiny") & bent["init"].eq("random")]["test_auroc"].diff() < 0
    assert falls.any()
    assert (bent["test_auroc"] - smooth["test_auroc"]).std() > 0.01


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_world_can_be_simulated(world: World) -> None:
    for preset, seeds in world.studies:
        assert seeds >= 1
        if preset == "demo":
            measures = measured(world)
            assert np.isfinite(measures.values("test_auroc")).any()
    assert DEMO.seeds == 1
