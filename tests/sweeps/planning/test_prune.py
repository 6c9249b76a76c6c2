"""Cells that no plan names: listed first, removed when asked again."""

import dataclasses

from sweeps.planning import history, plan
from sweeps.planning.cost import CostModel
from sweeps.planning.prune import prune
from sweeps.presets import demo
from transfusion.cell import cell_id
from transfusion.records import results

RECIPE = demo().recipe
COST = CostModel(device="cpu", evaluation_images=1, selection_images=1)


def finish(out, cell, recipe=RECIPE):
    folder = out / "cells" / cell_id(cell, recipe, "data")
    results.write_result(
        folder,
        results.Origin(cell=cell, recipe=recipe, fingerprint="data"),
        results.Outcome(status="done", metrics={}),
        environment={},
        started="",
        finished="",
    )
    return folder


def ask(out, wanted):
    past = history.read(out / "cells")
    return prune(plan.make(wanted, RECIPE, "data", past, COST), past, out)


def test_listed_when_asked_and_removed_when_asked_again(tmp_path):
    wanted = demo().cells()
    kept = finish(tmp_path, wanted[0])
    old = finish(tmp_path, wanted[0], dataclasses.replace(RECIPE, epochs=99))
    begun = tmp_path / "cells" / "begun"
    begun.mkdir()
    first = ask(tmp_path, wanted)
    assert (first.listed, first.removed) == (sorted([old.name, "begun"]), [])
    assert first.freed > 0
    assert old.exists()
    second = ask(tmp_path, wanted)
    assert (second.listed, second.removed) == ([], sorted([old.name, "begun"]))
    assert not old.exists()
    assert not begun.exists()
    assert kept.exists()
    assert ask(tmp_path, wanted).listed == []


def test_what_was_not_on_the_list_is_listed_and_not_removed(tmp_path):
    wanted = demo().cells()
    old = finish(tmp_path, wanted[0], dataclasses.replace(RECIPE, epochs=99))
    ask(tmp_path, wanted)
    newer = finish(tmp_path, wanted[1], dataclasses.replace(RECIPE, epochs=99))
    found = ask(tmp_path, wanted)
    assert (found.listed, found.removed) == (sorted([old.name, newer.name]), [])
    assert old.exists()
    assert newer.exists()


def test_what_the_last_executed_plan_names_stays(tmp_path):
    wanted = demo().cells()
    executed = plan.make(wanted, RECIPE, "data", history.read(tmp_path / "cells"), COST)
    plan.write(executed, tmp_path / "plan.parquet")
    folder = finish(tmp_path, wanted[-1])
    assert ask(tmp_path, wanted[:1]).listed == []
    assert folder.exists()
