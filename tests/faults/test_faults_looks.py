"""A sweep with looks, killed while a look's cells train: the same looks, verdicts and tables to the bit."""

import dataclasses
import json
import shutil
import subprocess

import pandas as pd
import pytest
from fault_grid import PATIENCE, ROOT, Grid, Witness, wait_for
from fault_table import note

from analysis.tables.conditions import CONDITION

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SEEDS = (2, 3)
TIMES = ("seconds", "hours", "per_second", "started", "finished", "host")
TABLES = (
    "trials", "epochs", "steps", "range_tests", "predictions", "estimates", "verdicts", "findings",
    "decisions",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Looked(Grid):
    """The grid of the fault suite with all three starts, its seeds in looks."""

    inits: tuple[str, ...] = ("random", "photos", "consolidation")

    def command(self, *options):
        command = super().command("--until-decided", "--looks", *map(str, SEEDS), *options)
        at = command.index("--seeds")
        return command[:at] + command[at + 2 :]

    def looks(self):
        """The looks taken so far."""
        file = self.out / "looks.json"
        return json.loads(file.read_text())["taken"] if file.exists() else []

    def evidence(self, name):
        """One table, without what a clock or a machine's name says."""
        frame = pd.read_parquet(self.out / "evidence" / f"{name}.parquet")
        frame = frame.drop(columns=[column for column in frame if column.endswith(TIMES)])
        keys = [column for column in ("cell_id", "epoch", "step", "split", "image") if column in frame]
        return frame.sort_values(keys, ignore_index=True) if keys else frame


@pytest.fixture
def looked(grid_of):
    """A function from a name to such a grid."""

    def grid(name):
        plain = grid_of(name)
        return Looked(plain.out, plain.data, plain.cache)

    return grid


def test_killed_in_both_looks_and_equal_to_the_bit(looked, record_property):
    alone, killed = looked("looks-alone"), looked("looks-killed")
    alone.finish()
    witness = Witness(killed)
    for look in (0, 1):
        driver = killed.start()
        try:
            assert wait_for(lambda at=look: len(killed.looks()) == at, driver, killed), killed.log()
            assert wait_for(lambda at=look: _under_way(killed, at), driver, killed), killed.log()
        finally:
            driver.kill()
            driver.wait()
        assert len(killed.looks()) == look
        witness.look()
    printed = killed.finish()
    assert "Look 2 of 2, after 3 seeds" in printed
    witness.look()
    assert (witness.lost, witness.twice) == (set(), set())
    assert (killed.out / "looks.json").read_bytes() == (alone.out / "looks.json").read_bytes()
    assert [one["seeds"] for one in killed.looks()] == list(SEEDS)
    for name in TABLES:
        assert killed.evidence(name).equals(alone.evidence(name)), name
    starts = killed.starts()
    again = killed.finish()
    assert killed.starts() == starts, "the same command on an ended study trains nothing"
    assert "No further look is planned" in again
    note(record_property, "kill -9 of the driver in both of two looks", 2, len(starts))


def test_killed_between_the_looks_of_a_store_and_gone_on_with_by_another_machine(
    looked, store, record_property
):
    """The driver is killed as soon as the first look has been taken; the machine that goes on has no copy."""
    alone, stored = looked("looks-alone"), looked("looks-stored")
    if len(alone.looks()) < len(SEEDS):
        alone.finish()
    at_store = dataclasses.replace(stored, out=store.mirror())
    command = at_store.command("--wait")
    command[command.index("--out") + 1] = store.uri
    driver = _driver(command, stored)
    try:
        assert wait_for(lambda: len(at_store.looks()) == 1, driver, stored), stored.log()
    finally:
        driver.kill()
        driver.wait()
    before = json.loads(store.content("looks.json") or b'{"taken": []}')["taken"]
    assert len(before) <= 1
    shutil.rmtree(store.mirror())
    driver = _driver(command, stored)
    assert driver.wait(timeout=2 * PATIENCE) == 0, stored.log()
    assert "Look 2 of 2, after 3 seeds" in stored.whole_log()
    assert (at_store.out / "looks.json").read_bytes() == (alone.out / "looks.json").read_bytes()
    assert store.content("looks.json") == (alone.out / "looks.json").read_bytes()
    for name in TABLES:
        assert at_store.evidence(name).equals(alone.evidence(name)), name
    twice = {cell for cell, starts in at_store.starts().items() if starts > 1}
    assert len(twice) <= 1, "what had finished before the look was trained again"
    note(
        record_property,
        "kill -9 of a store's driver between two looks, its copy gone",
        1,
        len(at_store.starts()),
    )


def _driver(command, grid):
    """The driver of a sweep in the store; what it prints is in the log of `grid`."""
    with (grid.out.parent / f"{grid.out.name}.log").open("a") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def _under_way(grid, look):
    """Whether a cell of the look has finished, and another one has been started."""
    before = len(grid.looks()[0]["cells"]) if look else 0
    done = len(grid.finished())
    return done > before and sum(grid.starts().values()) > done


def test_what_no_open_claim_needs_is_not_trained_further(looked):
    grid = looked("looks-alone")
    if len(grid.looks()) < len(SEEDS):
        grid.finish()
    first = grid.looks()[0]
    trials = pd.read_parquet(grid.out / "evidence" / "trials.parquet").query("kind == 'grid'")
    last = trials[trials["seed"] == SEEDS[-1] - 1]
    needed = {tuple(axes[name] for name in CONDITION) for axes in first["needs"]}
    trained = set(last.fillna({"balance": "natural"})[list(CONDITION)].itertuples(index=False, name=None))
    assert trained == needed
    assert set(last["freeze"]) == {"none"}, "no needed claim is about frozen features"
    assert set(trials[trials["seed"] == 0]["freeze"]) == {"none", "backbone"}
    assert set(last["init"]) == {"random", "photos", "consolidation"}
