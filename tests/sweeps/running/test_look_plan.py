"""Looks as the plan of a sweep: which cells each asks for, what ends it, what is refused."""

import dataclasses
import io
import json
from contextlib import nullcontext

import pytest
from rich.console import Console

from sweeps import full_grid
from sweeps.options.overrides import refuse_half_asked
from sweeps.options.values import Options
from sweeps.presets import smoke
from sweeps.processes.stop import Stop
from sweeps.running import looks, rounds
from sweeps.running.look_costs import LookCost, over_budget, table, told
from sweeps.running.looks import LookPlan, axes_of, look_plan, refuse_other_cells
from sweeps.running.sweep import Sweep
from sweeps.storage.places import Places
from transfusion.cell import AXES, Cell
from transfusion.problems import SettingError

NAMES = [axis.name for axis in AXES if axis.name not in ("seed", "finding")]
SCRATCH = {
    "architecture": "cbr_tiny", "train_images": 64, "init": "random", "freeze": "none", "balance": "natural",
    "subset": 0,
}  # fmt: skip


def record(*taken, planned=3):
    return {
        "planned": planned, "seeds": [2, 3, 5, 8], "weights": [0.02, 0.08, 0.8, 0.05], "taken": list(taken),
    }  # fmt: skip


def look(seeds, needs, open_claims=("a claim",), cells=()):
    return {"seeds": seeds, "needs": needs, "open": list(open_claims), "cells": list(cells)}


def seeds_of(cells):
    """Condition -> its seeds."""
    found = {}
    for cell in cells:
        found.setdefault(axes_of(cell, NAMES), set()).add(cell.seed)
    return found


def test_the_first_look_asks_for_the_whole_grid_with_its_seeds():
    wanted = look_plan(record()).preset(smoke()).cells()
    assert {frozenset(seeds) for seeds in seeds_of(wanted).values()} == {frozenset({0, 1})}
    assert {dataclasses.replace(cell, seed=0) for cell in wanted} == set(smoke().cells())


def test_later_looks_ask_for_whole_blocks_of_seeds_of_what_is_needed_alone():
    first, second = look(2, [SCRATCH, {**SCRATCH, "train_images": 32}]), look(3, [SCRATCH])
    found = seeds_of(look_plan(record(first, second)).preset(smoke()).cells())
    at_64 = tuple(sorted(SCRATCH.items()))
    at_32 = tuple(sorted({**SCRATCH, "train_images": 32}.items()))
    assert found.pop(at_64) == {0, 1, 2, 3, 4}
    assert found.pop(at_32) == {0, 1, 2}
    assert set(map(frozenset, found.values())) == {frozenset({0, 1})}


def test_a_round_is_the_same_plan_whenever_it_is_made():
    """So that a killed driver goes on with what is left of it."""
    now = record(look(2, [SCRATCH]))
    assert (
        look_plan(now).preset(smoke()).cells()
        == look_plan(json.loads(json.dumps(now))).preset(smoke()).cells()
    )


def test_looks_to_come_cost_at_most_what_is_needed_now():
    plan = look_plan(record(look(2, [SCRATCH])))
    found = seeds_of(plan.preset(smoke(), 3).cells())
    assert found[tuple(sorted(SCRATCH.items()))] == set(range(5))
    assert sum(len(seeds) for seeds in found.values()) == 2 * len(found) + 3
    assert len(look_plan(record()).preset(smoke(), 3).cells()) == 5 * len(smoke().cells())


@pytest.mark.parametrize(
    ("taken", "ended", "rounds"),
    [
        ((), False, 1),
        ((look(2, [SCRATCH]),), False, 2),
        ((look(2, [], ()),), True, 1),
        ((look(2, [SCRATCH]), look(3, [SCRATCH]), look(5, [SCRATCH])), True, 3),
    ],
)
def test_looks_end_where_nothing_is_open_or_none_is_left(taken, ended, rounds):
    plan = look_plan(record(*taken))
    assert (plan.ended, plan.looks) == (ended, rounds)
    assert plan.preset(smoke()).cells()


def test_a_reserved_look_that_is_added_goes_on_with_what_was_open():
    three = [look(2, [SCRATCH]), look(3, [SCRATCH]), look(5, [SCRATCH])]
    plan = look_plan(record(*three, planned=4))
    assert not plan.ended
    assert seeds_of(plan.preset(smoke()).cells())[tuple(sorted(SCRATCH.items()))] == set(range(8))


def test_nothing_is_asked_for_twice_and_an_own_condition_holds():
    one = dataclasses.replace(smoke(), where=lambda cell: cell.train_images == 64)
    cells = look_plan(record(look(2, [SCRATCH]))).preset(one).cells()
    assert {cell.train_images for cell in cells} == {64}
    assert len(cells) == len(set(cells))


COSTS = [LookCost(2, 0.1, 40, 3.0, True), LookCost(3, 0.9, 20, 2.0, False)]
PLAN = LookPlan(
    (2, 3), (0.1, 0.9), (5,), (frozenset({tuple(sorted(SCRATCH.items()))}),), (look(2, [SCRATCH]),)
)


