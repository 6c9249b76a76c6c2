"""Every data set that the command reads, and what it refuses."""

import io
import re
import shutil

import pytest
from one_trial import run_trial
from other_layouts import as_nih, as_own_table
from rich.console import Console

from sweeps import full_grid
from sweeps.inputs.data import name_of, prepare, read_dataset
from sweeps.options.command_line import options_of
from sweeps.options.overrides import preset_of
from transfusion.cell import Cell
from transfusion.layouts import chexpert

SMALL = ["--preset", "smoke", "--architectures", "cbr_tiny", "--train-images", "8", "16", "--inits", "random"]


@pytest.fixture(scope="module")
def folders(phantom_folder, tmp_path_factory):
    nih = as_nih(phantom_folder, tmp_path_factory.mktemp("nih"))
    table = as_own_table(phantom_folder, tmp_path_factory.mktemp("own"))
    columns = ["--path-column", "file", "--patient-column", "person"]
    columns += ["--blank", "zeros", "--uncertain", "Edema=ones"]
    return {
        "chexpert": ["--data", str(phantom_folder)],
        "nih": ["--dataset", "nih", "--data", str(nih)],
        "table": ["--dataset", "table", "--data", str(table), *columns],
    }


@pytest.mark.parametrize("dataset", ["chexpert", "nih", "table"])
def test_every_data_set_is_planned(folders, dataset, tmp_path, capsys):
    status = full_grid.main([*SMALL, *folders[dataset], "--dry-run", "--out", str(tmp_path / "out")])
    text = capsys.readouterr().out
    assert status == 0, text
    assert re.search(r"all\s+2\s+0\s+0\s+2", text)


def test_a_table_of_the_users_own_trains_and_has_no_official_area(folders, tmp_path, quick):
    options = options_of([*SMALL, *folders["table"]])
    dataset = read_dataset(preset_of(options), options, tmp_path, ["Edema"])
    cell = Cell(architecture="cbr_tiny", train_images=16)
    record = run_trial(cell, quick, dataset, cells=tmp_path / "cells", cache=tmp_path / "cache")
    assert record["status"] == "done", record["error"]
    assert 0 <= record["metrics"]["test_auroc"] <= 1
    assert record["metrics"]["official_auroc"] is None
    assert record["metrics"]["official_study_auroc"] is None


def test_decoding_shows_how_far_it_is_and_when_it_ends(phantom_folder, tmp_path, quick):
    dataset = chexpert.read(phantom_folder)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    prepare(dataset, quick, tmp_path / "cache", terminal)
    shown = terminal.file.getvalue()
    images = len(dataset.frame)
    assert "decoding images" in shown
    assert f"{images}/{images}" in shown
    assert re.search(r"\d:\d\d:\d\d|-:--:--", shown), "no estimate of the end"
    assert list((tmp_path / "cache").glob("*.cache"))


def test_an_image_that_breaks_later_fails_its_trial_and_is_named(phantom_folder, tmp_path, quick):
    shutil.copytree(phantom_folder, tmp_path / "data")
    dataset = chexpert.read(tmp_path / "data")
    victim = dataset.root / dataset.frame["image"][9]
    victim.write_bytes(victim.read_bytes()[:300])
    cell = Cell(architecture="cbr_tiny", train_images=16)
    record = run_trial(cell, quick, dataset, cells=tmp_path / "cells", cache=tmp_path / "cache")
    assert record["status"] == "failed"
    assert str(victim) in record["error"]
    assert str(victim) in (tmp_path / "cells" / record["cell_id"] / "traceback.txt").read_text()


@pytest.mark.parametrize(
    ("dataset", "arguments", "named"),
    [
        ("chexpert", ["--finding", "Gout"], "Gout"),
        ("nih", ["--finding", "Fracture"], "Fracture"),
        ("table", ["--finding", "Gout"], "Gout"),
        ("table", ["--path-column", "nowhere"], "nowhere"),
        ("chexpert", ["--dataset", "table"], "expected a CSV of labels"),
        ("chexpert", ["--uncertain", "Edema=perhaps"], "Edema=perhaps"),
    ],
)
def test_what_the_data_do_not_have_is_refused(folders, dataset, arguments, named, tmp_path, capsys):
    out = ["--dry-run", "--out", str(tmp_path / "out")]
    assert full_grid.main([*SMALL, *folders[dataset], *out, *arguments]) == 2
    assert named in capsys.readouterr().err


def test_label_policies_reach_the_recipe():
    options = options_of(
        ["--views", "all", "--blank", "ignore", "--uncertain", "Edema=ignore", "Fracture=ones"]
    )
    recipe = preset_of(options).recipe
    assert (recipe.views, recipe.blank) == ("all", "ignore")
    assert [recipe.uncertain_policy(f) for f in ("Edema", "Fracture", "Consolidation")] == [
        "ignore",
        "ones",
        "zeros",
    ]
    assert name_of(options) == "the embedded phantom"
