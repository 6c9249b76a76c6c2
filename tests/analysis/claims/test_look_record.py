"""Looks are fixed before the first: what is refused later, what may be added, what is kept."""

from __future__ import annotations

import json

import pytest

from analysis.claims import look_record
from analysis.claims.look_record import FILE, LooksError, fix, fixed_by, fresh, read
from analysis.tables.schema import EvidenceError

GRID = {"architecture": ["cbr_tiny", "resnet18"], "train_images": [16, 32]}
FIXED = fixed_by("conjectures", {"auroc": 0.05}, GRID, {"epochs": 2})


def fixed(tmp_path, seeds=(2, 3, 5)):
    return fix(tmp_path, seeds, FIXED, write=True)


def test_weights_and_reserve_are_the_whole_level():
    looks = fresh((3, 5, 8), FIXED).looks
    assert looks.seeds == (3, 5, 8, 12, 18, 27, 41)
    assert sum(looks.weights) == pytest.approx(1)
    assert sum(looks.weights[:3]) == pytest.approx(0.9)
    assert looks.weights[1] == pytest.approx(looks.weights[0])
    assert looks.weights[3:] == pytest.approx([0.05, 0.025, 0.0125, 0.0125])


def test_the_same_command_finds_what_it_fixed(tmp_path):
    first = fixed(tmp_path)
    before = (tmp_path / FILE).stat().st_mtime_ns
    assert fixed(tmp_path) == first
    assert fix(tmp_path, None, FIXED, write=True) == first, "without --looks: those that are fixed"
    assert (tmp_path / FILE).stat().st_mtime_ns == before


def test_nothing_is_written_where_it_is_only_asked(tmp_path):
    assert fix(tmp_path, None, FIXED, write=False)["seeds"][:5] == [3, 4, 5, 6, 8]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seeds", [(2, 3), (2, 3, 4), (2, 4, 5), (2, 3, 5, 9), (2, 3, 5, 12), (3, 5)])
def test_other_looks_are_refused(tmp_path, seeds):
    fixed(tmp_path)
    with pytest.raises(LooksError, match=r"--looks: found .*, fixed is 2 3 5 \(reserved.*: 8 12 18 27\)"):
        fix(tmp_path, seeds, FIXED, write=True)


def test_reserved_looks_may_be_added_in_their_order_and_then_belong_to_it(tmp_path):
    first = fixed(tmp_path)
    more = fix(tmp_path, (2, 3, 5, 8), FIXED, write=True)
    assert (more["planned"], more["seeds"], more["weights"]) == (4, first["seeds"], first["weights"])
    with pytest.raises(LooksError, match="fixed is 2 3 5 8"):
        fix(tmp_path, (2, 3, 5), FIXED, write=True)
    assert fix(tmp_path, (2, 3, 5, 8, 12), FIXED, write=True)["planned"] == 5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            fixed_by("claims", {"auroc": 0.05}, GRID, {"epochs": 2}),
            "--until-decided: found claims, fixed is conj",
        ),
        (fixed_by("conjectures", {}, GRID, {"epochs": 2}), "margins, auroc: found 0.01, fixed is 0.05"),
        (
            fixed_by("conjectures", {"auroc": 0.05}, {**GRID, "train_images": [16]}, {"epochs": 2}),
            "grid, train_images: found 16, fixed is 16 32",
        ),
        (fixed_by("conjectures", {"auroc": 0.05}, GRID, {"epochs": 3}), "epochs: found 3, fixed is 2"),
    ],
)
def test_what_is_fixed_is_refused_to_change_and_named(tmp_path, changed, message):
    fixed(tmp_path)
    with pytest.raises(LooksError, match=message) as refused:
        fix(tmp_path, (2, 3, 5), changed, write=True)
    assert FILE in str(refused.value)
    assert "name another --out" in str(refused.value)


def test_all_that_differs_is_named_at_once(tmp_path):
    fixed(tmp_path)
    with pytest.raises(LooksError, match=r"--looks: .*margins, loss: .*epochs: "):
        fix(tmp_path, (3, 5), fixed_by("conjectures", {"loss": 1.0}, GRID, {"epochs": 9}), write=True)


def test_a_claim_that_tests_something_else_is_told(tmp_path):
    fixed(tmp_path)
    record = json.loads((tmp_path / FILE).read_text())
    record["fixed"]["claims"]["in_domain_gains"] = "another"
    (tmp_path / FILE).write_text(json.dumps(record))
    with pytest.raises(LooksError, match="claim in_domain_gains: this version of the package tests it"):
        fixed(tmp_path)


@pytest.mark.parametrize("seeds", [(1, 3), (5, 3), (3, 3)])
def test_numbers_that_make_no_looks_are_refused(tmp_path, seeds):
    with pytest.raises(LooksError, match=r"--looks: looks after .*: expected ascending numbers from 2 on"):
        fix(tmp_path, seeds, FIXED, write=True)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 9}', '{"schema": 1}'])
def test_a_damaged_record_is_refused_and_left_alone(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(EvidenceError, match="found no valid record of looks"):
        fixed(tmp_path)
    assert (tmp_path / FILE).read_text() == text


def test_there_are_none_without_the_file(tmp_path):
    assert read(tmp_path) is None
    assert look_record.read(tmp_path / "nowhere") is None
