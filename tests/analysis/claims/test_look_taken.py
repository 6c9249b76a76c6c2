"""Looks on simulated grids with a planted truth: when one is taken, what it closes, and that it stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.cases import plant_in
from analysis.calibration.settings import CHEXPERT
from analysis.calibration.simulate import draw
from analysis.calibration.worlds import PLAIN
from analysis.claims import look_record
from analysis.claims.conjectures import CLAIMS
from analysis.claims.look_record import Record, fixed_by, fresh
from analysis.claims.looked import Looked, looked
from analysis.claims.looks import Decision, Looks
from analysis.statistics.measures import Measures
from analysis.tables.store import Evidence

SEEDS = (3, 5)
SETTING = dataclasses.replace(
    CHEXPERT,
    sizes=(5_000, 50_000, 200_000),
    seeds=SEEDS[-1],
    patients=20_000,
    images=60_000,
    networks={name: CHEXPERT.networks[name] for name in ("resnet50", "cbr_small", "cbr_tiny")},
)
NEEDED = {claim.name for claim in CLAIMS if claim.needed}


def record() -> Record:
    """Little of the level at the first look, so that some claims stay open at it."""
    usual = fresh(SEEDS, fixed_by("conjectures", {}, {}, {}))
    few, most = 0.9 / 11, 9 / 11
    return dataclasses.replace(usual, looks=Looks(usual.looks.seeds, (few, most, *usual.looks.weights[2:])))


class Study:
    """One simulated grid of five seeds, of which a sweep trains what it is asked for."""

    def __init__(self, tmp_path, effect: float, auroc_sd: float = 3e-4) -> None:
        setting = dataclasses.replace(SETTING, auroc_sd=auroc_sd, loss_sd=10 * auroc_sd)
        it = plant_in(setting, PLAIN, effect, np.random.default_rng(5))
        self.rights = {claim.name: right for claim, right in zip(it.claims, it.rights, strict=True)}
        self.whole = draw(it.design, np.random.default_rng(6))
        self.out = tmp_path
        self.cells = self.whole.cells.assign(
            kind="grid", finding="Edema", cell_id=[f"{i:04}" for i in range(len(self.whole.cells))]
        )

    def wanted(self, now: Record) -> pd.Series:
        """What a sweep plans up to the next look."""
        seeds = now.looks.seeds[min(len(now.taken), len(SEEDS) - 1)]
        mine = self.cells["seed"] < seeds
        if now.taken:
            needs = pd.DataFrame(list(now.taken[0].needs))
            names = list(needs.columns)
            keep = pd.Series(map(tuple, self.cells[names].to_numpy()), self.cells.index).isin(
                set(map(tuple, needs.to_numpy()))
            )
            mine &= (self.cells["seed"] < SEEDS[0]) | keep
        return mine

    def at(self, mine: pd.Series, now: Record) -> Looked:
        """The analysis of some of the cells."""
        rows = np.flatnonzero(mine)
        cells = self.cells.iloc[rows].reset_index(drop=True)
        covariance = {name: matrix[np.ix_(rows, rows)] for name, matrix in self.whole.covariance.items()}
        whole = self.whole
        found = Measures(cells).with_results(
            cells, covariance, whole.patients, whole.positives, whole.freedom
        )
        return looked(Evidence(self.out, cells, pd.DataFrame()), found, now)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("looked"), 2.0)


@pytest.fixture(scope="module")
def first(study):
    return study.at(study.wanted(record()), record())


def test_effects_that_are_there_are_found_at_the_first_look_and_their_cells_are_left_out(study, first):
    (taken,) = first.record.taken
    assert taken.seeds == 3
    assert taken.claims, "runs that hardly vary decide something at once"
    assert {name: study.rights[name] for name in taken.claims} == taken.claims
    assert 4 in taken.conjectures
    needed = pd.DataFrame(list(taken.needs))
    assert set(needed["init"]) == {"random"}, "nothing open asks for pretrained networks"
    assert set(needed["freeze"]) == {"none"}
    assert (
        0 < len(needed) < len(study.cells.drop_duplicates(["architecture", "train_images", "init", "freeze"]))
    )


def test_what_is_needed_are_the_cells_of_the_open_claims_themselves(study, first):
    """By hand: of the claims on AUROC at one end of the sizes, that end alone."""
    (taken,) = first.record.taken
    sizes = {
        "smallest": {5_000}, "largest": {200_000}, "last_doubling": {50_000, 200_000},
        "mean": {5_000, 50_000, 200_000},
    }  # fmt: skip
    by_name = {claim.name: claim for claim in CLAIMS}
    asked = set().union(*(sizes[by_name[name].sizes] for name in taken.open))
    assert {axes["train_images"] for axes in taken.needs} == asked


def test_verdicts_say_which_look_decided_and_intervals_that_hold_at_all_looks(first):
    table = first.verdicts("natural", "consolidation").set_index(["conjecture", "claim"])
    claims = table.drop(index="overall", level="claim")
    decided = claims["verdict"] != "undecided"
    assert (claims.loc[decided, "look"] == 3).all()
    assert claims.loc[~decided, "look"].isna().all()
    assert table.loc[(4, "overall"), "look"] == 3
    known = claims[claims["low"].notna()]
    assert (known["repeated_low"] < known["low"]).all()
    assert (known["repeated_high"] > known["high"]).all()


def test_a_look_waits_for_all_of_its_cells(study):
    missing = study.cells.copy()
    missing.loc[0, "status"] = "missing"
    waiting = Study.__new__(Study)
    waiting.__dict__.update(study.__dict__, cells=missing)
    found = waiting.at(waiting.wanted(record()), record())
    assert not found.record.taken
    table = found.verdicts("natural", "consolidation")
    assert set(table["verdict"]) == {"undecided"}
    assert table["why"].str.contains("Nothing is judged before the first look, after 3 seeds").any()
    assert not study.at(study.cells["seed"] < 2, record()).record.taken, "fewer seeds than the look asks for"


def test_a_look_is_taken_once_and_stays_whatever_happens_to_cells(study, first):
    again = study.at(study.wanted(record()), first.record)
    assert again.record == first.record
    changed = Study.__new__(Study)
    changed.__dict__.update(study.__dict__, cells=study.cells.assign(test_auroc=0.5, train_loss=1.0))
    after = changed.at(changed.cells["seed"] < 3, first.record)
    assert after.record == first.record
    assert after.verdicts("natural", "consolidation").equals(first.verdicts("natural", "consolidation"))


def test_the_next_look_adds_to_what_is_decided_and_the_last_ends(study, first):
    wanted = study.wanted(first.record)
    assert wanted.sum() < len(study.cells)
    last = study.at(wanted, first.record)
    assert [one.seeds for one in last.record.taken] == [3, 5]
    assert last.ended
    assert not first.ended
    for name, verdict in {**last.record.taken[0].claims, **last.record.taken[1].claims}.items():
        assert verdict == study.rights[name]
    assert not set(last.record.taken[1].claims) & set(first.record.taken[0].claims)
    shown = {j.claim.name: j for j in last.shown()}
    for name in first.record.taken[0].claims:
        assert shown[name].found.seeds == 3, "as the look says that decided it"
    for name in first.record.taken[0].open:
        assert shown[name].found.seeds == 5


def test_a_claim_that_is_closed_is_shown_as_the_last_look_says_at_which_it_was_open(first):
    """Of three looks, each with a share of its own, it is open after the first and closed at the second."""
    (taken,) = first.record.taken
    name = taken.open[0]
    looks = tuple(
        dataclasses.replace(
            taken,
            claims={},
            open=still_open,
            judged=tuple(dataclasses.replace(j, share=share) for j in taken.judged),
        )
        for share, still_open in ((0.1, (name,)), (0.2, ()), (0.3, ()))
    )
    three = Looked(dataclasses.replace(first.record, taken=looks), Decision())
    assert {j.claim.name: j.share for j in three.shown()} == {
        claim.name: 0.2 if claim.name == name else 0.1 for claim in CLAIMS
    }


def test_the_last_of_all_looks_is_taken_with_no_reserve_left_behind_it(study):
    alone = dataclasses.replace(record(), planned=1, looks=Looks(SEEDS[:1], (1.0,)))
    (taken,) = study.at(study.wanted(alone), alone).record.taken
    assert taken.seeds == 3
    assert taken.too_few_patients == (), "no look is to come that a claim could be closed for"


def test_the_file_keeps_all_of_it(study, first, tmp_path):
    last = study.at(study.wanted(first.record), first.record).record
    look_record.store(tmp_path, last)
    kept = look_record.read(tmp_path)
    assert look_record.to_json(kept) == look_record.to_json(last)
    first_found = {j.claim.name: j.found for j in last.taken[0].judged}
    kept_found = {j.claim.name: j.found for j in kept.taken[0].judged}
    assert kept_found["last_doubling_gains_nothing"] == first_found["last_doubling_gains_nothing"]
    text = (tmp_path / look_record.FILE).read_text()
    look_record.store(tmp_path, look_record.read(tmp_path))
    assert (tmp_path / look_record.FILE).read_text() == text


def test_runs_that_vary_much_leave_all_open(tmp_path):
    noisy = Study(tmp_path, 2.0, auroc_sd=0.05)
    (taken,) = noisy.at(noisy.wanted(record()), record()).record.taken
    on_areas = {claim.name for claim in CLAIMS if claim.metric == "test_auroc"}
    assert not on_areas & set(taken.claims)
    assert on_areas & NEEDED <= set(taken.open)
    assert {axes["init"] for axes in taken.needs} == {"random", "natural", "consolidation"}
    assert {axes["freeze"] for axes in taken.needs} == {"none"}, "no needed claim is about frozen features"


def test_claims_whose_patients_are_too_few_get_no_further_seeds_and_say_so(tmp_path):
    """Patients move all seeds of a condition by 0.02 AUROC alike, so that no seed tells more of them."""
    few = Study(tmp_path, 0.0)
    axes = ["architecture", "train_images", "init", "freeze"]
    condition = few.cells.groupby(axes).ngroup().to_numpy()
    few.whole = few.whole.with_results(
        few.whole.cells,
        {"test_auroc": 0.02**2 * np.equal.outer(condition, condition)},
        {"test_auroc": 150},
        {"test_auroc": 60},
        {"test_auroc": 50},
    )
    found = few.at(few.wanted(record()), record())
    (taken,) = found.record.taken
    assert "last_doubling_gains_nothing" in taken.too_few_patients
    assert not set(taken.too_few_patients) & {*taken.open, *taken.claims}
    rows = found.verdicts("natural", "consolidation").set_index("claim")
    said = rows.loc["last_doubling_gains_nothing", "because"]
    assert said.startswith("No number of seeds will do: 150 test patients are too few.")
