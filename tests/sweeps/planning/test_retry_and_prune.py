"""`--retry-failed` and `--prune` by the real command: failed cells again, cells that no plan names away."""

import dataclasses

import pytest
from fault_grid import Witness

from transfusion.records import results

pytestmark = pytest.mark.slow


@pytest.fixture
def grid(grid_of, tmp_path):
    """A finished grid: one upstream cell, two that start from it, one that does not."""
    grid = dataclasses.replace(grid_of("retried"), out=tmp_path / "out")
    grid.finish()
    return grid


def statuses(grid):
    return {one: record["status"] for one, (record, _) in grid.tables().items()}


def test_failed_cells_stay_until_they_are_asked_for_again(grid):
    records = {one: results.read_result(grid.out / "cells" / one) for one in grid.finished()}
    victims = {one for one, record in records.items() if record["upstream"]}
    (upstream,) = {records[one]["upstream"] for one in victims}
    weights = grid.out / "cells" / upstream / results.WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    for one in victims:
        results.reopen(grid.out / "cells" / one)

    first = grid.run("--fail-fast")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "Stopped: --fail-fast: cell" in first.stdout
    failed = grid.run()
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "Failed cells" in failed.stdout
    assert {one for one, status in statuses(grid).items() if status == "failed"} == victims
    for one in victims:
        assert "Error" in (grid.out / "cells" / one / results.TRACEBACK).read_text()

    weights.write_bytes(whole)
    witness, starts = Witness(grid), grid.starts()
    witness.look()
    assert grid.run().returncode == 1
    assert grid.starts() == starts, "a failure is not tried again unasked"
    grid.finish("--retry-failed")
    assert set(statuses(grid).values()) == {"done"}
    witness.look()
    assert witness.twice == victims
    assert not any((grid.out / "cells" / one / results.TRACEBACK).exists() for one in victims)


def test_cells_that_no_plan_names_are_listed_and_then_removed(grid):
    before = grid.finished()
    random = ("--inits", "random")
    (kept,) = (one for one, (record, _) in grid.tables().items() if record["cell"]["init"] == "random"
               and record["cell"]["kind"] == "grid")  # fmt: skip
    assert "nothing to prune" in grid.finish("--prune")
    assert "nothing to prune" in grid.finish(*random, "--prune"), "the last plan that ran still names them"
    grid.finish(*random)
    listed = grid.finish(*random, "--prune")
    assert "3 cells" in listed
    assert all(one in listed for one in before.keys() - {kept})
    assert grid.finished() == before, "the first time they are only listed"
    assert "Removed 3 cells" in grid.finish(*random, "--prune")
    assert grid.finished() == {kept: before[kept]}
    assert "nothing to prune" in grid.finish(*random, "--prune")
