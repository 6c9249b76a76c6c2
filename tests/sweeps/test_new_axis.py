"""A new axis with a default is a field of `Cell`: everything of `sweeps` that names axes follows from it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AXIS = """    mirror: str = field(
        default="never",
        metadata={
            "choices": ("never", "half"), "plural": "mirrors", "words": "mirrored {}", "help": "flips"
        },
    )
    seed: int = field("""

FAILED = """
from sweeps.running.progress import failure_table
from rich.console import Console
cell = {"architecture": "cbr_tiny", "train_images": 8, "mirror": "half"}
Console(width=200).print(failure_table([{"cell_id": "0", "cell": cell, "failure": "error", "error": "x"}]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the packages with an axis more, which one file tells of."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("sweeps", "transfusion", "analysis"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "transfusion_sweep.py", copy)
    shutil.copy(ROOT / "pyproject.toml", copy)
    file = copy / "transfusion" / "cell.py"
    text = file.read_text()
    assert text.count("    seed: int = field(") == 1
    file.write_text(text.replace("    seed: int = field(", AXIS))
    return copy


def said(tree, *command, status=0):
    done = subprocess.run(
        [sys.executable, *command], cwd=tree, env={"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_it_is_an_option_of_the_space_with_rows_in_the_plan(tree, phantom_folder):
    options = [
        "--architectures", "cbr_tiny", "--train-images", "32", "--inits", "random",
        "--data", str(phantom_folder), "--mirrors", "never",
    ]  # fmt: skip
    command = ["sweeps/full_grid.py", "--preset", "smoke", "--dry-run", *options]
    assert "mirror" not in said(tree, *command), "an axis at its default takes no rows"
    plan = said(tree, *command, "half")
    assert re.search(r"mirror[ |]+never[ |]+1 .*\n[ |]+half[ |]+1 ", plan)
    assert re.search(r"all[ |]+2 ", plan)


def test_a_value_that_it_has_not_is_refused(tree):
    error = said(tree, "sweeps/full_grid.py", "--mirrors", "always", status=2)
    assert "argument --mirrors: invalid choice: 'always'" in error


def test_it_is_in_the_table_of_failed_cells(tree):
    assert "cbr_tiny, 8 images, random, mirrored half, seed 0" in said(tree, "-c", FAILED)
