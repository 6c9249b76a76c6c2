"""What a plan does not need is not imported, what nobody wrote is not printed: in fresh processes."""

import ast
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.presets import smoke

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "pytorch_lightning", "ray", "sklearn", "statsmodels", "matplotlib")
PLAN = ["sweeps/full_grid.py", "--preset", "smoke", "--dry-run"]


def run(*command, status=0, **environment):
    """The process, ended, and its seconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == status, done.stderr
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def planned(tmp_path_factory, drawn):
    """Options and environment under which a plan was made before: its data lie there, the speed is kept."""
    place = tmp_path_factory.mktemp("planned")
    drawn(place / "out" / "phantom", smoke().phantom)
    home = {"XDG_CACHE_HOME": str(place / "home")}
    run(*PLAN, "--out", place / "out", **home)
    return ["--out", place / "out"], home


def imported(report):
    return {match[1] for match in re.finditer(r"import time: .*\| +([\w.]+)", report)}


def test_a_second_plan_imports_neither_torch_nor_ray(planned):
    options, home = planned
    done, seconds = run("-X", "importtime", *PLAN, *options, **home)
    assert "The plan" in done.stdout
    assert imported(done.stderr) & set(HEAVY) == set()
    assert "sweeps.planning.plan" in imported(done.stderr)
    assert seconds < 6, "1.6 s of a core where nothing else runs"


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["--version"], 0), (["--prset", "demo"], 2)]
)
def test_help_and_a_mistyped_option_import_next_to_nothing(arguments, status):
    done, seconds = run("-X", "importtime", "sweeps/full_grid.py", *arguments, status=status)
    assert len(imported(done.stderr)) > 20
    assert imported(done.stderr) & {*HEAVY, "numpy", "pandas", "pyarrow", "rich", "scipy"} == set()
    assert seconds < 1, "0.1 s of a core where nothing else runs"


COMMANDS = [
    ["sweeps/full_grid.py", "--help"],
    ["sweeps/full_grid.py", "--version"],
    ["-m", "analysis", "--help"],
    ["-m", "sweeps.full_grid", "--version"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_say_nothing_on_standard_error(command):
    assert run(*command)[0].stderr == ""


def test_plans_say_nothing_on_standard_error(planned, tmp_path):
    options, home = planned
    assert run(*PLAN, *options, **home)[0].stderr == ""
    measured = {"XDG_CACHE_HOME": str(tmp_path)}  # where torch is imported, and used
    assert run(*PLAN, *options, **measured)[0].stderr == ""


def test_what_is_refused_is_all_that_is_said(tmp_path):
    done, _ = run(*PLAN, "--out", tmp_path / "out", "--data", "/nowhere", status=2)
    assert done.stderr.startswith("Nothing was started.\n1 problem with the data:\n- /nowhere: found")
    assert len(done.stderr.splitlines()) == 3


def functions(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            yield node.name, [name for name in names if name not in ("self", "cls")]


def test_no_function_of_sweeps_has_more_than_seven_parameters():
    found = [
        f"{file.relative_to(ROOT)}: {name} has {len(names)}"
        for file in (ROOT / "sweeps").rglob("*.py")
        for name, names in functions(file)
        if len(names) > 7
    ]
    assert found == []


def test_at_most_ten_files_know_the_options():
    know = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "sweeps").rglob("*.py")
        if re.search(r"\bOptions\b|argparse", file.read_text())
    ]
    assert len(know) <= 10, know
    parse = [file.name for file in (ROOT / "sweeps").rglob("*.py") if "import argparse" in file.read_text()]
    assert parse == ["command_line.py"]
