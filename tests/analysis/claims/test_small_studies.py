"""How small a study could have been, where curves fall, and where margins come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.claims import bends, decisions
from analysis.claims.analysed import margins_of
from analysis.claims.conjectures import grid_of
from analysis.claims.estimates import estimate_table
from analysis.statistics.catalogue import MEASURES, Margins
from analysis.statistics.measures import Measures
from analysis.tables.schema import EvidenceError
from analysis.tables.store import Evidence
from sweeps.presets import demo
from sweeps.spaces import MARGINS


def grid(aurocs: dict[int, dict[str, float]], seeds: int = 2, scatter: float = 0.0) -> Measures:
    """From scratch: {size: {network: AUROC}}; a cell takes a second per image."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "architecture": name, "train_images": size, "init": "random", "freeze": "none", "seed": seed,
            "balance": "natural",
            "depth": 5, "parameters": 1e6, "test_auroc": value + scatter * rng.normal(),
            "train_seconds": size,
        }
        for size, networks in aurocs.items()
        for name, value in networks.items()
        for seed in range(seeds)
    ]  # fmt: skip
    return Measures(pd.DataFrame(rows))


def test_decisions_by_hand() -> None:
    """a > b > c > d at 800; at 100 c and d have changed places: 5 of 6 pairs. At 400 a and b tie."""
    right = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    measures = grid({100: {**right, "c": 0.5}, 400: {**right, "b": 0.9}, 800: right})
    table = decisions.decision_table(measures)
    assert table["compared"].tolist() == ["networks"] * 3
    assert table["pairs"].tolist() == [6, 6, 6]
    assert table["share"].tolist() == pytest.approx([5 / 6, 5.5 / 6, 1.0])
    assert table["hours"].tolist() == pytest.approx([4 * size / 3600 for size in (100, 400, 800)])
    assert (table["low"] == table["high"]).all()  # both seeds say the same
    (text,) = decisions.sentences(table)
    assert (
        "100 images and 0.1 hours choose between two networks as 800 images and 0.9 hours do in 83 %" in text
    )


def test_seeds_that_disagree_widen_the_interval_within_0_and_1() -> None:
    measures = grid({100: dict.fromkeys("abc", 0.7), 800: {"a": 0.9, "b": 0.8, "c": 0.7}}, 3, scatter=0.01)
    row = decisions.decision_table(measures).iloc[0]
    assert 0 <= row["low"] <= row["share"] <= row["high"] <= 1
    assert row["seeds"] == 3
    one = decisions.decision_table(grid({100: {"a": 0.7, "b": 0.6}, 800: {"a": 0.9, "b": 0.8}}, seeds=1))
    assert one["share"].tolist() == [1.0]  # the largest size has no other seed to be judged by
    assert one["low"].isna().all()


def test_a_planted_dent_is_found_and_a_rising_curve_is_not() -> None:
    def table(values: tuple[float, ...]) -> pd.DataFrame:
        sizes = (100, 200, 400, 800)
        rise = {"b": (0.70, 0.75, 0.78, 0.80), "a": values}
        measures = grid(
            {n: {name: curve[k] for name, curve in rise.items()} for k, n in enumerate(sizes)}, 5, 0.003
        )
        measures.cells[[name for name in MEASURES if name not in measures.cells]] = np.nan
        return estimate_table(measures, grid_of(measures, None), None)

    dented = bends.falling_steps(table((0.70, 0.75, 0.70, 0.80)))
    assert dented is not None
    assert dented[["architecture", "contrast"]].to_numpy().tolist() == [["a", "from 200 to 400"]]
    assert "a from 200 to 400 images" in bends.sentences(table((0.70, 0.75, 0.70, 0.80)))[0]
    rising = bends.falling_steps(table((0.70, 0.75, 0.78, 0.80)))
    assert rising is not None
    assert rising.empty


def evidence(margins: object) -> Evidence:
    return Evidence(Path("nowhere"), pd.DataFrame(), pd.DataFrame(), {"margins": margins})


def test_margins_are_the_usual_ones_the_sweeps_own_or_those_asked_for() -> None:
    assert margins_of(evidence(None)) == Margins(0.01, 0.02, 2.0)
    own = margins_of(evidence(dict(demo().margins)))
    assert (own.auroc, own.spikes) == (0.05, 2.0)
    assert margins_of(evidence({"auroc": 0.05}), {"auroc": 0.02}).auroc == 0.02
    assert tuple(Margins.__dataclass_fields__) == MARGINS


@pytest.mark.parametrize("wrong", [{"speed": 1}, {"auroc": "much"}, {"auroc": -1}, [0.05]])
def test_margins_that_cannot_be_are_refused(wrong: object) -> None:
    with pytest.raises(EvidenceError, match=r"sweep.json, margins: found .*; expected numbers above 0"):
        margins_of(evidence(wrong))
