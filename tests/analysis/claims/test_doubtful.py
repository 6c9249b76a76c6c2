"""Runs that failed, ended at chance or were still learning: none of them turns a verdict round."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.claims.conjectures import CLAIMS, Claim
from analysis.claims.judged import Judged
from analysis.claims.needed import needed
from analysis.claims.sentences import why_claim
from analysis.claims.verdicts import judge, needs, overall
from analysis.statistics.catalogue import Margins
from analysis.statistics.contrasts import estimate, estimate_as_it_is, estimates
from analysis.statistics.measures import Measures
from analysis.statistics.terms import Contrast, Term

NETWORKS = {"resnet50": 50, "resnet34": 34, "resnet18": 18, "cbr_large_tall": 6, "cbr_small": 5}
SIZES = (5_000, 50_000, 100_000, 200_000)
BY_DEPTH = tuple(claim for claim in CLAIMS if claim.name == "loss_grows_with_depth")
SPIKES = tuple(claim for claim in CLAIMS if claim.name == "resnet50_spikes_more")
NEEDED_2 = tuple(claim for claim in CLAIMS if claim.conjecture == 2)


def grid(seeds: int, loss_by_depth: float = 0.0, auroc_by_depth: float = 0.0, seed: int = 0) -> Measures:
    """From scratch: what loss and AUROC gain from the shallowest to the deepest; scatter 0.002 and 0.001."""
    rng = np.random.default_rng(seed)
    rows = []
    for k, (name, depth) in enumerate(NETWORKS.items()):
        share = np.log2(depth / 5) / np.log2(10)
        for size in SIZES:
            for s in range(seeds):
                rows.append(
                    {
                        "architecture": name, "train_images": size, "init": "random", "freeze": "none",
                        "seed": s, "balance": "natural", "depth": depth, "parameters": 10 ** (8 - 0.1 * k),
                        "status": "done", "failure": None,
                        "train_loss": 0.4 + loss_by_depth * share + 0.002 * rng.normal(),
                        "test_auroc": 0.8 + auroc_by_depth * share + 0.001 * rng.normal(),
                    }
                )  # fmt: skip
    return Measures(pd.DataFrame(rows))


def changed(measures: Measures, where: dict[str, object], **values: object) -> Measures:
    """The same grid with other values in the cells that `where` names."""
    cells = measures.cells.copy()
    rows = np.logical_and.reduce([cells[name] == value for name, value in where.items()])
    for name, value in values.items():
        if name not in cells:
            cells[name] = False
        cells.loc[rows, name] = value
    return Measures(cells)


def verdicts(measures: Measures, claims: tuple[Claim, ...]) -> list[Judged]:
    return judge(measures, None, Margins(), claims)


FAILED = {"status": "failed", "failure": "diverged", "train_loss": np.nan, "test_auroc": np.nan}


@pytest.mark.parametrize(("seeds", "verdict"), [(1, "undecided"), (2, "undecided"), (3, "supported")])
def test_a_diverged_run_of_the_deepest_network_never_refutes(seeds: int, verdict: str) -> None:
    """Depth costs 0.174 nats. Without ResNet-50 at all, scaled to the depth of a grid with it, that had
    become +0.027 and refuted: the deepest network's failure counted against "too difficult to train"."""
    whole = grid(seeds, loss_by_depth=0.174)
    gone = changed(whole, {"architecture": "resnet50", "train_images": 5_000, "seed": 0}, **FAILED)
    (before,), (after,) = verdicts(whole, BY_DEPTH), verdicts(gone, BY_DEPTH)
    assert before.verdict == ("supported" if seeds > 1 else "undecided")
    assert after.verdict == verdict
    assert after.found is not None
    assert after.found.doubtful == 1
    assert after.found.cells_missing >= 1
    if seeds == 1:
        assert "Without ResNet-50" in why_claim(after)
        assert "spans" not in why_claim(after)  # there is no interval
    elif seeds == 2:
        assert "One seed only of ResNet-50" in why_claim(after)
    else:
        assert "1 run failed or ended at chance. The interval spans both" in why_claim(after)
    assert "missing" not in why_claim(after)  # it failed


