"""What an undecided claim needs: by arithmetic, by brute force, and as it comes true on simulated grids."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.calibration.further import forecasts
from analysis.calibration.settings import CHEXPERT, NETWORKS
from analysis.calibration.simulate import simulate
from analysis.calibration.truth import planted, simulated_claims
from analysis.calibration.worlds import PLAIN
from analysis.claims.conjectures import CLAIMS, Claim
from analysis.claims.hours import Hours, a_seed, hours_of_trials
from analysis.claims.judged import Judged
from analysis.claims.needed import DOUBTFUL, MOST_SEEDS, decided, needed
from analysis.claims.sentences import because
from analysis.claims.verdict_table import verdict_table
from analysis.claims.verdicts import judge, needs
from analysis.statistics.chance import Chance
from analysis.statistics.estimate import Estimate
from analysis.statistics.later import later
from analysis.statistics.measures import Measures

NAN = float("nan")
CLAIM = next(claim for claim in CLAIMS if claim.name == "last_doubling_gains_nothing")
LOSS = next(claim for claim in CLAIMS if claim.name == "loss_grows_with_depth")


def found(value: float, chance: Chance, seeds: int, patients: int | None = 1_000) -> Estimate:
    error = float(np.sqrt(chance.variance))
    return Estimate(
        value, value - 2 * error, value + 2 * error, error, chance.seeds_freedom, "measured", NAN, seeds,
        patients, 300 if patients else None, 8, 0, chance.patients, chance=chance,
    )  # fmt: skip


def undecided(claim: Claim, *readings: Estimate, margin: float = 0.01, tests: int = 1) -> Judged:
    return Judged(
        claim, readings[0], margin, 0.5, 0.5, tests, "undecided", "unknown", readings=tuple(readings)
    )


def test_with_no_more_seeds_the_test_is_the_verdict_s_own() -> None:
    chance = Chance(2e-6, 200, 9e-6, 1e-6, 2.0)
    then = later(chance, 3, 0)
    assert then is not None
    assert (then.moves == 0).all()
    for distance in (0.001, 0.004, 0.02):
        tail = then.upper_tail(np.full(len(then.moves), distance))
        assert tail == pytest.approx(chance.upper_tail(distance), rel=1e-6)


def test_what_comes_after_is_what_brute_force_draws() -> None:
    """Sums of single seeds drawn one by one, given three whose variance is known to be what it is."""
    rng = np.random.default_rng(0)
    variance, first, more = 4e-5, 3, 5
    chance = Chance(0.0, 500, variance / first, 0.0, first - 1.0)
    then = later(chance, first, more)
    assert then is not None
    draws = 200_000
    true = variance * (first - 1) / rng.chisquare(first - 1, draws)
    old = np.array([-1.0, 0.0, 1.0]) * np.sqrt(variance)  # of mean 0 and that variance
    mean = np.sqrt(true / first) * rng.standard_normal(draws)
    new = mean[:, None] + np.sqrt(true)[:, None] * rng.standard_normal((draws, more))
    every = np.hstack([np.tile(old, (draws, 1)), new])
    moves, seen = every.mean(axis=1), every.var(axis=1, ddof=1) / (first + more)
    for share in (0.1, 0.25, 0.75, 0.9):
        assert np.mean(then.moves <= np.quantile(moves, share)) == pytest.approx(share, abs=0.02)
        assert np.mean(then.seeds <= np.quantile(seen, share)) == pytest.approx(share, abs=0.04)
    assert then.seeds_freedom == first + more - 1
    ours = np.corrcoef(np.abs(then.moves), np.log(then.seeds))[0, 1]
    assert ours == pytest.approx(np.corrcoef(np.abs(moves), np.log(seen))[0, 1], abs=0.12)


def test_how_many_seeds_with_a_known_variance_by_hand() -> None:
    """One seed varies by 0.02 and that is known: with N seeds the error is 0.02 / sqrt N. From +0.000 at four
    seeds the mean moves by 0.02 sqrt(1/4 - 1/N); `not_positive` passes below 0.01 - 1.645 * 0.02 / sqrt N."""
    j = undecided(CLAIM, found(0.0, Chance(0.0, 1e6, 1e-4, 0.0, 3_000.0), 4))

    def by_hand(more: int) -> float:
        total = 4 + more
        reach, moves = 1.6449 * 0.02 / np.sqrt(total), 0.02 * np.sqrt(1 / 4 - 1 / total)
        return float(stats.norm.cdf((0.01 - reach) / moves) + stats.norm.sf((0.01 + reach) / moves))

    for more in (5, 20, 60):
        assert decided(j, more) == pytest.approx(by_hand(more), abs=0.02)
    need = needed(j)
    assert need is not None
    assert need.seeds is not None
    assert by_hand(need.seeds) == pytest.approx(0.8, abs=0.02)
    assert need.at_best == 1
    assert by_hand(need.seeds - 8) < 0.8


def test_where_patients_are_the_floor_no_number_of_seeds_will_do() -> None:
    """All variance is patients' (error 0.02 at 1,000 patients), the effect looks like none: 0.01 is reached
    when the later estimate moves by 0.02 sqrt(1 - 1/k) and its error is 0.02 / sqrt k."""
    j = undecided(CLAIM, found(0.0, Chance(4e-4, 1e6, 1e-10, 0.0, 2.0), 3))
    need = needed(j, Hours(3.0, "GPU"))
    assert need is not None
    assert need.seeds is None
    assert need.hours is None
    assert need.at_best < 0.01

    def by_hand(times: float) -> float:
        reach, moves = 1.6449 * 0.02 / np.sqrt(times), 0.02 * np.sqrt(1 - 1 / times)
        return float(stats.norm.cdf((0.01 - reach) / moves) + stats.norm.sf((0.01 + reach) / moves))

    assert need.patients is not None
    assert by_hand(need.patients / 1_000) == pytest.approx(0.8, abs=0.02)
    text = because(j, need)
    assert "No number of seeds would decide it with 80 % (at best 0 %)" in text
    assert "1,000 test patients are too few" in text


def test_the_correction_of_the_verdict_s_own_test_costs_seeds() -> None:
    counts = [
        needed(undecided(CLAIM, found(0.0, Chance(0.0, 1e6, 2e-5, 0.0, 2.0), 3), tests=tests))
        for tests in (1, 13)
    ]
    one, many = (need.seeds for need in counts if need is not None)
    assert one is not None
    assert many is not None
    assert many > one


def test_two_seeds_are_enough_for_a_forecast() -> None:
    need = needed(undecided(CLAIM, found(0.0, Chance(0.0, 1e6, 2e-5, 0.0, 1.0), 2)))
    assert need is not None
    assert need.seeds is not None


def test_a_claim_of_which_nothing_is_known_gets_no_number() -> None:
    good = found(0.0, Chance(0.0, 1e6, 2e-5, 0.0, 2.0), 3)
    assert needed(dataclasses.replace(undecided(CLAIM, good), verdict="supported")) is None
    assert needed(undecided(CLAIM, dataclasses.replace(good, seed_part="runs", seeds=1))) is None
    assert needed(undecided(CLAIM, dataclasses.replace(good, networks_missing=("resnet50",)))) is None
    assert later(Chance(1e-4, 100), 1, 2) is None
    near = found(0.02, Chance(0.0, 1e6, 1.0, 0.0, 2.0), 3, None)
    slow = needed(undecided(LOSS, near, margin=0.02, tests=50))
    assert slow is not None
    assert slow.seeds is None
    assert slow.at_best == 1
    assert f"more than {MOST_SEEDS} more seeds" in because(undecided(LOSS, good), slow)


def test_what_keeps_seeds_from_deciding_is_named() -> None:
    """Two readings on either side of the margin; and support that is not given while a loss still falls."""
    chance = Chance(0.0, 1e6, 1e-8, 0.0, 2.0)
    apart = undecided(LOSS, found(0.0, chance, 3, None), found(0.06, chance, 3, None), margin=0.02)
    need = needed(apart)
    assert need is not None
    assert need.obstacle == DOUBTFUL
    assert DOUBTFUL in because(apart, need)
    clear = undecided(CLAIM, found(-0.03, Chance(1e-8, 1e6, 1e-5, 0.0, 2.0), 3))
    still = needed(clear, obstacle="Train longer.")
    assert still is not None
    assert still.seeds is None
    assert still.obstacle == "Train longer."
    assert because(clear, still).endswith("(at best 0 %). Train longer.")
    free = needed(clear)
    assert free is not None
    assert free.seeds is not None


def trials(device: str) -> pd.DataFrame:
    rows = [
        {"cell_id": f"{name} {init} {size} {seed}", "kind": "grid", "architecture": name, "init": init,
         "train_images": size, "freeze": "none", "seed": seed, "balance": "natural", "status": "done",
         "train_seconds": 36.0 * size, "upstream": f"up {name} {seed}" if init == "photos" else None}
        for name in ("a", "b") for init in ("random", "photos") for size in (1, 2) for seed in (0, 1)
    ]  # fmt: skip
    rows += [
        {"cell_id": f"up {name} {seed}", "kind": "upstream", "status": "done", "train_seconds": 360.0}
        for name in ("a", "b")
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows).assign(device=device, device_share=0.5, threads=4)


@pytest.mark.parametrize(("device", "unit", "part"), [("cuda", "GPU", 0.5), ("cpu", "core", 4.0)])
def test_hours_of_one_more_seed_by_hand(device: str, unit: str, part: float) -> None:
    """Two networks, two sizes, from scratch and from photos: 4 (36 + 72) s, and two pretrainings of 360 s."""
    table = trials(device)
    cells = table[table["kind"] == "grid"].reset_index(drop=True).assign(depth=5, parameters=10)
    claim = next(claim for claim in CLAIMS if claim.name == "natural_weights_gain_nothing")
    hours = a_seed(Measures(cells), table, [claim, LOSS], "photos")
    assert hours[claim.name].unit == unit
    assert hours[claim.name].count == pytest.approx(part * (4 * 108 + 720) / 3600)
    assert hours[LOSS.name].count == pytest.approx(part * 2 * 108 / 3600)
    assert str(hours[LOSS.name].times(1_000)) == f"{part * 60:.0f} {unit}-hours"
    alone = a_seed(Measures(cells[cells["seed"] == 0].reset_index(drop=True)), table, [LOSS], "photos")
    assert alone[LOSS.name].count == pytest.approx(hours[LOSS.name].count), "the first cell of all too"
    lost = table.assign(status=table["status"].where(table["cell_id"] != "a random 1 0", "failed"))
    assert np.isnan(hours_of_trials(lost)[table["cell_id"] == "a random 1 0"]).all()
    assert a_seed(Measures(cells), lost, [LOSS], "photos")[LOSS.name].count == pytest.approx(
        part * 2 * 108 / 3600
    )


@pytest.mark.parametrize(
    ("count", "text"), [(0.001, "0.01"), (0.034, "0.034"), (0.5, "0.5"), (9.94, "9.9"), (1_234.0, "1,234")]
)
def test_hours_are_never_told_as_none(count: float, text: str) -> None:
    assert str(Hours(count, "GPU")) == f"{text} GPU-hours"


def test_the_table_says_it_under_every_undecided_claim() -> None:
    names = ("resnet18", "cbr_tiny")
    setting = dataclasses.replace(
        CHEXPERT, sizes=(5_000, 50_000), networks={name: NETWORKS[name] for name in names}
    )
    claims = simulated_claims(setting)
    truth = planted(setting, 0.75, np.random.default_rng(1), claims)
    measures = simulate(setting, truth, np.random.default_rng(2))
    judged = judge(measures, "natural", setting.margins, claims)
    need = needs(measures, "natural", judged, {claim.name: Hours(2.0, "GPU") for claim in claims})
    table = verdict_table(judged, "natural", needs=need).set_index("claim")
    open_ = [j.claim.name for j in judged if j.verdict == "undecided"]
    assert open_
    assert set(need) == set(open_)
    for name in open_:
        row = table.loc[name]
        assert "would decide it with 80 %" in row["why"] or "to decide it with 80 %" in row["why"]
        if pd.notna(row["seeds_needed"]):
            assert row["hours_needed"] == 2 * row["seeds_needed"]
            assert f"{int(row['seeds_needed'])} more seed" in row["because"]
            assert row["decided_at_best"] >= 0.8
    assert table.drop(index=open_)["decided_at_best"].isna().all()


@pytest.mark.slow
def test_forecasts_come_true_on_simulated_grids() -> None:
    """Within 5 points, and two standard errors of 60 grids whose claims go together (taken as 240 in all)."""
    setting = dataclasses.replace(
        CHEXPERT, sizes=(5_000, 50_000, 200_000),
        networks={name: NETWORKS[name] for name in ("resnet50", "resnet18", "cbr_large_wide", "cbr_tiny")},
    )  # fmt: skip
    effects = np.random.default_rng(5).uniform(-1, 3, 60)
    table = forecasts(setting, PLAIN, 3, (2, 5), effects.tolist(), seed=7)
    for _, rows in table.groupby("more"):
        assert len(rows) > 240
        assert rows["forecast"].mean() == pytest.approx(rows["decided"].mean(), abs=0.05 + 2 * 0.5 / 240**0.5)
