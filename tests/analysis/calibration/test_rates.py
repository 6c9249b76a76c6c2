"""Rates with exact intervals, and runs that resume and do not depend on the number of processes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.calibration import blocks
from analysis.calibration.cases import ANY, EFFECTS, SUMS, Case, add_up, cases, plant, right_overall
from analysis.calibration.command import main
from analysis.calibration.rates import clopper_pearson, over, rates, summary
from analysis.calibration.settings import DEMO
from analysis.calibration.truth import planted, simulated_claims
from analysis.calibration.worlds import WORLDS

PLAIN = Case("plain", "demo", 3, 2.0)


def test_exact_intervals_are_those_of_scipy() -> None:
    successes, trials = np.array([0.0, 3.0, 20.0, 20.0]), np.array([20.0, 20.0, 20.0, 400.0])
    low, high = clopper_pearson(successes, trials, 0.99)
    for k in range(4):
        exact = stats.binomtest(int(successes[k]), int(trials[k])).proportion_ci(0.99, "exact")
        assert (low[k], high[k]) == pytest.approx((exact.low, exact.high))


def test_without_trials_nothing_is_known() -> None:
    low, high = clopper_pearson(np.array([0.0, np.nan]), np.array([0.0, 10.0]), 0.95)
    assert (low[0], high[0]) == (0, 1)
    assert np.isnan([low[1], high[1]]).all()


def sums(**changes: float) -> pd.DataFrame:
    row = {
        "world": "w",
        "preset": "demo",
        "seeds": 3,
        "effect": 1.0,
        "claim": "c",
        "kind": "claim",
        "true": 0.1,
    }
    counts = dict.fromkeys(SUMS, 0.0) | {
        "grids": 100, "wrong": 7, "right": 50, "estimated": 80, "covered": 76, "error": 8.0,
        "squared_error": 8.0, "standard_error": 16.0,
    }  # fmt: skip
    whole = {"kind": "conjecture", "claim": "conjecture 1"}
    family = {"kind": "any", "claim": ANY, "right": np.nan}
    return pd.DataFrame([row | counts | changes, row | counts | whole, row | counts | family])


def test_rates_by_hand() -> None:
    table = rates(sums())
    row = table.iloc[0]
    assert (row["wrong"], row["right"], row["covered"]) == (0.07, 0.5, 0.95)
    assert (row["bias"], row["standard_error"]) == (0.1, 0.2)
    assert row["sd"] == pytest.approx(0.3)  # sqrt(0.1 - 0.01)
    exact = stats.binomtest(7, 100).proportion_ci(1 - 0.05 / 3, "exact")  # three rows hold together
    assert (row["wrong_low"], row["wrong_high"]) == pytest.approx((exact.low, exact.high))
    assert len(over(table)) == 3
    assert over(rates(sums(wrong=5)))["claim"].tolist() == ["conjecture 1", ANY]
    lines = list(summary(table))
    assert "7.0% (" in lines[2]
    assert "95% to 95%" in lines[2]


def test_every_case_has_its_own_random_numbers() -> None:
    all_cases = cases([world.name for world in WORLDS], EFFECTS)
    assert len({case.entropy for case in all_cases}) == len(all_cases)
    assert len(EFFECTS) == 7
    assert len(WORLDS) >= 14


@pytest.mark.parametrize("case", cases([w.name for w in WORLDS], (0.0, 2.0)), ids=str)
def test_every_case_can_be_planted(case: Case) -> None:
    claims = simulated_claims(case.setting)
    truth = planted(case.setting, case.effect, np.random.default_rng(0), claims, case.of_world)
    assert np.isfinite(truth[["test_auroc", "train_loss", "spikes"]]).all(axis=None)


def test_effects_that_no_auroc_can_hold_are_refused() -> None:
    high = dataclasses.replace(DEMO, auroc=0.985)
    with pytest.raises(ValueError, match="demo, plain: effects of 2 margins would need AUROC from"):
        planted(high, 2.0, np.random.default_rng(0), simulated_claims(high))


def test_a_conjecture_is_right_as_the_claims_that_it_needs() -> None:
    it = plant(PLAIN)
    rights = dict(zip((c.name for c in it.claims), it.rights, strict=True))
    assert rights["loss_grows_with_depth"] == "supported"
    assert right_overall(it.claims, it.rights, 1) == "supported"
    assert right_overall(it.claims, it.rights, 3) == "refuted"


def test_sums_count_every_grid_once_and_do_not_depend_on_how_they_are_cut() -> None:
    it = plant(PLAIN)
    whole, *halves = (add_up(it, 1, numbers) for numbers in (range(6), range(3), range(3, 6)))
    counts = list(SUMS)
    pd.testing.assert_frame_equal(whole[counts], halves[0][counts] + halves[1][counts])
    assert (whole["grids"] == 6).all()
    claims = whole[whole["kind"] == "claim"]
    assert (claims["estimated"] <= 6).all()
    wrong_at_most = claims["wrong"].sum()
    assert whole[whole["claim"] == ANY]["wrong"].iloc[0] <= wrong_at_most
    assert (whole["wrong"] + whole["right"].fillna(0) <= 6).all()


def test_finished_blocks_are_not_simulated_again(tmp_path, monkeypatch) -> None:
    def in_this_process(missing: list[blocks.Block], processes: int, say: object) -> None:
        for block in missing:
            blocks.simulate_block(block)

    monkeypatch.setattr(blocks, "GRIDS_PER_BLOCK", 2)
    monkeypatch.setattr(blocks, "_simulate", in_this_process)
    said: list[str] = []
    first = blocks.run([PLAIN], {PLAIN.preset: 4}, tmp_path, 1, said.append)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}
    assert len(files) == 2
    next(iter(files)).unlink()
    second = blocks.run([PLAIN], {PLAIN.preset: 4}, tmp_path, 1, said.append)
    pd.testing.assert_frame_equal(first, second)
    now = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}
    assert sum(now[file] != time for file, time in files.items()) == 1
    assert "2 of 4" in said[-1]
    assert blocks.run([PLAIN], {PLAIN.preset: 4}, tmp_path, 1, said.append).equals(first)
    assert "0 of 4" in said[-1]


def test_presets_may_have_other_numbers_of_grids(tmp_path) -> None:
    other = dataclasses.replace(PLAIN, preset="chexpert")
    wanted = blocks.blocks([PLAIN, other], {"demo": 120, "chexpert": 60}, tmp_path)
    assert [(case.preset, first, end) for case, first, end, _ in wanted] == [
        ("demo", 0, 50), ("chexpert", 0, 50), ("demo", 50, 100), ("chexpert", 50, 60), ("demo", 100, 120)
    ]  # fmt: skip


@pytest.mark.slow
def test_the_command_gives_the_same_table_for_any_number_of_processes(tmp_path, capsys) -> None:
    for processes in ("1", "2"):
        out = tmp_path / processes
        assert main(["--grids", "60", "--worlds", "plain", "--presets", "demo", "--effects", "0", "2",
                     "--processes", processes, "--out", str(out)]) == 0  # fmt: skip
    one, two = ((tmp_path / name / "rates.csv").read_bytes() for name in ("1", "2"))
    assert one == two
    assert "--grids 60 --worlds plain" in (tmp_path / "1" / "rates.md").read_text()
    assert "| plain | demo, 3 | 2 | 60 |" in capsys.readouterr().out


def test_options_that_cannot_be_used_end_with_status_2(tmp_path, capsys) -> None:
    for bad in (
        ["--grids", "0"],
        ["--chexpert-grids", "0"],
        ["--worlds", "nowhere"],
        ["--worlds", "ResNet-50 fails", "--presets", "demo"],
        ["--worlds", "plain", "--effects", "40"],
    ):
        with pytest.raises(SystemExit) as ended:
            main([*bad, "--out", str(tmp_path)])
        assert ended.value.code == 2
    assert "would need AUROC" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
