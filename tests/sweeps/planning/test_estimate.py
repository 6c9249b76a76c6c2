"""Time, GPU-hours and money of missing cells, and how far off a guess may be; by hand."""

import pytest

from sweeps.planning.codes import several_codes
from sweeps.planning.cost import GPU_SPREAD
from sweeps.planning.estimate import SECONDS_PER_RUN, estimate
from sweeps.planning.plan import PlannedCell
from sweeps.planning.resources import Resources
from transfusion.cell import Cell
from transfusion.records.code_version import Code

GPUS = Resources(device="cuda", cpus=1, cores=(8,), gpus=(1.0,), gpu_memory=2**34)
CORES = Resources(device="cpu", cpus=1, cores=(2,))


def planned(one, seconds, upstream=None, share=1.0, guessed=False, architecture="cbr_tiny"):
    return PlannedCell(
        one, Cell(architecture=architecture, train_images=1), upstream, seconds, share, guessed
    )


def test_guesses_spread_both_ways_and_measured_cells_do_not():
    cells = [planned("a", 100), planned("b", 300, guessed=True), planned("c", 200, guessed=True)]
    found = estimate(cells, GPUS, gpu_price=36.0)
    assert (found.work_seconds, found.cells, found.measured) == (600, 2, 1)
    assert found.guessed == ("cbr_tiny",)
    for edge, work in ((found.least, 100 + 500 / GPU_SPREAD), (found.most, 100 + 500 * GPU_SPREAD)):
        assert edge.work_seconds == pytest.approx(work)
        assert edge.wall_seconds == pytest.approx(work + SECONDS_PER_RUN)
        assert edge.gpu_hours == pytest.approx(work / 3600)
        assert edge.price == pytest.approx((work + SECONDS_PER_RUN) / 100)
        assert (edge.least, edge.most) == (None, None)


def test_networks_that_are_guessed_are_named_once():
    cells = [planned(str(k), 1, guessed=k > 0, architecture=name)
             for k, name in enumerate(("resnet50", "cbr_tiny", "resnet18", "cbr_tiny"))]  # fmt: skip
    assert estimate(cells, GPUS).guessed == ("cbr_tiny", "resnet18")


@pytest.mark.parametrize(("resources", "guessed"), [(CORES, True), (GPUS, False)])
def test_on_a_cpu_or_without_guesses_there_are_no_edges(resources, guessed):
    found = estimate([planned("a", 60, guessed=guessed)], resources)
    assert (found.least, found.most, found.price) == (None, None, None)
    assert found.gpu_hours == pytest.approx(60 / 3600 if resources is GPUS else 0)


def test_shares_pack_each_at_its_own_and_no_share_is_too_large():
    """Two halves and a whole on one GPU: 60 / 2 + 60 / 2 + 100; on two cores two at a time."""
    cells = [planned("a", 60, share=0.5), planned("b", 60, share=0.5), planned("c", 100)]
    assert estimate(cells, GPUS).wall_seconds == pytest.approx(160 + SECONDS_PER_RUN)
    assert estimate(cells[:2], GPUS).gpu_hours == pytest.approx(60 / 3600)
    halves = [planned(str(k), 50, share=0.5) for k in range(4)]
    assert estimate(halves, CORES).wall_seconds == pytest.approx(100 + SECONDS_PER_RUN)
    few = Resources(device="cuda", cpus=1, cores=(2,), gpus=(1.0,))
    small = [planned(str(k), 50, share=1 / 16) for k in range(4)]
    assert estimate(small, few).gpu_hours == pytest.approx(4 * 50 * 0.5 / 3600), "half of the GPU each"
    nowhere = Resources(device="cuda", cpus=9, cores=(8,), gpus=(1.0,))
    assert estimate(cells[2:], nowhere).wall_seconds == pytest.approx(100 + SECONDS_PER_RUN)


# Codes


def code(digest):
    return Code("1.0", None, None, digest)


def trained(digest):
    return {"code": {"version": "1.0", "commit": None, "clean": None, "digest": digest}}


def test_a_plan_of_one_code_says_nothing_of_it():
    here = code("here")
    assert several_codes([], here, 5) == ""
    assert several_codes([trained("here")] * 3, here, 5) == ""
    assert several_codes([trained("other")] * 3, here, 0) == "", "nothing is trained here any more"
    assert several_codes([{}] * 3, here, 0) == ""


def test_every_code_is_counted_with_what_is_still_to_come():
    here = code("here")
    two = several_codes([trained("here"), trained("other"), trained("other")], here, 0)
    assert ": 1 by " in two
    assert "; 2 by " in two
    assert "will be" not in two
    assert "; 4 will be by " in several_codes([trained("here"), trained("other")], here, 4)
    assert "2 by code that left no version; 1 will be by " in several_codes([{}, {}], here, 1)
