"""Every check finds what was planted, and nothing where nothing was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.checks.catalogue import CHECKS, CODES
from analysis.checks.finding import FINDERS, check_table
from analysis.claims.analysed import Analysis
from analysis.statistics.catalogue import Margins
from analysis.statistics.measures import Measures
from analysis.tables.schema import TABLES, EvidenceError, arrow_schema
from analysis.tables.store import Evidence

SIZES = (100, 200, 400)
NETWORKS = ("cbr_tiny", "resnet18")
PATIENTS = 400
LABELS = [
    {"finding": "Edema", "part": part, "patients": patients, "trained_positive": patients // 4,
     "trained_negative": patients - patients // 4}
    for part, patients in (("train", 4000), ("selection", 200), ("test", PATIENTS), ("official", 200))
]  # fmt: skip
SWEEP: dict[str, Any] = {"labels": LABELS, "data": {"equal_images": []}}


def sound_cells() -> pd.DataFrame:
    """Two networks, three sizes, two seeds: AUROC rises by 0.02 with every doubling."""
    rows = [
        {"architecture": network, "train_images": size, "seed": seed, "test_auroc": 0.7 + 0.02 * step}
        for network in NETWORKS
        for step, size in enumerate(SIZES)
        for seed in (0, 1)
    ]
    cells = pd.DataFrame(rows).assign(
        kind="grid", init="random", freeze="none", balance="natural", status="done", failure=None,
        rate_at_edge="no", late_fall=0.001, train_loss=0.4, finding="Edema", weights=None,
        weights_sha256=None, weights_natural=None, weights_input=None, data="f00d", recipe="{}",
    )  # fmt: skip
    cells["cell_id"] = [f"cell{n}" for n in range(len(cells))]
    for flag in ("still_falling", "collapsed"):
        cells[flag] = pd.array([False] * len(cells), "boolean")
    return cells


def analysis(cells: pd.DataFrame, sweep: dict[str, Any] = SWEEP, spread: float = 0.002) -> Analysis:
    """What the checks look at, the areas of all cells independent over patients with this standard error."""
    covariance = np.eye(len(cells)) * spread**2
    measures = Measures(cells, {"test_auroc": covariance}, {"test_auroc": PATIENTS}, {"test_auroc": 100})
    evidence = Evidence(Path("out"), cells, pd.DataFrame(), sweep)
    unused: dict[str, Any] = {field.name: pd.DataFrame() for field in dataclasses.fields(Analysis)}
    looked_at = {"evidence": evidence, "measures": measures, "margins": Margins(auroc=0.01), "law": None}
    return Analysis(**(unused | looked_at))


def results(found: Analysis, **options: Any) -> dict[str, str]:
    return check_table(found, **options).set_index("code")["result"].to_dict()


def changed(**columns: Any) -> Callable[[], Analysis]:
    """The sound cells with the first of them otherwise."""

    def make() -> Analysis:
        cells = sound_cells()
        for name, value in columns.items():
            cells.loc[0, name] = value
        return analysis(cells)

    return make


def one_seed() -> Analysis:
    cells = sound_cells()
    return analysis(cells[cells["seed"] == 0].reset_index(drop=True))


def a_seed_missing() -> Analysis:
    cells = sound_cells()
    cells.loc[1, "status"] = "missing"
    return analysis(cells)


def falling(spread: float = 0.002) -> Analysis:
    cells = sound_cells()
    last = (cells["architecture"] == "resnet18") & (cells["train_images"] == 400)
    cells.loc[last, "test_auroc"] = 0.68
    return analysis(cells, spread=spread)


def other_weights() -> Analysis:
    cells = sound_cells()
    names = {"init": "imagenet", "weights": "radimagenet", "weights_sha256": "a" * 64}
    rows = cells["architecture"] == "resnet18"
    for name, value in names.items():
        cells[name] = cells[name].astype(object)
        cells.loc[rows, name] = value
    return analysis(cells)


def labels(part: str, positive: int) -> dict[str, Any]:
    rows = [
        {**row, "trained_positive": positive, "trained_negative": row["patients"] - positive}
        if row["part"] == part
        else row
        for row in LABELS
    ]
    return {**SWEEP, "labels": rows}


PAIR = {"part": "train", "other": "test", "text": "3 images of train are equal to images of test"}
PLANTED: list[tuple[str, Callable[[], Analysis], str]] = [
    ("TS001", changed(rate_at_edge="high"), r"1 of 12 cells at the high end \(CBR-Tiny 1\)"),
    ("TS001", changed(rate_at_edge="low"), r"1 of 12 cells at the low end"),
    ("TS002", changed(still_falling=True, late_fall=0.31), r"1 of 12 cells, falling by up to 0\.31 nats"),
    ("TS003", changed(collapsed=True), r"1 of 12 cells \(CBR-Tiny 1\)"),
    (
        "TS004",
        lambda: analysis(sound_cells(), spread=0.01),
        r"400 patients of the test find a difference of 0\.040",
    ),
    (
        "TS005",
        lambda: analysis(sound_cells(), labels("test", 200)),
        r"Edema: 50\.0 % positive in test, 25\.0 %",
    ),
    (
        "TS005",
        lambda: analysis(sound_cells(), labels("official", 20)),
        r"Edema: 10\.0 % positive in official",
    ),
    (
        "TS006",
        lambda: analysis(sound_cells(), {**SWEEP, "data": {"equal_images": [PAIR]}}),
        r"3 images of train",
    ),
    ("TS007", other_weights, r"6 cells of resnet18 from radimagenet"),
    ("TS008", one_seed, r"every condition has the seed 0 and no other"),
    ("TS008", a_seed_missing, r"1 of 6 conditions have one finished seed"),
    ("TS009", falling, r"ResNet-18 from scratch: 0\.040 lower with 400 than with 200"),
    (
        "TS010",
        changed(status="failed", failure="diverged"),
        r"1 of 12 cells failed \(1 diverged\): CBR-Tiny 1",
    ),
]


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert set(results(analysis(sound_cells())).values()) == {"clear"}


@pytest.mark.parametrize(
    ("code", "make", "expected"), PLANTED, ids=[f"{p[0]}-{n}" for n, p in enumerate(PLANTED)]
)
def test_what_was_planted_is_found(code: str, make: Callable[[], Analysis], expected: str) -> None:
    found = make()
    rows = check_table(found).set_index("code")
    assert rows.loc[code, "result"] == "doubt"
    assert re.match(expected, str(rows.loc[code, "found"]))
    others = {"TS008"} if code in ("TS010",) else set()  # a failed cell leaves its condition one seed
    assert set(rows.index[rows["result"] == "doubt"]) == {code} | others
    assert rows.index[0] in {code} | others, "doubts come first"
    muted = check_table(found, [code]).set_index("code")
    assert muted.loc[code, "result"] == "muted"
    assert muted.loc[code, "found"] == rows.loc[code, "found"]


def test_every_check_is_planted_and_described() -> None:
    assert {code for code, _, _ in PLANTED} == set(CODES) == set(FINDERS)
    assert list(CODES) == [f"TS{n:03d}" for n in range(1, len(CODES) + 1)]
    page = (Path(__file__).parents[3] / "docs" / "checks.md").read_text(encoding="utf-8")
    for check in CHECKS:
        text = " ".join(page.partition(f"## {check.code} ")[2].partition("\n## ")[0].split())
        for part in (check.title, check.how, check.why, check.action):
            assert " ".join(part.split()) in text, f"docs/checks.md, {check.code}: {part}"


def test_what_cannot_be_told_is_not_called_clear() -> None:
    cells = sound_cells().drop(columns=["rate_at_edge"])
    for flag in ("still_falling", "collapsed"):
        cells[flag] = pd.array([pd.NA] * len(cells), "boolean")
    found = analysis(cells, {})
    bare = dataclasses.replace(found, measures=Measures(cells))
    told = results(bare)
    assert [code for code, result in told.items() if result == "not known"] == [
        "TS001", "TS002", "TS003", "TS004", "TS005", "TS006",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [3, "x", [3], [{}], [{**LABELS[0], "patients": "many"}], [{**LABELS[0], "patients": 0}], {"a": 1}],
)
def test_records_of_other_programs_are_not_known(record: object) -> None:
    sweep = {"labels": record, "data": record}
    told = results(analysis(sound_cells(), sweep))
    assert told["TS005"] == told["TS006"] == "not known"


def test_nothing_finished_is_not_known_rather_than_clear() -> None:
    cells = sound_cells().assign(status="missing")
    told = results(analysis(cells))
    assert told["TS009"] == told["TS008"] == told["TS002"] == "not known"


def test_a_small_difference_of_prevalence_is_chance() -> None:
    """Of 200 patients 30 % instead of 25 %: 1.6 standard deviations; of 6, half: a factor of 2 and chance."""
    assert results(analysis(sound_cells(), labels("official", 60)))["TS005"] == "clear"
    half = {"patients": 6, "trained_positive": 3, "trained_negative": 3}
    few = [{**row, **half} if row["part"] == "selection" else row for row in LABELS]
    assert results(analysis(sound_cells(), {**SWEEP, "labels": few}))["TS005"] == "clear"


@pytest.mark.parametrize(("errors", "result"), [(1.9, "clear"), (2.0, "doubt")])
def test_a_drop_must_be_larger_than_chance_over_patients(errors: float, result: str) -> None:
    """The means of two cells each, all independent: their difference has the standard error of one cell."""
    assert results(falling(spread=0.04 / errors))["TS009"] == result


def test_a_drop_is_told_where_chance_over_patients_is_not_known() -> None:
    found = falling()
    cells = found.measures.cells
    unknown = np.full((len(cells), len(cells)), np.nan)
    for measures in (Measures(cells), Measures(cells, {"test_auroc": unknown}, {"test_auroc": PATIENTS})):
        assert results(dataclasses.replace(found, measures=measures))["TS009"] == "doubt"


def test_patients_that_are_asked_for_would_be_enough() -> None:
    """Variance falls as one over the patients: so many as are named bring the difference to the margin."""
    found = check_table(analysis(sound_cells(), spread=0.01)).set_index("code").loc["TS004", "found"]
    need = int(re.search(r"about ([\d,]+) patients", str(found))[1].replace(",", ""))  # type: ignore[index]
    enough = analysis(sound_cells(), spread=0.01 * np.sqrt(PATIENTS / (need + 1)))
    assert results(enough)["TS004"] == "clear"


def test_a_code_that_is_none_is_refused() -> None:
    with pytest.raises(EvidenceError, match="--mute: found TS999; expected codes among TS001"):
        check_table(analysis(sound_cells()), ["TS999"])


def test_the_table_has_the_columns_of_the_schema() -> None:
    rows = check_table(analysis(sound_cells()))
    assert list(rows) == [column.name for column in TABLES["checks"]]
    assert len(rows) == len(CHECKS)
    assert all(field.metadata[b"meaning"] for field in arrow_schema("checks"))