def test_the_interval_spans_the_run_left_out_and_at_its_worst() -> None:
    """Two of three seeds at 0.4 and one diverged: 0.4 left out, (0.4 + 0.4 + ln 2) / 3 at its worst."""
    whole = changed(grid(3), {"architecture": "resnet18"}, train_loss=0.4)
    gone = changed(whole, {"architecture": "resnet18", "train_images": 5_000, "seed": 0}, **FAILED)
    contrast = Contrast("level", "train_loss", (Term(1.0, 5_000),), "nats", architectures=("resnet18",))
    without, worst = estimates(gone, contrast)
    assert without.estimate == pytest.approx(0.4)
    assert worst.estimate == pytest.approx((0.8 + np.log(2)) / 3)
    together = estimate(gone, contrast)
    assert together is not None
    assert (together.low, together.high) == (min(without.low, worst.low), max(without.high, worst.high))
    assert together.low >= 0  # no loss is below zero
    alone = estimate(changed(whole, {"architecture": "resnet18", "train_images": 5_000}, **FAILED), contrast)
    assert alone is None  # no run, no number


def test_a_network_with_one_seed_borrows_no_other_networks_scatter() -> None:
    """Quiet small networks with five seeds said how far a ResNet-50 scatters that had one, and decided."""
    whole = grid(5, loss_by_depth=0.1)
    kept = (whole.cells["architecture"] != "resnet50") | (whole.cells["seed"] == 0)
    for cells in (
        whole.cells[kept].reset_index(drop=True),  # planned with one seed
        whole.cells.assign(
            status=np.where(kept, "done", "missing"), train_loss=whole.cells["train_loss"].where(kept)
        ),
    ):
        (judged,) = verdicts(Measures(cells), BY_DEPTH)
        assert (judged.verdict, judged.effect) == ("undecided", "unknown")
        assert "One seed only of ResNet-50 has all of the cells" in why_claim(judged)
        assert "(no interval; 5 seeds)" in why_claim(judged)
        assert needed(judged) is None
        several = verdicts(Measures(cells), (*BY_DEPTH, *NEEDED_2))
        assert several[0].tests == 6  # nobody is tested at a milder level for it
    (judged,) = verdicts(whole, BY_DEPTH)
    assert judged.verdict == "supported"


def test_of_spikes_nothing_is_decided_by_the_runs_that_did_not_fail() -> None:
    """A run that diverged was cut short, and so were its spikes: ResNet-50 spiked less for diverging."""
    whole = grid(5)
    spikes = np.where(whole.cells["architecture"] == "resnet50", 12.0, 2.0) + whole.cells["seed"]
    whole = Measures(whole.cells.assign(spikes=spikes))
    gone = changed(whole, {"architecture": "resnet50", "seed": 0}, **{**FAILED, "spikes": 1.0})
    (before,), (after,) = verdicts(whole, SPIKES), verdicts(gone, SPIKES)
    assert before.verdict == "supported"
    assert (after.verdict, after.effect) == ("undecided", "unknown")
    assert "4 of its runs failed: what would have followed is not known." in why_claim(after)
    assert "spans" not in why_claim(after)
    assert needs(gone, None, [after], {}) == {}
    at_chance = changed(whole, {"architecture": "resnet50", "seed": 0}, collapsed=True)  # it ran to its end
    assert verdicts(at_chance, SPIKES)[0].verdict == "supported"


