"""Folders of earlier versions: each schema's is kept, tiny, and opened by the plan and the analysis."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import analysis
from sweeps import full_grid
from sweeps.planning import history
from transfusion.cell import SCHEMA

FOLDERS = sorted((Path(__file__).parents[2] / "helpers").glob("schema_*"))
AXES = ("--architectures", "cbr_tiny", "--train-images", "32", "--inits", "random", "--freeze", "none")
SETTINGS = ("--recipe", "epochs=2", "upstream_images=32", "upstream_epochs=1", "image_size=24")


def test_every_earlier_schema_is_kept():
    assert [folder.name for folder in FOLDERS] == [f"schema_{number}" for number in range(1, SCHEMA)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_plan_names_the_cells_of_an_earlier_schema(folder, tmp_path, phantom_folder, capsys):
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    finished = len(history.read(out / "cells").records)
    assert finished
    data = ("--data", str(phantom_folder), "--dry-run", "--out", str(out))
    assert full_grid.main(["--preset", "smoke", *AXES, *SETTINGS, *data]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"finished before: {finished} that came from another version of this package" in said
    assert len(history.read(out / "cells").records) == finished, "something was taken away"


@pytest.mark.usefixtures("unsaved")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_analysis_reads_the_cells_of_an_earlier_schema(folder, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    analysis.run(out)
    trials = pd.read_parquet(out / "evidence" / "trials.parquet")
    assert (trials["status"] == "done").all()
    assert len(trials) == len(history.read(out / "cells").records)
    tested = trials[trials["kind"] == "grid"]
    assert tested["test_auroc"].between(0, 1).all()
    assert "cbr_tiny" in set(tested["architecture"])
    assert (out / "report.html").stat().st_size > 1000
