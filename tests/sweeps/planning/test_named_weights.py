"""What a file of weights is called, and what the options may say of it."""

from pathlib import Path

import pytest

from sweeps.planning.named_weights import (
    LONGEST_NAME,
    NamedWeights,
    contradictions,
    named,
    of_cell,
    origins,
    scales,
)
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell
from transfusion.weights_input import DEFAULT, parse

DIGITS, KNOWN = next(iter(ARCHITECTURES["resnet18"].published().items()))
THEIRS = DIGITS + "0" * (64 - len(DIGITS))
OWN = "1a2b3c4d" * 8
FILE = Path("/weights/hospital.pt")
SCALE = parse("mean=0.5,std=0.5")
FILES = {"resnet18": FILE, "cbr_tiny": FILE}


@pytest.mark.parametrize(
    ("sha256", "origin", "name", "natural"),
    [
        (THEIRS, None, KNOWN, True),
        (THEIRS, "hospital", KNOWN, True),
        (OWN, None, "hospital", False),
        (OWN, "natural", "hospital", True),
        (OWN, "ImageNet", "hospital", True),
        (OWN, "natural: Places ", "Places", True),
        (OWN, "radimagenet", "radimagenet", False),
        (OWN, "lungs:natural", "lungs:natural", False),
    ],
)
def test_a_file_is_called_by_its_content_by_the_user_or_by_its_name(sha256, origin, name, natural):
    found = named(FILE, "resnet18", sha256, origin)
    assert (found.name, found.natural, found.sha256) == (name, natural, sha256)


def test_a_files_own_name_is_cut_and_printable():
    found = named(Path("/w/a\nb" + "x" * 80 + ".pt"), "resnet18", OWN, None)
    assert found.name == "a?b" + "x" * (LONGEST_NAME - 3)


def test_a_line_of_the_plan_and_a_record_say_what_is_known():
    one = NamedWeights("resnet18", "hospital", OWN, False, SCALE, ("32 tensors", "no head"))
    first, *notes = one.line().split("\n")
    assert first.startswith("weights  resnet18: hospital (sha 1a2b3c4d), not natural images")
    assert first.endswith(f"; images as {SCALE.text()}")
    assert [note.strip() for note in notes] == ["32 tensors", "no head"]
    plain = NamedWeights("resnet18", KNOWN, THEIRS, True)
    assert plain.line() == f"weights  resnet18: {KNOWN} (sha {DIGITS[:8]}), natural images"
    assert one.record() == {
        "architecture": "resnet18", "name": "hospital", "sha256": OWN, "natural_images": False,
        "input": SCALE.text(), "notes": ["32 tensors", "no head"],
    }  # fmt: skip


def test_what_options_say_against_a_known_file_is_refused():
    known = NamedWeights("resnet18", KNOWN, THEIRS, True)
    assert contradictions(known, None, None, FILE) == []
    assert contradictions(known, None, DEFAULT, FILE) == []
    both = contradictions(known, "hospital", SCALE, FILE)
    assert [one.found for one in both] == ["--weights-origin hospital", "another --weights-input"]
    own = NamedWeights("resnet18", "hospital", OWN, False)
    assert contradictions(own, "hospital", SCALE, FILE) == []
    (other,) = contradictions(own, None, None, Path(f"/w/resnet18-{DIGITS}.pth"))
    assert other.found == "the sha256 1a2b3c4d"
    assert contradictions(known, None, None, Path(f"/w/resnet18-{DIGITS}.pth")) == []


def test_a_cell_starts_from_its_upstream_or_from_the_file_of_its_network():
    files = (
        NamedWeights("cbr_tiny", "other", "f" * 64, True),
        NamedWeights("resnet18", "own", OWN, False, SCALE),
    )
    names = ("weights", "weights_sha256", "weights_natural", "weights_input")

    def start(init, upstream=None):
        found = of_cell(Cell(architecture="resnet18", train_images=8, init=init), upstream, files)
        return tuple(found[name] for name in names)

    def above(finding):
        return Cell(kind="upstream", finding=finding, architecture="resnet18", train_images=8)

    assert start("random") == (None,) * 4
    assert start("imagenet") == ("own", OWN, False, SCALE.text())
    assert start("photos", above("photos")) == ("photos pretrained here", None, True, None)
    assert start("consolidation", above("Consolidation")) == (
        "Consolidation pretrained here", None, False, None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("resnet18", "'resnet18'"),
        ("resnet18=", "'resnet18='"),
        ("resnet19=natural", "'resnet19=natural'"),
        ("resnet34=natural", "no file for it"),
        ("resnet18=" + "x" * 61, repr("x" * 61)),
        ("resnet18= ", "' '"),
        ("resnet18=a\nb", repr("a\nb")),
    ],
)
def test_an_origin_that_cannot_be_is_refused(text, found):
    _, (problem,) = origins([text], FILES)
    assert problem.found == found
    good, problems = origins(["resnet18=" + "x" * 60, "cbr_tiny=a=b"], FILES)
    assert (good, problems) == ({"resnet18": "x" * 60, "cbr_tiny": "a=b"}, [])


def test_scales_are_read_and_a_misfit_may_be_accepted():
    found, accepted, problems = scales(["resnet18=mean=0.5,std=0.5,accept", "cbr_tiny=imagenet"], FILES)
    assert (found, accepted, problems) == ({"resnet18": SCALE, "cbr_tiny": DEFAULT}, {"resnet18"}, [])
    _, _, (twice,) = scales(["cbr_tiny=imagenet", "cbr_tiny=imagenet"], FILES)
    assert twice.found == "cbr_tiny twice"
    found, _, (wrong,) = scales(["resnet18=nonsense"], FILES)
    assert (found, wrong.where) == ({}, "--weights-input resnet18")
