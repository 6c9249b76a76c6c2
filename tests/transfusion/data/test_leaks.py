"""No person in two parts: tables whose true people the generator knows, refused or split without a leak."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from transfusion.data.dataset import Dataset, split_patients
from transfusion.layouts import csv_table, nih
from transfusion.problems import InputError

SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda name: "0" + name,
    lambda name: "00" + name,
    lambda name: name + ".0",
    lambda name: name + ".",
    str.upper,
    str.lower,
    str.title,
    lambda name: f" {name}",
    lambda name: f"{name} \t",
    lambda name: f"{name[:1]} {name[1:]}",
    lambda name: f"{name}\u200b",
    lambda name: f"\ufeff{name}",
    lambda name: f"{name}\u00a0",
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: unicodedata.normalize("NFKC", name),
    lambda name: "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in name),
    lambda name: name.translate({ord(str(digit)): 0x0660 + digit for digit in range(10)}),
)
"""Ways in which one id is written once more. Whether two ids are one person is the generator's to say."""

NAMES: tuple[Callable[[int], str], ...] = (
    lambda person: str(person + 1),
    lambda person: f"{person + 1:05d}",
    lambda person: f"P{person + 1}",
    lambda person: f"site-{person % 7}/é{person + 1}",
    lambda person: f"{person + 1:x}b",
)


@dataclass(frozen=True)
class Generated:
    """The lines of a table, and whose image each path is, once it is written plainly."""

    lines: list[list[str]]
    person_of: dict[str, int]


def generate(people: int, seed: int, spelled: float, repeated: float) -> Generated:
    """A shuffled table of `people`, one to five images each.

    Args:
        spelled: share of rows whose id is written in another way.
        repeated: share of images that stand there once more, under another spelling of their path.
    """
    generator = np.random.default_rng(seed)
    name_of = NAMES[generator.integers(len(NAMES))]
    usual = SPELLINGS[generator.integers(len(SPELLINGS))] if generator.random() < 0.3 else str
    lines, person_of = [], {}
    for person in range(people):
        for image in range(generator.integers(1, 6)):
            path = f"scans/{person:05d}_{image}.png"
            name = usual(name_of(person))
            if generator.random() < spelled:
                name = SPELLINGS[generator.integers(len(SPELLINGS))](name)
            person_of[path] = person
            lines.append([path, name, str(int(generator.integers(2)))])
            if generator.random() < repeated:
                again = (f"./{path}", path.replace("/", "\\"), path.replace("/", "//"))[generator.integers(3)]
                other = name_of(int(generator.integers(people)))
                lines.append([again, other, "0"])
    return Generated([lines[i] for i in generator.permutation(len(lines))], person_of)


def parts_of_people(dataset: Dataset, person_of: dict[str, int]) -> pd.Series:
    """In how many parts each true person is."""
    people = [person_of[image] for image in dataset.frame["image"]]
    return dataset.frame.groupby(people)["part"].nunique()


def check(generated: Generated, folder: Path) -> bool:
    """Whether the table was accepted; fails on a leak, and where a row got lost."""
    csv = folder / "t.csv"
    rows = "\n".join('"' + '","'.join(line) + '"' for line in [["file", "person", "Edema"], *generated.lines])
    csv.write_text(rows, encoding="utf-8")
    try:
        dataset = csv_table.read(csv, path_column="file", patient_column="person", findings=("Edema",))
    except InputError:
        return False
    assert len(dataset.frame) == len(generated.lines)
    assert parts_of_people(dataset, generated.person_of).max() == 1
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(60, 150),
    st.integers(0, 2**32),
    st.sampled_from([0, 0, 0.001, 0.01, 0.5]),
    st.sampled_from([0, 0, 0.01]),
)
def test_no_person_is_in_two_parts(people: int, seed: int, spelled: float, repeated: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        check(generate(people, seed, spelled, repeated), Path(name))


@example(name="+0x", how=SPELLINGS[0], others=60)
@example(name="=+7", how=SPELLINGS[1], others=60)
@given(name=st.text(min_size=1, max_size=8), how=st.sampled_from(SPELLINGS), others=st.integers(60, 90))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_id_written_twice_stays_one_person(name: str, how: Callable[[str], str], others: int) -> None:
    """One id of any signs in two spellings among others: refused, or in one part."""
    name = name.replace('"', "'").replace("\0", "0").encode("utf-8", "replace").decode()
    lines = [[f"{n}.png", f"other{n}", str(n % 2)] for n in range(others)]
    lines += [["a.png", name, "1"], ["b.png", how(name), "0"]]
    person_of = {f"{n}.png": n for n in range(others)} | {"a.png": -1, "b.png": -1}
    with tempfile.TemporaryDirectory() as folder:
        check(Generated(lines, person_of), Path(folder))


def test_the_generator_plants_leaks_and_not_all_of_its_tables_are_refused(tmp_path: Path) -> None:
    """What the tests above rest on: plain tables are read, and ids taken as they stand do leak."""
    assert all(check(generate(200, seed, 0, 0), tmp_path) for seed in range(10))
    assert not any(check(generate(200, seed, 0.5, 0), tmp_path) for seed in range(10))
    assert not any(check(generate(200, seed, 0, 0.5), tmp_path) for seed in range(10))
    generated = generate(200, 3, 0.5, 0)
    taken = pd.DataFrame(generated.lines, columns=["image", "patient", "label"])
    taken["part"] = split_patients(taken["patient"])
    people = [generated.person_of[image] for image in taken["image"]]
    assert taken.groupby(people)["part"].nunique().max() > 1


@pytest.mark.slow
def test_no_person_is_in_two_parts_of_two_hundred_tables(tmp_path: Path) -> None:
    accepted = 0
    sizes = np.random.default_rng(0).integers(60, 5_001, 240)
    for seed, people in enumerate(sizes.tolist()):
        spelled, repeated = (0, 0.0005, 0.01, 0.5)[seed % 4], (0, 0, 0.001)[seed % 3]
        accepted += check(generate(people, seed, spelled, repeated), tmp_path)
    assert 30 < accepted < 200


@pytest.mark.parametrize("seed", range(6))
def test_patients_of_the_entries_are_taken_as_strictly(tmp_path: Path, seed: int) -> None:
    """The same of the other reader whose ids stand in a column."""
    generated = generate(80, seed, (0, 0, 0.02)[seed % 3], 0)
    header = "Image Index,Finding Labels,Patient ID"
    names = [line[0].replace("/", "_") for line in generated.lines]
    lines = [
        f'{name},{("No Finding", "Edema")[int(label)]},"{patient}"'
        for name, (_, patient, label) in zip(names, generated.lines, strict=True)
    ]
    (tmp_path / nih.ENTRIES[0]).write_text("\n".join([header, *lines]), encoding="utf-8")
    person_of = {f"images/{path.replace('/', '_')}": person for path, person in generated.person_of.items()}
    if seed % 3 == 2:
        with pytest.raises(InputError, match=r"one spelling for each patient|the id of a patient"):
            nih.read(tmp_path)
    else:
        assert parts_of_people(nih.read(tmp_path), person_of).max() == 1
