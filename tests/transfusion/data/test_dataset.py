"""Tables: patients in one part only, nested subsets, policies, fingerprints, and how problems are shown."""

from __future__ import annotations

import dataclasses
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transfusion.data.dataset import Dataset, content_fingerprint, patient_hashes, split_patients
from transfusion.problems import InputError, Problem


def make_dataset(images: int = 900, salt: int = 0) -> Dataset:
    generator = np.random.default_rng(salt)
    patient = pd.Series([f"p{salt}-{number}" for number in generator.integers(0, images // 3, images)])
    frame = pd.DataFrame(
        {
            "image": [f"{number:05d}.png" for number in generator.permutation(images)],
            "patient": patient,
            "study": patient,
            "view": "frontal",
            "part": split_patients(patient),
            "Edema": generator.choice(np.array([1, 0, -1, np.nan], dtype=np.float32), images),
        }
    )
    return Dataset(root=Path("nowhere"), frame=frame, findings=("Edema",), fingerprint="0" * 16)


@pytest.mark.parametrize("salt", range(5))
def test_no_patient_is_in_two_parts(salt: int) -> None:
    frame = make_dataset(salt=salt).frame
    assert frame.groupby("patient")["part"].nunique().max() == 1
    assert set(frame["part"]) == {"train", "selection", "test"}


def test_shares_of_the_parts() -> None:
    parts = pd.Series(split_patients(pd.Series([f"patient{number:05d}" for number in range(40_000)])))
    shares = parts.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.08, abs=0.005)
    assert shares["selection"] == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize("salt", range(3))
def test_subsets_are_nested_and_hold_whole_patients(salt: int) -> None:
    dataset = make_dataset(salt=salt)
    everything = dataset.rows("train")
    sizes = [1, 10, 57, 300, len(everything)]
    for smaller, larger in pairwise(sizes):
        assert set(dataset.rows("train", smaller)) < set(dataset.rows("train", larger))
    subset = dataset.frame.iloc[dataset.rows("train", 57)]
    outside = dataset.frame.iloc[list(set(everything) - set(dataset.rows("train", 57)))]
    assert len(set(subset["patient"]) & set(outside["patient"])) <= 1
    assert (dataset.frame.iloc[everything]["part"] == "train").all()
    assert len(set(everything)) == len(everything)


def test_order_hangs_on_content_and_not_on_row_order() -> None:
    dataset = make_dataset()
    shuffled = dataset.frame.sample(frac=1, random_state=1).reset_index(drop=True)
    other = Dataset(
        root=dataset.root, frame=shuffled, findings=dataset.findings, fingerprint=dataset.fingerprint
    )
    assert list(dataset.frame["image"].iloc[dataset.rows("train", 100)]) == list(
        shuffled["image"].iloc[other.rows("train", 100)]
    )


def test_too_many_images_are_refused_with_both_numbers() -> None:
    dataset = make_dataset()
    found = len(dataset.rows("train"))
    with pytest.raises(InputError, match=rf"found {found} images, expected at least {found + 1}"):
        dataset.rows("train", found + 1)
    with pytest.raises(ValueError, match="'validation'"):
        dataset.rows("validation")


@pytest.mark.parametrize(
    ("uncertain", "blank", "expected"),
    [
        ("ones", "zeros", [1, 0, 1, 0]),
        ("zeros", "zeros", [1, 0, 0, 0]),
        ("ignore", "zeros", [1, 0, np.nan, 0]),
        ("ones", "ignore", [1, 0, 1, np.nan]),
        ("ignore", "ignore", [1, 0, np.nan, np.nan]),
    ],
)
def test_label_policies(uncertain: str, blank: str, expected: list[float]) -> None:
    frame = pd.DataFrame({"Edema": np.array([1, 0, -1, np.nan], dtype=np.float32)})
    dataset = Dataset(root=Path(), frame=frame, findings=("Edema",), fingerprint="")
    labels = dataset.labels("Edema", uncertain, blank)
    np.testing.assert_array_equal(labels, np.array(expected, dtype=np.float32))
    assert labels.dtype == np.float32


@pytest.mark.parametrize("arguments", [("Oedema",), ("Edema", "one"), ("Edema", "ones", "ones")])
def test_unknown_policies_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"found '{arguments[-1]}'"):
        make_dataset().labels(*arguments)


def test_hashes_of_different_salts_are_independent() -> None:
    patients = pd.Series([f"p{number}" for number in range(5000)])
    first, second = patient_hashes(patients, "part"), patient_hashes(patients, "order")
    correlation = np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1]
    assert abs(correlation) < 0.05


def test_fingerprint_names_content_and_not_paths(tmp_path: Path) -> None:
    prints = []
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        for number in range(40):
            (tmp_path / folder / f"{number}.jpg").write_bytes(bytes([number]))
        names = [f"{number}.jpg" for number in range(40)]
        prints.append(content_fingerprint(tmp_path / folder, names, [b"csv"]))
    assert prints[0] == prints[1]
    assert len(prints[0]) == 16
    assert content_fingerprint(tmp_path / "here", names, [b"CSV"]) != prints[0]
    (tmp_path / "here" / "39.jpg").write_bytes(b"other")
    assert content_fingerprint(tmp_path / "here", names, [b"csv"]) != prints[0]


def test_a_few_problems_of_every_kind_are_shown_and_the_others_counted() -> None:
    many = [Problem(f"row {row}", "nothing", "an image", "fetch it") for row in range(500)]
    rare = Problem("row 7", "2", "a label", "correct it")
    error = InputError([*many, rare])
    text = str(error)
    assert text.startswith("501 problems")
    assert str(rare) in text
    assert text.count("\n- row") == 4
    assert "\n- 497 more of the same kind\n" in text
    assert len(error.problems) == 501
    assert str(pickle.loads(pickle.dumps(error))) == text
    kinds = [Problem("row 1", "nothing", f"kind {kind}", "mend it") for kind in range(30)]
    text = str(InputError(kinds))
    assert text.count("\n- row") == 20
    assert text.endswith("- and 10 more")


def test_one_problem_is_shown_alone() -> None:
    text = str(InputError([Problem("train.csv, row 2", "'x'", "1, 0, -1 or blank", "correct the field")]))
    line = "- train.csv, row 2: found 'x', expected 1, 0, -1 or blank; correct the field"
    assert text == f"1 problem with the data:\n{line}"


@pytest.mark.parametrize("given", [False, True])
def test_other_orders_have_subsets_that_are_nested_and_hold_whole_patients(given: bool) -> None:
    dataset = make_dataset()
    if given:
        order = np.random.default_rng(1).permutation(400)
        codes = pd.factorize(dataset.frame["patient"])[0]
        dataset = dataclasses.replace(dataset, order=order[codes])
    patients = dataset.frame["patient"].to_numpy()
    whole = dataset.rows("train")
    firsts = []
    for subset in range(3):
        rows = dataset.rows("train", subset=subset)
        assert sorted(rows) == sorted(whole)
        assert dataset.rows("train", 100, subset).tolist() == rows[:100].tolist()
        change = np.flatnonzero(patients[rows][1:] != patients[rows][:-1])
        assert len(change) + 1 == len(set(patients[rows]))
        firsts.append(set(rows[:100]))
    assert dataset.rows("train", subset=0).tolist() == whole.tolist()
    assert all(len(one & other) < 50 for one, other in pairwise(firsts))