def test_seeds_that_are_copies_decide_nothing() -> None:
    """All seeds' results the same to the last digit: three copies of one run are one seed."""
    whole = grid(3, loss_by_depth=0.1, auroc_by_depth=-0.2)
    cells = whole.cells
    first = cells.groupby(["architecture", "train_images"])[["train_loss", "test_auroc"]].transform("first")
    cells = cells.assign(train_loss=first["train_loss"], test_auroc=first["test_auroc"])
    of = pd.factorize(cells["architecture"] + cells["train_images"].astype(str))[0]
    covariance = 0.002**2 * (np.equal.outer(of, of) + 1.0) / 2
    copies = Measures(cells, {"test_auroc": covariance}, {"test_auroc": 900}, {"test_auroc": 300})
    for judged in verdicts(copies, (*BY_DEPTH, *NEEDED_2)):
        assert (judged.verdict, judged.effect) == ("undecided", "unknown"), judged.claim.name
        assert "to the last digit" in why_claim(judged)
        assert "(no interval; " in why_claim(judged)
    other = covariance + 0.001**2 * np.eye(len(cells))  # seeds of one AUROC that say it of other patients
    cells = cells.assign(train_loss=whole.cells["train_loss"])
    alike = Measures(cells, {"test_auroc": other}, {"test_auroc": 900}, {"test_auroc": 300})
    assert {j.verdict for j in verdicts(alike, NEEDED_2) if j.claim.metric == "test_auroc"} == {"supported"}


@pytest.mark.parametrize("copied", [1, 2])
def test_seeds_some_of_which_are_copies_decide_nothing(copied: int) -> None:
    """Two of three seeds, of all networks or of one: the scatter that they show is too small."""
    whole = grid(3, loss_by_depth=0.1, auroc_by_depth=-0.2)
    assert {judged.verdict for judged in verdicts(whole, BY_DEPTH)} == {"supported"}
    cells = whole.cells.copy()
    names = sorted(set(cells["architecture"]))[: 1 if copied == 1 else None]
    for name in names:
        of = cells["architecture"] == name
        for measure in ("train_loss", "test_auroc"):
            first = cells.loc[of & (cells["seed"] == 0)].set_index("train_images")[measure]
            second = of & (cells["seed"] == 1)
            cells.loc[second, measure] = cells.loc[second, "train_images"].map(first)
    copies = whole.with_results(cells, whole.covariance, whole.patients, whole.positives)
    for judged in verdicts(copies, BY_DEPTH):
        assert judged.verdict == "undecided"
        assert "Seeds of it agree to the last digit" in why_claim(judged)
        assert needs(copies, None, [judged], {}) == {}


def test_slopes_reach_over_the_networks_that_are_there() -> None:
    """Without the two deepest networks the fitted difference is from depth 5 to 18, not to 50."""
    whole = grid(3, loss_by_depth=0.1)
    for name in ("resnet50", "resnet34"):
        whole = changed(whole, {"architecture": name}, status="missing", train_loss=np.nan)
    found = estimate(whole, Contrast("slope", "train_loss", (Term(1.0, 5_000),), "nats", "log2_depth"))
    assert found is not None
    assert found.estimate == pytest.approx(0.1 * np.log2(18 / 5) / np.log2(10), abs=0.005)
    assert found.networks_missing == ("resnet50", "resnet34")
    (judged,) = verdicts(whole, BY_DEPTH)
    assert judged.verdict == "undecided"
    assert judged.effect == "unknown"
    assert judged.found is not None
    assert np.isnan(
        [judged.found.low, judged.found.high]
    ).all()  # it would hold another slope than the claim's


def test_a_larger_network_that_is_worse_supports_not_needed_and_is_said_to_be_worse() -> None:
    """AUROC falls by 0.2 from the shallowest to the deepest network: "refuted" had been printed over that."""
    judged = verdicts(grid(5, loss_by_depth=0.1, auroc_by_depth=-0.2), NEEDED_2)
    assert overall(judged) == "supported"
    by_depth = next(j for j in judged if j.claim.name == "auroc_flat_in_depth_largest")
    assert (by_depth.verdict, by_depth.effect) == ("supported", "loss")
    assert "What is said not to be needed is the worse by it." in why_claim(by_depth)
    better = verdicts(grid(5, auroc_by_depth=0.15), NEEDED_2)
    assert overall(better) == "refuted"


