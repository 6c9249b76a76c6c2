"""The whole smoke grid through the command, on data in every layout that it reads."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from other_layouts import as_nih, as_own_table
from real_csv import unpacked

from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 2,000 rows of CheXpert's real training CSV, drawn by the command that draws."""
    folder = tmp_path_factory.mktemp("real")
    labels = unpacked("chexpert_train.csv.gz", folder / "labels.csv", lines=2_001)
    options = ["--labels", str(labels), "--size", "32"]
    command = [sys.executable, "-m", "transfusion.phantom", str(folder / "phantom"), *options]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "phantom"


def smoke(out: Path, *options: str) -> None:
    """Runs the grid in an interpreter of its own; it must end well, every cell done and the report there."""
    script = Path(__file__).parents[2] / "sweeps" / "full_grid.py"
    command = [sys.executable, str(script), "--preset", "smoke", "--out", str(out), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    trials = pd.read_parquet(out / "evidence" / "trials.parquet")
    assert len(trials) > 0
    assert set(trials["cell_id"]) == set(pd.read_parquet(out / "plan.parquet")["cell_id"])
    assert (trials["status"] == "done").all()
    assert trials.loc[trials["kind"] == "grid", "test_auroc"].between(0, 1).all()
    assert (out / "report.html").stat().st_size > 100_000


def test_smoke_on_the_first_rows_of_the_real_csv(real_rows: Path, tmp_path: Path) -> None:
    assert (chexpert.read(real_rows, views="all").frame["part"] != "official").sum() == 2_000
    smoke(tmp_path / "out", "--data", str(real_rows))


def test_smoke_on_chestxray14s_layout(tmp_path: Path) -> None:
    drawn = writing.write(tmp_path / "phantom", Phantom(images=4_000, size=32))
    smoke(tmp_path / "out", "--dataset", "nih", "--data", str(as_nih(drawn, tmp_path / "nih")))


def test_smoke_on_a_table_of_the_users_own(real_rows: Path, tmp_path: Path) -> None:
    csv = as_own_table(real_rows, tmp_path / "own")
    columns = ["--path-column", "file", "--patient-column", "person", "--blank", "zeros"]
    columns += ["--uncertain", "Edema=ones", "Consolidation=zeros"]
    smoke(tmp_path / "out", "--dataset", "table", "--data", str(csv), *columns)
