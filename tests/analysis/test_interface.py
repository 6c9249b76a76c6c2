"""Ways into the results: the Python interface, other readers of Parquet, tables alone, the notebook."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cell_folders
import nbformat
import numpy as np
import pandas as pd
import pytest
from cell_folders import ARMS, grid, predictions, write_cell, write_plan
from nbclient import NotebookClient

import analysis

ROOT = Path(__file__).parents[2]


WITHOUT = """
import sys
absent = {'torch', 'ray', 'transfusion', 'sweeps', 'lightning', 'pytorch_lightning'}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in absent:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from analysis.__main__ import main
from analysis.figures import draw
draw.save = lambda *_: None  # as the fixture `unsaved`
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A grid of two networks and sizes, analysed by a process that can import neither torch nor Ray."""
    out = tmp_path_factory.mktemp("small")
    cells = cell_folders.grid(("resnet50", "cbr_tiny"), (100, 200), cell_folders.ARMS[:3])
    cell_folders.write_plan(out, cells)
    rng = np.random.default_rng(0)
    for cell in cells:
        cell_folders.write_cell(out, cell, test=cell_folders.predictions(0.8, rng, patients=40))
    (out / "sweep.json").write_text(json.dumps(cell_folders.SWEEP))
    command = [sys.executable, "-c", WITHOUT, str(out), *cell_folders.MARGINS]
    return out, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_needs_neither_torch_nor_ray_nor_the_trial(
    small: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, ran = small
    assert ran.returncode == 0, ran.stderr
    assert "Deep models are too difficult" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.usefixtures("unsaved")
def test_the_three_tables_alone_are_enough_and_give_the_same_numbers(
    small: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    out, _ = small
    (tmp_path / "evidence").mkdir()
    for name in ("trials", "epochs", "predictions"):
        shutil.copy(out / "evidence" / f"{name}.parquet", tmp_path / "evidence")
    summary = analysis.run(tmp_path, {"auroc": 0.03, "loss": 0.2})
    columns = ["claim", "estimate", "low", "high", "margin"]
    ours = analysis.load(out).verdicts
    assert ours["estimate"].notna().sum() > 5
    kept = ours["metric"] != "spikes"  # spikes need the steps, which were not mailed
    pd.testing.assert_frame_equal(summary.verdicts[columns][kept], ours[columns][kept], check_dtype=False)
    assert summary.collection is None
    assert (tmp_path / "report.html").exists()


def test_every_figure_and_estimate_is_one_call(done: Path) -> None:
    evidence = analysis.load(done)
    for name in analysis.FIGURES:
        assert analysis.figure(evidence, name).axes, name
    with pytest.raises(ValueError, match="expected one of verdicts"):
        analysis.figure(evidence, "figure7")
    terms = (analysis.Term(1, 800), analysis.Term(-1, 100))
    ours = analysis.estimate(evidence, analysis.Contrast("mine", "test_auroc", terms, "AUROC"))
    levels = evidence.estimates.query("metric == 'test_auroc' and init == 'random'").dropna(subset=["freeze"])
    mean = levels.groupby("train_images")["estimate"].mean()
    assert ours["estimate"] == pytest.approx(mean[800] - mean[100])
    term = analysis.Term
    for wrong, message in (
        ({"terms": (term(1, 999),)}, r"train_images: found 999; expected one of 100, 200, 400, 800"),
        ({"terms": (term(1, 800, "imagenet"),)}, "init: found 'imagenet'; expected one of random, photos"),
        ({"terms": term(1, 800)}, "terms: found Term.*; expected a tuple of Term"),
        ({"metric": "auroc"}, "metric: found 'auroc'; expected one of test_auroc"),
        ({"across": "median"}, "across: found 'median'; expected one of mean, log2_depth"),
        ({"architectures": "resnet50"}, r"architectures: found 'resnet50'; expected a tuple of names"),
        ({"architectures": ("resnet",)}, "architectures: found 'resnet'; expected one of resnet50"),
        ({"across": "difference"}, "group: found none"),
        ({"replicate": "run"}, "replicate: found 'run'; expected one of seed, count"),
    ):
        asked = {"name": "mine", "metric": "test_auroc", "terms": terms, "unit": "AUROC", **wrong}
        with pytest.raises(ValueError, match=message):
            analysis.estimate(evidence, analysis.Contrast(**asked))
    balanced = analysis.Contrast("mine", "test_auroc", (term(1, 800, "random", "backbone"),), "AUROC")
    with pytest.raises(ValueError, match="mine: 7 cells missing: the grid plans no cells"):
        analysis.estimate(evidence, balanced)


@pytest.mark.usefixtures("unsaved")
@pytest.mark.parametrize("writer", [pytest.param("polars", marks=pytest.mark.slow), "duckdb"])
def test_tables_are_read_and_written_by_others(
    small: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, writer: str
) -> None:
    """Their numbers are ours when they read, and so are the verdicts when they have written the tables."""
    other = pytest.importorskip(writer)
    out, _ = small
    (tmp_path / "evidence").mkdir()
    for file in sorted((out / "evidence").glob("*.parquet")):
        new = tmp_path / "evidence" / file.name
        if writer == "polars":
            frame = other.read_parquet(file)
            rows = len(frame)
            frame.write_parquet(new)
        else:
            with other.connect() as connection:
                rows = connection.execute(f"SELECT count(*) FROM '{file}'").fetchone()[0]
                connection.execute(f"COPY (SELECT * FROM '{file}') TO '{new}' (FORMAT parquet)")
        assert rows == len(pd.read_parquet(file)), file.name
    mine = {"auroc": 0.03, "loss": 0.2}
    analysis.run(tmp_path, mine)
    pd.testing.assert_frame_equal(analysis.load(tmp_path).verdicts, analysis.load(out).verdicts)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUT", str(shutil.copytree(done / "evidence", tmp_path / "evidence").parent))
    assert pictures_of_the_notebook() == len(analysis.FIGURES)


def pictures_of_the_notebook() -> int:
    """How many pictures the notebook shows when it is run from top to bottom."""
    notebook = nbformat.read(ROOT / "analysis" / "results.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    folder = {"metadata": {"path": str(ROOT / "analysis")}}
    ran = NotebookClient(notebook, timeout=900, resources=folder).execute()
    shown = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in shown)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architectures", "arms"),
    [
        (("resnet18", "cbr_tiny"), ARMS),
        (("resnet18", "cbr_tiny"), ARMS[:3]),
        (("cbr_tiny",), ARMS[:1]),
    ],
    ids=["two networks, as in smoke", "without Consolidation", "one network from scratch"],
)
def test_the_notebook_runs_on_other_grids(
    architectures: tuple[str, ...],
    arms: tuple[tuple[str, str], ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells, rng = grid(architectures, sizes=(24, 48), arms=arms, seeds=2), np.random.default_rng(0)
    write_plan(tmp_path, cells)
    for cell in cells:
        write_cell(tmp_path, cell, auroc=0.75, test=predictions(0.75, rng, patients=40))
    monkeypatch.setenv("OUT", str(tmp_path))
    drawn = pictures_of_the_notebook()
    assert 0 < drawn < len(analysis.FIGURES)
    assert drawn == len(list((tmp_path / "figures").glob("*.png")))