def test_nobody_wins_by_training_the_large_networks_badly() -> None:
    worse = grid(5, loss_by_depth=0.1, auroc_by_depth=-0.1)
    falling = changed(worse, {"architecture": "resnet50"}, still_falling=True)
    judged = verdicts(falling, NEEDED_2)
    assert overall(judged) == "undecided"
    assert {j.verdict for j in judged} == {"undecided"}
    assert "ResNet-50 was still falling" in why_claim(judged[0])
    small = changed(worse, {"architecture": "cbr_small"}, still_falling=True)
    assert overall(verdicts(small, NEEDED_2)) == "supported"  # it is the large ones that are not needed
    one = {"architecture": "resnet50", "train_images": 200_000, "seed": 0}
    collapsed = verdicts(changed(worse, one, test_auroc=0.49), NEEDED_2)
    assert overall(collapsed) == "undecided"
    assert any("ended at chance" in j.hindered for j in collapsed)


@pytest.mark.parametrize(("best", "verdict"), [(6, "supported"), (7, "undecided"), (np.nan, "undecided")])
def test_areas_that_were_best_before_the_last_third_wait_for_no_longer_training(
    best: float, verdict: str
) -> None:
    """Of nine epochs; the loss of the deepest network still fell, and a claim on the loss waits anyway."""
    worse = grid(5, loss_by_depth=0.1, auroc_by_depth=-0.1)
    epochs = Measures(worse.cells.assign(epochs=9.0, best_epoch=9.0))
    falling = changed(epochs, {"architecture": "resnet50"}, still_falling=True, best_epoch=best)
    found = {j.claim.name: j for j in verdicts(falling, NEEDED_2)}
    by_area = found["auroc_flat_in_depth_largest"]
    assert by_area.verdict == verdict
    assert ("ResNet-50 was still falling" in by_area.hindered) == (verdict == "undecided")
    assert "ResNet-50 was still falling" in found["same_training_loss"].hindered


def test_with_two_networks_one_test_is_counted_and_told_once() -> None:
    whole = grid(5, auroc_by_depth=0.002)
    cells = whole.cells[whole.cells["architecture"].isin(["resnet50", "cbr_small"])].reset_index(drop=True)
    cells.loc[cells["architecture"] == "resnet50", "parameters"] = 1e9
    judged = verdicts(Measures(cells), NEEDED_2)
    assert {j.tests for j in judged} == {3}  # loss, and one for each size
    again = [j for j in judged if j.same_as]
    assert [j.claim.name for j in again] == ["auroc_flat_in_depth_largest", "auroc_flat_in_depth_smallest"]
    assert "counted once" in why_claim(again[0])
    assert {j.tests for j in verdicts(whole, NEEDED_2)} == {5}


def test_no_estimate_is_beyond_what_can_be() -> None:
    """With two seeds and an AUROC of 0.6 and 0.9 a t interval would reach from -1.2 to 2.7."""
    cells = grid(2).cells.assign(test_auroc=lambda frame: np.where(frame["seed"] == 0, 0.6, 0.9))
    measures = Measures(cells)
    level = Contrast("level", "test_auroc", (Term(1.0, 5_000),), "AUROC")
    found = estimate(measures, level)
    assert found is not None
    assert np.isnan(found.low) or 0 <= found.low <= found.high <= 1
    assert np.isnan(found.smallest_effect)
    gain = dataclasses.replace(level, terms=(Term(1.0, 5_000), Term(-1.0, 50_000)))
    cells = cells.assign(test_auroc=np.where(cells["train_images"] == 5_000, cells["test_auroc"], 0.5))
    wide = estimate(Measures(cells), gain)
    assert wide is not None
    assert -1 <= wide.low <= wide.high <= 1 or np.isnan(wide.low)


def test_the_level_of_a_condition_whose_runs_all_collapsed_is_still_a_level() -> None:
    where = {"architecture": "resnet18", "train_images": 5_000}
    level = Contrast("x", "test_auroc", (Term(1.0, 5_000),), "AUROC", architectures=("resnet18",))
    ended = changed(grid(2), where, test_auroc=0.51, collapsed=True)
    assert estimate(ended, level) is None
    found = estimate_as_it_is(ended, level)
    assert found is not None
    assert (found.estimate, found.doubtful) == (pytest.approx(0.51), 2)
    assert estimate_as_it_is(changed(grid(2), where, **FAILED), level) is None
