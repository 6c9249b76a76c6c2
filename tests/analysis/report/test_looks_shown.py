"""Looks and earlier verdicts from a folder of cells to tables, report and conclusion."""

from __future__ import annotations

from pathlib import Path

import cell_folders as folders
import numpy as np
import pandas as pd
import pytest

from analysis.claims import earlier, look_record
from analysis.claims.analysed import Analysis, analyse
from analysis.claims.conclusion import paragraphs
from analysis.claims.earlier import Earlier
from analysis.report import looks, page
from analysis.run import remember
from analysis.tables import store
from analysis.tables.collect import collect

pytestmark = pytest.mark.slow

SEEDS = (2, 3)
FIXED = look_record.fixed_by("conjectures", {"auroc": 0.9, "loss": 5.0}, {}, {})
ARMS = (("random", "none"), ("photos", "none"), ("photos", "backbone"), ("consolidation", "none"))


def write(out: Path, seeds: int) -> None:
    """A grid of two networks with so many seeds."""
    rng = np.random.default_rng(0)
    cells = folders.grid(("resnet18", "cbr_tiny"), (100, 200), ARMS, seeds)
    folders.write_plan(out, cells)
    for cell in cells:
        if not (out / "cells" / folders.identity(cell)).exists():
            folders.write_cell(out, cell, test=folders.predictions(0.8, rng, patients=100))


def judged(out: Path) -> Analysis:
    """What an analysis finds and keeps, without its figures."""
    collect(out)
    found = analyse(store.load(out))
    store.write(out, "trials", found.evidence.trials)
    for name, frame in found.tables().items():
        store.write(out, name, frame)
    remember(found)
    return found


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Analysis]:
    """The first look at two seeds, and the second at three."""
    out = tmp_path_factory.mktemp("looks")
    write(out, 2)
    look_record.fix(out, SEEDS, FIXED, write=True)
    first = judged(out)
    write(out, 3)
    return first, judged(out)


def test_the_margins_are_those_that_were_fixed(looked: tuple[Analysis, Analysis]) -> None:
    assert [found.margins.auroc for found in looked] == [0.9, 0.9]


def test_every_look_is_kept_once_and_no_look_is_an_earlier_verdict(looked: tuple[Analysis, Analysis]) -> None:
    out = looked[1].evidence.out
    record = look_record.read(out)
    assert record is not None
    assert [one.seeds for one in record.taken] == [2, 3]
    before = (out / look_record.FILE).read_bytes()
    again = judged(out)
    assert (out / look_record.FILE).read_bytes() == before
    pd.testing.assert_frame_equal(again.verdicts, looked[1].verdicts)
    assert earlier.read(out) == []
    assert again.sequence_told == ""


def test_tables_report_and_conclusion_say_which_look_decided(looked: tuple[Analysis, Analysis]) -> None:
    first, second = looked
    stored = store.read(second.evidence.out, "verdicts").to_pandas()
    decided = stored[stored["verdict"] != "undecided"]
    assert len(decided), "with margins that nothing reaches something is decided"
    assert decided["look"].isin(SEEDS).all()
    assert stored.loc[stored["verdict"] == "undecided", "look"].isna().all()
    text = str(page.content(second, [], None)["sections"])
    assert "Seeds in looks" in text
    assert "all looks together are wrong in at most 5 %" in text
    shown = looks.rows(second)
    assert shown is not None
    assert [row[1].text for row in shown.rows] == ["2", "3"]
    told = " ".join(paragraphs(second))
    assert "Seeds came in looks fixed beforehand, after 2, 3" in told
    open_first = looks.rows(first)
    assert open_first is not None
    assert open_first.rows[1][-1].text == "not taken"


def test_repeated_intervals_stand_beside_the_naive_ones(looked: tuple[Analysis, Analysis]) -> None:
    claims = page.content(looked[1], [], None)["conjectures"][3].claims
    assert "interval for all looks together" in claims.columns
    place = {name: k for k, name in enumerate(claims.columns)}
    assert place["interval for all looks together"] == place["difference (95 % interval)"] + 1
    rows = looked[1].verdicts.dropna(subset=["low"])
    assert (rows["repeated_low"] <= rows["low"]).all()
    assert (rows["repeated_high"] >= rows["high"]).all()


def test_other_margins_decide_nothing_of_the_looks(looked: tuple[Analysis, Analysis]) -> None:
    found = analyse(looked[1].evidence, {"auroc": 0.01})
    assert found.looked is None
    assert "not corrected for looks, and decide nothing" in " ".join(found.sequence_told.split())
    remember(found)
    assert earlier.read(found.evidence.out) == []


def test_a_grid_extended_by_hand_knows_its_earlier_verdicts(tmp_path: Path) -> None:
    write(tmp_path, 2)
    assert judged(tmp_path).sequence_told == ""
    assert [one.seeds for one in earlier.read(tmp_path)] == [2]
    write(tmp_path, 3)
    found = judged(tmp_path)
    assert "printed before, with 2 seeds" in found.sequence_told
    assert "All 2 together are wrong in at most 10 %" in found.sequence_told
    assert any(found.sequence_told in text for text in paragraphs(found))
    assert any(found.sequence_told in text for text in page.content(found, [], None)["cannot"])
    assert "look" in found.verdicts
    assert found.verdicts["look"].isna().all()
    assert (
        "interval for all looks together"
        not in page.content(found, [], None)["conjectures"][3].claims.columns
    )


def test_looks_that_are_fixed_after_a_verdict_say_so(tmp_path: Path) -> None:
    write(tmp_path, 2)
    earlier.keep(tmp_path, Earlier(4, {}))
    look_record.fix(tmp_path, SEEDS, FIXED, write=True)
    assert "with 4 seeds" in judged(tmp_path).sequence_told