def test_a_budget_ends_before_the_look_that_would_exceed_it():
    assert over_budget(PLAN, COSTS, 5.0, "GPU-hours") == ""
    text = over_budget(PLAN, COSTS, 4.9, "GPU-hours")
    assert "before the look after 3 seeds" in text
    assert "about 5 GPU-hours, more than the budget of 4.9. 3 are spent" in text


def test_a_look_that_was_begun_is_ended_whatever_the_budget():
    begun = [COSTS[0], dataclasses.replace(COSTS[1], begun=True)]
    assert over_budget(PLAN, begun, 1.0, "GPU-hours") == ""


def test_a_budget_below_the_first_look_starts_nothing():
    with pytest.raises(SettingError, match=r"--budget: found 1 core-hours, expected at least 3, .*2 seeds"):
        over_budget(
            LookPlan((2, 3), (0.1, 0.9)), [dataclasses.replace(COSTS[0], begun=False)], 1, "core-hours"
        )


def test_the_table_of_looks_says_what_is_taken_next_and_at_most():
    shown = table(look_plan(record()), [*COSTS, LookCost(5, 0.8, 20, 7.0, False)], "GPU-hours")
    rows = list(zip(*(list(column.cells) for column in shown.columns), strict=True))
    assert [row[-1] for row in rows] == ["next", "if need be", "if need be"]
    assert [row[4] for row in rows] == ["3.00", "up to 2.00", "up to 7.00"]
    assert [row[5] for row in rows] == ["3.00", "5.00", "12.00"]
    assert "8 seeds" in shown.caption


def test_what_a_look_decided_is_told():
    taken = {
        "seeds": 3, "conjectures": {"4": "refuted"}, "claims": {"x": "refuted"}, "open": ["y"],
        "too_few_patients": [],
    }  # fmt: skip
    text = told(taken, PLAN)
    assert "Decided: conjecture 4 refuted, x refuted. Open: y." in text
    assert "test patients are too few: z." in told({**taken, "too_few_patients": ["z"]}, PLAN)
    assert "Decided: nothing" in told({**taken, "conjectures": {}, "claims": {}}, PLAN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(looks=(2, 3)), "--looks: found no --until-decided"),
        (Options(budget=3.0), "--budget: found no --until-decided"),
        (Options(until_decided="claims", axes={"seed": 3}), "--seeds: found --until-decided too"),
        (Options(until_decided="claims", budget=0.0), "--budget: found 0, expected hours above 0"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        refuse_half_asked(options)


def test_the_command_refuses_them_with_status_2(tmp_path, capsys):
    assert full_grid.main(["--looks", "2", "3", "--budget", "1", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "Nothing was started" in said
    assert "--looks: found no --until-decided" in said
    assert "--budget: found no --until-decided" in said


def test_an_out_with_looks_is_left_alone_by_a_command_without(tmp_path, capsys):
    (tmp_path / looks.FILE).write_text("{}")
    assert full_grid.main(["--out", str(tmp_path)]) == 2
    assert "expected --until-decided" in capsys.readouterr().err


def test_looks_on_other_cells_are_refused():
    plan = look_plan(record(look(2, [SCRATCH], cells=("a", "b", "c"))))
    refuse_other_cells(plan, {"a", "b", "c", "d"})
    with pytest.raises(SettingError, match=r"looks.json: found 2 cells that a look was taken on"):
        refuse_other_cells(plan, {"a"})


def test_the_grid_that_is_fixed_names_every_axis_but_the_seed():
    grid = looks.grid_of(smoke())
    assert grid["train_images"] == [32, 64]
    assert grid["init"] == ["consolidation", "photos", "random"]
    assert grid["conditions"] == [2 * 2 * 5]
    assert "seed" not in grid
    absent = {"seed", "subset"}  # the usual order alone: as before there was the axis
    assert set(grid) == {axis.name for axis in AXES if axis.name not in absent} | {"conditions"}
    assert Cell(architecture="cbr_tiny", train_images=32).seed == 0


def test_what_goes_wrong_between_looks_is_not_told_as_nothing_started(tmp_path, monkeypatch):
    """The second round cannot start Ray, say; the first has trained and is kept."""
    for name in ("take", "no_phantom_if_refused"):
        monkeypatch.setattr(rounds.ownership, name, lambda *args: nullcontext())
    monkeypatch.setattr(rounds.marked, "marked", lambda *args: nullcontext())
    monkeypatch.setattr(rounds, "looks_of", lambda sweep: None)
    monkeypatch.setattr(rounds, "next_look", lambda sweep: sweep)
    made = []

    def one_round(sweep, status=0):
        made.append(status)
        if len(made) == 3:
            raise SettingError("Ray: could not start")
        return 0

    monkeypatch.setattr(rounds, "train_and_conclude", one_round)
    console = Console(file=io.StringIO(), width=200)
    places = Places(tmp_path, tmp_path / "cache")
    assert rounds.run(Sweep(Options(), smoke(), places, console, Stop())) == 1
    assert len(made) == 3
    said = console.file.getvalue()
    assert "Stopped before the next look: Ray: could not start" in said
    assert "the same command continues" in said
