"""Counts of patients and labels against pandas on the real labels; expected intervals against simulation."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import real_csv

from analysis.report import cell_tables
from transfusion.cell import Recipe
from transfusion.data.dataset import Dataset, split_patients
from transfusion.data.part_counts import became, count, half_width, what_it_decides
from transfusion.layouts import chexpert


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    frame = pd.read_csv(real_csv.packaged("chexpert_train.csv.gz"))
    return frame.assign(patient=frame["Path"].str.extract(r"/(patient\d+)/")[0])


@pytest.fixture(scope="module")
def real(raw: pd.DataFrame) -> Dataset:
    labels = {finding: raw[finding].to_numpy(np.float32) for finding in chexpert.FINDINGS}
    columns = {"image": raw["Path"], "patient": raw["patient"], "part": split_patients(raw["patient"])}
    return Dataset(Path("nowhere"), pd.DataFrame({**columns, **labels}), chexpert.FINDINGS, "0" * 16)


@pytest.mark.parametrize("blank", ["zeros", "ignore"])
@pytest.mark.parametrize("policy", ["ones", "zeros", "ignore"])
def test_counts_of_the_real_labels_are_those_of_pandas(raw, real, policy, blank):
    parts = split_patients(raw["patient"])
    found = count(real, ["Edema", "Pleural Effusion"], lambda finding: policy, blank)
    assert [(one.finding, one.part) for one in found] == [
        (finding, part)
        for finding in ("Edema", "Pleural Effusion")
        for part in ("train", "selection", "test")
    ]
    for one in found:
        rows = raw[parts == one.part]
        values = rows[one.finding]
        final = values.replace(-1, {"ones": 1, "zeros": 0, "ignore": np.nan}[policy])
        final = final.mask(values.isna(), {"zeros": 0, "ignore": np.nan}[blank])
        assert (one.images, one.patients) == (len(rows), rows["patient"].nunique())
        kinds = values.value_counts(dropna=False)
        assert [one.positive, one.negative, one.uncertain] == [kinds[1], kinds[0], kinds[-1]]
        assert one.blank == values.isna().sum()
        trained = final.value_counts()
        assert (one.trained_positive, one.trained_negative) == (trained[1], trained[0])
        assert one.ignored == final.isna().sum()
        assert one.positive_patients == rows.loc[final == 1, "patient"].nunique()
        assert one.negative_patients == rows.loc[final == 0, "patient"].nunique()


def test_what_became_of_the_real_labels(real):
    recipe = Recipe()
    counts = count(real, ["Edema", "Consolidation"], recipe.uncertain_policy, recipe.blank)
    assert became(counts[:3])[:2] == ("uncertain (-1): 12,984 -> positive", "blank: 137,458 -> negative")
    assert became(counts[3:])[0] == "uncertain (-1): 27,742 -> negative"
    assert sum(one.images for one in counts) == 2 * 223_414
    assert "cannot decide" not in what_it_decides(counts, "Edema")[0]


@pytest.mark.parametrize(("positives", "negatives"), [(6, 54), (30, 30), (2, 118), (1899, 3320)])
def test_the_half_width_is_that_of_simulated_scores(positives, negatives):
    """Exponential scores, for which their two probabilities are exact; the area is 4 / (1 + 4)."""
    generator, repeats = np.random.default_rng(1), 4000 if positives < 100 else 400
    areas = []
    for _ in range(repeats):
        low = np.sort(generator.exponential(1, negatives))
        areas.append(np.searchsorted(low, generator.exponential(4, positives)).mean() / negatives)
    assert np.mean(areas) == pytest.approx(0.8, abs=0.01)
    assert half_width(positives, negatives) == pytest.approx(1.96 * np.std(areas), rel=0.1)


def test_the_half_width_by_hand():
    """Area 0.8: 0.16 for a pair, 2/3 - 0.64 more for a further positive, 1.28 / 1.8 - 0.64 for a negative."""
    assert half_width(1, 1) == pytest.approx(1.96 * 0.4)
    assert half_width(3, 1) == pytest.approx(1.96 * math.sqrt((0.16 + 2 * (2 / 3 - 0.64)) / 3))
    assert half_width(1, 4) == pytest.approx(1.96 * math.sqrt((0.16 + 3 * (1.28 / 1.8 - 0.64)) / 4))
    assert half_width(2, 2, area=0.5) == pytest.approx(1.96 * math.sqrt((0.25 + 1 / 12 + 1 / 12) / 4))


def test_an_absent_class_has_no_width_and_says_so():
    assert math.isnan(half_width(0, 10))
    assert math.isnan(half_width(10, 0))
    patient = pd.Series(["a", "b"])
    frame = pd.DataFrame({"patient": patient, "part": "official", "Edema": np.zeros(2, np.float32)})
    counts = count(Dataset(Path(), frame, ("Edema",), ""), ["Edema"], lambda finding: "ones", "zeros")
    (text,) = what_it_decides(counts, "Edema")
    assert "0 of 2 patients" in text
    assert "nan" not in text


def test_the_report_shows_the_same_numbers(real):
    counts = count(real, ["Edema"], lambda finding: "ones", "zeros")
    record = json.loads(json.dumps([one.record() for one in counts]))
    text = " ".join(cell.text for row in cell_tables.labels(record).rows for cell in row)
    for one in counts:
        numbers = (one.patients, one.images, one.positive, one.negative, one.uncertain)
        row = r"\s+".join([one.part, *(f"{number:,}" for number in numbers), "positive", f"{one.blank:,}"])
        assert re.search(row, text), text
    for strange in (None, [], {}, ["x"], [1], "labels"):
        assert cell_tables.labels(strange) is None
