"""What is said of every measure: its bounds, what a run without a result is worth, and its margin."""

from __future__ import annotations

import math

import pytest

from analysis.statistics.catalogue import AREAS, MEASURES, Margins


def test_areas_lie_between_0_and_1_and_know_their_split() -> None:
    assert set(AREAS) == {name for name in MEASURES if name.endswith(("_auroc", "_auprc"))}
    for name in AREAS:
        area = MEASURES[name]
        assert (area.low, area.high, area.better) == (0, 1, "higher")
        assert name.startswith(f"{area.split}_")
        assert area.split in ("test", "official")


def test_a_run_that_knows_nothing_is_worth_a_coin_s_toss() -> None:
    """AUROC 0.5 whatever the classes, and ln 2 nats; the area of a precision depends on the prevalence."""
    worst = {name: measure.worst for name, measure in MEASURES.items() if measure.worst is not None}
    assert worst == {name: 0.5 for name in AREAS if name.endswith("_auroc")} | {
        "train_loss": pytest.approx(math.log(2))
    }


def test_what_has_a_margin_takes_it_from_the_option_of_its_kind() -> None:
    margins = Margins(auroc=0.1, loss=0.2, spikes=0.3)
    assert {margins.of(name) for name in AREAS} == {0.1}
    assert (margins.of("train_loss"), margins.of("spikes")) == (0.2, 0.3)
    for name in MEASURES.keys() - {*AREAS, "train_loss", "spikes"}:
        with pytest.raises(ValueError, match=f"{name}: no smallest effect"):
            margins.of(name)
