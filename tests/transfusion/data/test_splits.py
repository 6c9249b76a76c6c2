"""Parts of small and ready-made sets: no patient in two, both classes everywhere, in any order of rows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_table
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps import full_grid
from sweeps.presets import demo, smoke
from transfusion.data.dataset import Dataset, Split, split_patients
from transfusion.data.part_counts import count
from transfusion.data.splits import NEEDED, SMALL_PATIENTS, Shares, allocate, assign
from transfusion.layouts import csv_table
from transfusion.layouts.chexpert import FINDINGS
from transfusion.phantom.labels import training_rows
from transfusion.problems import InputError, SettingError

RUN = ["--preset", "smoke", "--architectures", "cbr_tiny", "--train-images", "32", "--inits", "random"]

NOTHING_SAID = Shares()


def dataset_of(patients: list[str], labels: list[float], parts: list[str] | None = None) -> Dataset:
    patient = pd.Series(patients)
    frame = pd.DataFrame(
        {
            "image": [f"{name}-{number}.png" for number, name in enumerate(patients)],
            "patient": patient,
            "study": patient,
            "view": "unknown",
            "part": split_patients(patient) if parts is None else parts,
            "Edema": np.array(labels, dtype=np.float32),
        }
    )
    split = Split() if parts is None else Split("column", "the column 'part'")
    return Dataset(Path("nowhere"), frame, ("Edema",), "0" * 16, split)


def assigned(dataset: Dataset, shares: Shares = NOTHING_SAID) -> Dataset:
    return assign(dataset, "Edema", dataset.labels("Edema", "ignore", "ignore"), shares)


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    frame = dataset.frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    return Dataset(dataset.root, frame, dataset.findings, dataset.fingerprint, dataset.split)


def part_of(dataset: Dataset) -> dict[str, str]:
    return dict(zip(dataset.frame["image"], dataset.frame["part"], strict=True))


SETS = st.lists(st.tuples(st.integers(0, 70), st.sampled_from([0.0, 0.0, 1.0, -1.0, np.nan])), max_size=150)
FRACTIONS = st.one_of(st.none(), st.floats(0.01, 0.49))


@settings(max_examples=150, deadline=None)
@given(SETS, FRACTIONS, FRACTIONS, st.integers(0, 9))
def test_small_sets_have_both_classes_in_every_part_or_are_refused(rows, test, selection, seed):
    patients, labels = [f"p{person}" for person, _ in rows], [label for _, label in rows]
    dataset, shares = dataset_of(patients, labels), Shares(test, selection)
    classes = {
        label: {p for p, value in zip(patients, labels, strict=True) if value == label} for label in (0, 1)
    }
    pure = min(len(classes[0] - classes[1]), len(classes[1] - classes[0]))
    possible = len(classes[0] & classes[1]) + pure >= sum(NEEDED.values())
    if not possible:
        with pytest.raises(InputError, match="expected at least 4 patients with a positive"):
            assigned(dataset, shares)
        return
    done = assigned(dataset, shares)
    assert done.frame.groupby("patient")["part"].nunique().max() == 1
    for part, needed in NEEDED.items():
        rows_of = done.frame[done.frame["part"] == part]
        for label in (0, 1):
            assert rows_of[rows_of["Edema"] == label]["patient"].nunique() >= needed
    again = assigned(shuffled(dataset, seed), shares)
    assert part_of(again) == part_of(done)
    assert again.fingerprint == done.fingerprint != dataset.fingerprint
    size = min(3, len(done.rows("train")))
    first, same = (list(one.frame["image"].iloc[one.rows("train", size)]) for one in (done, again))
    assert first == same


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=4, max_size=4), st.floats(0.02, 0.6), st.floats(0.02, 0.35))
def test_shares_hold_in_every_stratum(sizes, test, selection):
    counts = allocate(np.array(sizes), {"test": test, "selection": selection})
    _, positive, negative, both = sizes
    if both + min(positive, negative) < sum(NEEDED.values()):
        assert counts is None
        return
    assert counts is not None
    assert (sum(counts.values()) == sizes).all()
    assert all((part >= 0).all() for part in counts.values())
    if min(sizes) >= 60:
        for part, share in (("test", test), ("selection", selection)):
            assert counts[part] == pytest.approx(share * np.array(sizes), abs=2)


@pytest.mark.parametrize(("patients", "positive"), [(300, 30), (60, 30), (600, 12), (120, 60), (61, 4)])
def test_a_small_set_is_a_data_set(patients, positive, tmp_path, capsys):
    csv = small_table.write(tmp_path, small_table.people(patients, positive, seed=5))
    out = ["--out", str(tmp_path / "out"), "--dry-run"]
    assert full_grid.main([*RUN, *small_table.COLUMNS, "--data", str(csv), *out]) == 0
    text = " ".join(capsys.readouterr().out.split())
    numbers = dict(re.findall(r"(train|selection|test) ((?:[\d,]+ ){4})", text))
    counted = np.array([[int(n) for n in numbers[part].split()] for part in ("train", "selection", "test")])
    assert counted[:, 0].sum() == patients
    assert counted[:, 2].sum() == positive
    assert counted[:, 2:].min() >= 1, "both classes in every part"
    assert counted[2, 0] == pytest.approx(0.2 * patients, abs=2)
    assert "20 % for 'test' and 10 % for 'selection'" in text
    assert "cannot decide on differences below" in text
    assert "nothing can be learned" not in text


def test_three_positive_patients_are_refused_with_the_number_needed(tmp_path, capsys):
    csv = small_table.write(tmp_path, small_table.people(90, 3))
    out = ["--out", str(tmp_path / "out"), "--dry-run"]
    assert full_grid.main([*RUN, *small_table.COLUMNS, "--data", str(csv), *out]) == 2
    error = capsys.readouterr().err
    assert "1 problem" in error
    assert "3 patients with a positive" in error
    assert "at least 4 patients with a positive and at least 4 with a negative image" in error


def test_large_sets_keep_their_hash_and_their_identity():
    dataset = dataset_of([f"p{n}" for n in range(2000)], [float(n % 4 == 0) for n in range(2000)])
    assert assigned(dataset) is dataset
    rare = dataset_of([f"p{n}" for n in range(6000)], [float(n % 100 == 0) for n in range(6000)])
    assert assigned(rare) is rare, "60 positive patients of 6,000 are rare, not few patients"
    fewer = dataset_of([f"p{n}" for n in range(2000)], [float(n % 100 == 0) for n in range(2000)])
    assert assigned(fewer).split.rule == "stratified"


@pytest.mark.parametrize("preset", [smoke(), demo()], ids=lambda preset: preset.name)
def test_the_embedded_data_keep_their_split(preset):
    rows = [row for row in training_rows(preset.phantom.images, 0) if "frontal" in row.path]
    patients = [re.findall(r"patient\d+", row.path)[0] for row in rows]
    dataset = dataset_of(patients, [row.labels[FINDINGS.index("Edema")] for row in rows])
    labels = dataset.labels("Edema", preset.recipe.uncertain_policy("Edema"), preset.recipe.blank)
    assert assign(dataset, "Edema", labels, NOTHING_SAID) is dataset


@pytest.mark.parametrize("rare", [1.0, 0.0])
def test_every_prefix_of_a_small_training_part_holds_its_share_of_the_finding(rare):
    done = assigned(
        dataset_of(
            [f"p{n}" for n in range(SMALL_PATIENTS - 1)],
            [rare if n % 40 == 0 else 1 - rare for n in range(SMALL_PATIENTS - 1)],
        )
    )
    labels = done.frame["Edema"].to_numpy()[done.rows("train")]
    share = labels.mean()
    for size in range(2, len(labels)):
        assert 0 < labels[:size].sum() < size
        assert abs(labels[:size].sum() - share * size) <= 1


def test_another_split_is_another_identity():
    dataset = dataset_of([f"p{n}" for n in range(500)], [float(n % 2) for n in range(500)])
    prints = [
        assigned(dataset, Shares(test, selection)).fingerprint
        for test in (None, 0.1, 0.3)
        for selection in (None, 0.2)
    ]
    assert len(set(prints)) == len(prints)
    assert prints[0] == dataset.fingerprint


@pytest.mark.parametrize(
    ("test", "selection", "named"),
    [(0, None, "--test-share"), (20, None, "found 20"), (None, 1, "--selection-share"),
     (float("nan"), None, "nan"), (-0.1, None, "-0.1"), (0.6, 0.4, "less than 1 together")],
)  # fmt: skip
def test_shares_that_are_none(test, selection, named):
    with pytest.raises(SettingError, match=named):
        Shares(test, selection)


def test_a_share_of_the_option_is_that_of_the_patients(tmp_path, capsys):
    csv = small_table.write(tmp_path, small_table.people(200, 80))
    options = ["--data", str(csv), "--test-share", "0.4", "--selection-share", "0.15"]
    assert (
        full_grid.main([*RUN, *small_table.COLUMNS, *options, "--out", str(tmp_path / "out"), "--dry-run"])
        == 0
    )
    text = capsys.readouterr().out
    assert re.search(r"test +80 +80 +32 +48", text)
    assert re.search(r"selection +30 +30 +12 +18", text)
    assert re.search(r"train +90 +90 +36 +54", text)


WORDS = {
    "Training": "train",
    "VAL": "selection",
    "dev": "selection",
    "hold-out": "test",
    "external_test": "official",
}


def test_a_column_gives_the_parts_whatever_it_calls_them(tmp_path):
    words = list(WORDS)
    rows = [[f"p{n}", n % 2, words[n // 2 % len(words)]] for n in range(60)]
    csv = small_table.write(tmp_path, rows, ("Edema", "fold"))
    dataset = csv_table.read(
        csv, path_column="file", patient_column="person", part_column="fold", findings=["Edema"]
    )
    assert list(dataset.frame["part"]) == [WORDS[row[2]] for row in rows]
    done = assigned(dataset)
    assert part_of(done) == part_of(dataset)
    assert done.split.rule == "column"
    plain = csv_table.read(csv, path_column="file", patient_column="person", findings=["Edema"])
    assert done.fingerprint != assigned(plain).fingerprint


def test_a_finding_in_brackets_is_shown_as_it_is(tmp_path, capsys):
    rows = [[f"p{n}", n % 2] for n in range(100)]
    csv = small_table.write(tmp_path, rows, ("edema [/yes]",))
    options = ["--finding", "edema [/yes]", "--data", str(csv), "--out", str(tmp_path / "out"), "--dry-run"]
    assert full_grid.main([*RUN, *small_table.COLUMNS, *options]) == 0
    assert "The data: edema [/yes]" in capsys.readouterr().out


def test_a_column_through_the_command(tmp_path, capsys):
    rows = [[f"p{n}", n % 2, "train" if n < 60 else "test"] for n in range(100)]
    csv = small_table.write(tmp_path, rows, ("Edema", "set"))
    options = [*RUN, *small_table.COLUMNS, "--data", str(csv), "--out", str(tmp_path / "out"), "--dry-run"]
    assert full_grid.main([*options, "--part-column", "set"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"test +40 +40 +20 +20", text), "as the column says"
    assert re.search(r"selection +6 +6 +3 +3", text), "a part that it does not name is made of its train"
    assert re.search(r"train +54 +54 +27 +27", text)
    assert full_grid.main([*options, "--part-column", "set", "--test-share", "0.3"]) == 2
    assert "--test-share 0.3" in capsys.readouterr().err


def test_unknown_words_and_patients_in_two_parts_are_refused_with_their_rows(tmp_path, capsys):
    rows = [[f"p{n // 2}", n % 2, "train" if n % 4 < 2 else "test"] for n in range(80)]
    rows[5][2], rows[8][2], rows[9][2], rows[20][2], rows[30][2] = "test", "trian", "trian", "", "val"
    csv = small_table.write(tmp_path, rows, ("Edema", "set"))
    options = [*RUN, *small_table.COLUMNS, "--data", str(csv), "--out", str(tmp_path / "out"), "--dry-run"]
    assert full_grid.main([*options, "--part-column", "set"]) == 2
    error = capsys.readouterr().err
    assert f"{csv}, row 10 and 1 more (11), column 'set': found 'trian'" in error
    assert f"{csv}, row 22, column 'set': found no part" in error
    for row, person in ((6, "p2"), (32, "p15")):
        assert re.search(
            rf"row {row} and 1 more \({row + 1}\), column 'set': found patient {person} in \w+ and test",
            error,
        )


def test_counts_of_a_column_are_those_of_pandas(tmp_path):
    generator = np.random.default_rng(3)
    patients = [f"p{n}" for n in generator.integers(0, 90, 400)]
    dataset = dataset_of(patients, list(generator.choice([0, 1, -1, np.nan], 400)))
    done = assigned(dataset)
    for one in count(done, ["Edema"], lambda finding: "ones", "ignore"):
        rows = done.frame[done.frame["part"] == one.part]
        assert one.images == len(rows)
        assert one.patients == rows["patient"].nunique()
        assert (one.positive, one.negative, one.uncertain) == tuple(
            (rows["Edema"] == v).sum() for v in (1, 0, -1)
        )
        assert one.blank == one.ignored == rows["Edema"].isna().sum()
        assert one.trained_positive == one.positive + one.uncertain
        assert one.positive_patients == rows[rows["Edema"].isin([1, -1])]["patient"].nunique()
