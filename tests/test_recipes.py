"""The recipes of docs/extending.md on a copy of the tree: how many files each changes, and its way from the
command line to the report."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cell_folders import grid, write_cell, write_plan
from PIL import Image

import analysis

ROOT = Path(__file__).parents[1]
FILES = {"architecture": 1, "axis": 3, "dataset": 2, "measure": 1, "figure": 1}
"""How many files a recipe may change."""

SMALL = (
    "--preset", "smoke", "--inits", "random", "--freeze", "none", "--train-images", "32",
    "--recipe", "epochs=1", "range_test_steps=4",
)  # fmt: skip


def patches() -> dict[str, str]:
    """The patches of docs/extending.md by the name of their recipe."""
    text = (ROOT / "docs" / "extending.md").read_text()
    return dict(re.findall(r"<!-- (\w+) -->\n+```diff\n(.*?)```", text, flags=re.S))


def applied(name: str, folder: Path) -> Path:
    """A copy of the tree with the recipe `name` in it; how many files that changes is as promised."""
    tree = folder / "tree"
    for part in ("analysis", "sweeps", "transfusion", "tests"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for file in [*ROOT.glob("*.py"), ROOT / "pyproject.toml", ROOT / "README.md"]:
        shutil.copy(file, tree)
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)  # else a repository around it is meant
    patch = patches()[name]
    subprocess.run(["git", "apply"], cwd=tree, input=patch, text=True, check=True)
    assert len(re.findall(r"^diff --git", patch, flags=re.M)) <= FILES[name]
    return tree


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_fits_todays_files(name):
    """What the long tests below begin with, so that a change that breaks a recipe is noticed at once."""
    subprocess.run(["git", "apply", "--check"], cwd=ROOT, input=patches()[name], text=True, check=True)


def run(tree: Path, *command: str) -> str:
    """What a command of that tree prints; it must end well."""
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=tree, text=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(tree)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_every_recipe_has_a_patch():
    assert set(patches()) == set(FILES)


@pytest.mark.slow
def test_an_architecture_is_one_file_and_is_drawn_in_its_own_colour(tmp_path, phantom_folder):
    tree = applied("architecture", tmp_path)
    facts = "tests/transfusion/networks/test_architectures.py"
    assert " passed" in run(tree, "-m", "pytest", "-q", "-n", "0", facts, "-k", "mobilenet_v2")
    out = tmp_path / "out"
    networks = ("--architectures", "mobilenet_v2", "cbr_tiny")
    run(tree, "sweeps/full_grid.py", *SMALL, *networks, "--data", str(phantom_folder), "--out", str(out))
    found = analysis.load(out)
    assert set(found.trials["status"]) == {"done"}
    assert found.networks["mobilenet_v2"].network == "MobileNet-V2"
    drawn = np.asarray(Image.open(out / "figures" / "figure5.png").convert("RGB")).reshape(-1, 3)
    for colour in (found.networks["mobilenet_v2"].colour, found.networks["cbr_tiny"].colour):
        rgb = tuple(bytes.fromhex(colour.removeprefix("#")))
        assert (drawn == rgb).all(axis=1).any(), f"nothing is drawn in {colour}"
    assert "MobileNet-V2" in (out / "report.html").read_text()


@pytest.mark.slow
def test_an_axis_is_three_files_and_changes_results(tmp_path, phantom_folder):
    tree, out = applied("axis", tmp_path), tmp_path / "out"
    axes = ("--architectures", "cbr_tiny", "--flipped", "0", "40")
    run(tree, "sweeps/full_grid.py", *SMALL, *axes, "--data", str(phantom_folder), "--out", str(out))
    trials = pd.read_parquet(out / "evidence" / "trials.parquet").set_index("flipped")
    assert trials["status"].to_dict() == {0: "done", 40: "done"}
    assert trials["train_loss"].nunique() == 2
    levels = pd.read_parquet(out / "evidence" / "estimates.parquet").query("metric == 'train_loss'")
    assert {0, 40} <= set(levels["flipped"].dropna())
    plain = run(tree, "-c", IDENTITY)
    assert plain == run(ROOT, "-c", IDENTITY), "an axis at its default changes no identity"


IDENTITY = (
    "from transfusion.cell import *; "
    "print(cell_id(Cell(architecture='cbr_tiny', train_images=64), Recipe(), '0' * 16))"
)


@pytest.mark.slow
def test_a_data_set_is_two_files(tmp_path, phantom_folder):
    tree, out, data = applied("dataset", tmp_path), tmp_path / "out", tmp_path / "data"
    listed = phantom_folder / "CheXpert-v1.0-small" / "train.csv"
    shutil.copytree(listed.parent / "train", data)
    rows = pd.read_csv(listed)
    images = rows["Path"].str.removeprefix("CheXpert-v1.0-small/train/")
    table = pd.DataFrame({"image": images, "Edema": rows["Edema"]})
    table.to_csv(data / "labels.csv", index=False)
    asked = ("--dataset", "folders", "--data", str(data), "--architectures", "cbr_tiny")
    run(tree, "sweeps/full_grid.py", *SMALL, *asked, "--out", str(out))
    trials = pd.read_parquet(out / "evidence" / "trials.parquet")
    assert trials["status"].tolist() == ["done"]
    assert trials["test_auroc"].between(0, 1).all()
    predicted = pd.read_parquet(out / "evidence" / "predictions.parquet")
    assert set(predicted["patient"]) <= {path.name for path in data.iterdir()}
    assert (out / "report.html").stat().st_size > 1000
    table.assign(Edema="perhaps").to_csv(data / "labels.csv", index=False)
    ended = subprocess.run(
        [sys.executable, "sweeps/full_grid.py", *SMALL, *asked, "--out", str(out)],
        cwd=tree, text=True, capture_output=True,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "'perhaps'" in ended.stderr


@pytest.mark.slow
def test_a_measure_is_one_file_and_is_estimated(tmp_path):
    tree, out = applied("measure", tmp_path), tmp_path / "out"
    cells = grid(("cbr_tiny", "resnet18"), (100, 200), arms=(("random", "none"),))
    write_plan(out, cells)
    losses = {}
    for number, cell in enumerate(cells):
        file = out / "cells" / write_cell(out, cell) / "result.json"
        record = json.loads(file.read_text())
        losses[cell["architecture"], cell["train_images"]] = loss = 0.5 + 0.01 * number
        record["metrics"]["selection_loss"] = loss
        file.write_text(json.dumps(record))
    run(tree, "-m", "analysis", str(out))
    rows = pd.read_parquet(out / "evidence" / "estimates.parquet")
    levels = rows[(rows["metric"] == "selection_loss") & (rows["kind"] == "level")]
    assert len(levels) == len(losses)
    for row in levels.itertuples():
        assert row.estimate == losses[row.architecture, row.train_images]
        assert row.unit == "nats"


@pytest.mark.slow
def test_a_figure_is_one_file_and_stands_in_the_report(tmp_path):
    tree, out = applied("figure", tmp_path), tmp_path / "out"
    cells = grid(("cbr_tiny", "resnet18"), (100, 200), arms=(("random", "none"),))
    write_plan(out, cells)
    expected = {}
    for number, cell in enumerate(cells):
        file = out / "cells" / write_cell(out, cell) / "result.json"
        record = json.loads(file.read_text())
        expected[cell["architecture"], cell["train_images"]] = seconds = 10.0 + number
        record["metrics"]["train_seconds"] = seconds
        file.write_text(json.dumps(record))
    run(tree, "-m", "analysis", str(out))
    with Image.open(out / "figures" / "training_time.png") as image:
        assert min(image.size) > 500
    assert "What a run from scratch costs" in (out / "report.html").read_text()
    points = {tuple(point) for line in json.loads(run(tree, "-c", POINTS, str(out))) for point in line}
    assert points == {(size, seconds) for (_, size), seconds in expected.items()}


POINTS = """
import analysis, json, sys
(axes,) = analysis.figure(analysis.load(sys.argv[1]), "training_time").axes
pairs = [zip(line.get_xdata(), line.get_ydata()) for line in axes.lines]
print(json.dumps([[(float(x), float(y)) for x, y in pair] for pair in pairs]))
"""
