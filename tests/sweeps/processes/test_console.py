"""The terminal: paths as they are, narrow and plain ones readable, estimates that rest on something."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.planning.estimate import Estimate
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.processes.console import plain_locale, sweep_console
from sweeps.running import progress
from sweeps.running.progress import SweepProgress, failure_table, plan_table
from transfusion.cell import Cell, Recipe

ROOT = Path(__file__).parents[3]
ODD = "/data/runs [/v2]/run[red]1 :rocket: [bold]/with a very long name indeed, beyond any column/report.html"
LOCALES = ("LC_ALL", "LC_CTYPE", "LANG", "COLUMNS")


@pytest.fixture
def locale(monkeypatch):
    """Set the locale by the variables given, and by no other."""

    def put(**names):
        for name in LOCALES:
            monkeypatch.delenv(name, raising=False)
        for name, value in names.items():
            monkeypatch.setenv(name, value)

    return put


def printed(shown, width=80, terminal=True):
    file = io.StringIO()
    sweep_console(file=file, width=width, force_terminal=terminal, color_system=None).print(shown)
    return file.getvalue()


def cells_of(*architectures):
    grid = [Cell(architecture=one, train_images=200_000) for one in architectures]
    return [PlannedCell(one.architecture, one, None, 3600.0) for one in grid]


def plan_of(states, *architectures):
    return Plan(tuple(cells_of(*architectures)), states, (), {}, Recipe())


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_paths_and_messages_are_printed_as_they_are(width, terminal):
    shown = printed(f"report   {ODD}", width, terminal)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", f"report{ODD}")
    assert "name" in shown.split(), "words are whole"
    record = {"cell_id": "a", "cell": {"architecture": "cbr_tiny", "train_images": 8}, "failure": "error"}
    table = printed(failure_table([{**record, "error": ODD}], width), width, terminal)
    assert ODD.replace(" ", "")[:20] in re.sub(r"\s", "", table)


def test_a_path_without_spaces_is_never_broken():
    path = "/scratch/" + "deep/" * 30 + "report.html"
    assert path in printed(f"report   {path}", 40).split()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_plan_is_readable_at_any_width(width):
    plan = plan_of({"resnet50": "done"}, "cbr_large_wide", "resnet50")
    cost = Estimate(7200.0, 3600.0, 0.0, None)
    shown = printed(plan_table(plan, cost, 2, width), width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert "…" not in shown
    for word in ("cbr_large_wide", "resnet50", "200,000", "1:00 h", "seed"):
        assert word in shown, word


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        ({}, True),
        ({"LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # as Python itself sets it
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "C", "LC_ALL": "en_US.UTF-8"}, False),
    ],
)
def test_lines_are_drawn_in_ascii_where_the_locale_has_nothing_else(locale, names, plain):
    locale(**names)
    assert plain_locale() == plain
    plan = plan_of({}, "resnet50")
    shown = printed(plan_table(plan, Estimate(1.0, 1.0, 0.0, None), 1))
    assert shown.isascii() == plain
    assert "ü" in printed("/data/für"), "text passes as it is"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(42, "42 s"), (75, "1:15 min"), (2 * 3600 + 60, "2:01 h"), (1000 * 3600 + 1700, "1,000 h")],
)
def test_a_duration_is_told_no_finer_than_it_is_known(seconds, words):
    assert progress.duration(seconds) == words


def test_the_end_is_not_known_before_the_estimate_rests_on_something():
    """Two cells of an hour each, two at a time, that take 20 minutes; Ray needs 15 s to start."""
    clock = Clock()
    with SweepProgress(sweep_console(file=io.StringIO()), cells_of("resnet18", "cbr_tiny"), clock) as bar:
        assert "when it ends is not known yet" in bar.describe()
        clock.now = 15.0
        bar.epoch("resnet18", 1, 100)
        bar.epoch("cbr_tiny", 1, 100)
        assert "when it ends is not known yet" in bar.describe()
        clock.now = 15.0 + 12 * 9
        bar.epoch("resnet18", 10, 100)
        bar.epoch("cbr_tiny", 10, 100)
        seconds = bar._remaining()
        assert seconds == pytest.approx(12 * 90, rel=0.07)
        assert f"about {progress.duration(seconds)} left" in bar.describe()


def test_epochs_of_an_earlier_run_do_not_make_this_one_look_fast():
    clock = Clock()
    with SweepProgress(sweep_console(file=io.StringIO()), cells_of("resnet18"), clock) as bar:
        clock.now = 20.0
        bar.epoch("resnet18", 51, 100)
        clock.now = 120.0
        bar.epoch("resnet18", 61, 100)
        assert bar._remaining() == pytest.approx(390.0)


def run(code, **popen):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=60, check=False, **popen)


def test_output_outlasts_its_reader():
    code = (
        "import os, sys; from sweeps.processes.streams import outlast_readers; outlast_readers();"
        "from sweeps.processes.console import sweep_console; c = sweep_console();"
        "[c.print('x' * 1000) for _ in range(500)]; print('later', flush=True);"
        "sys.stderr.write('it lives'); open(sys.argv[1], 'w').write('to the end')"
    )
    read, write = os.pipe()
    os.close(read)
    done = run(code.replace("sys.argv[1]", "os.devnull"), stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "it lives")


def test_a_path_that_the_encoding_has_not_is_escaped():
    code = "from sweeps.processes.streams import outlast_readers; outlast_readers(); print('/data/f\\u00fcr')"
    done = run(code, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "/data/f\\xfcr\n")
