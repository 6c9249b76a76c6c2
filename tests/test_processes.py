"""Orphans are known by their mark: those of a dead driver of the same OUT are ended, and nothing else."""

import os
import re
import subprocess
import sys
import time

import psutil
import pytest

from sweeps import processes
from sweeps.processes import MARK


@pytest.fixture
def start():
    """Start sleeping processes with a mark; they end with the test."""
    started = []

    def one(mark):
        environment = {**os.environ, **({MARK: mark} if mark else {})}
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        process.wait()


def test_only_what_a_dead_driver_of_this_out_left_behind_is_ended(start):
    me = f"{os.getpid()}:{psutil.Process().create_time()}"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    orphan = start(f"{dead.pid}:1.0:/out")
    spared = {
        "of another OUT": start(f"{dead.pid}:1.0:/other"),
        "of a living driver": start(f"{me}:/out"),
        "unmarked": start(None),
    }
    patience = time.monotonic() + 20
    while MARK not in psutil.Process(orphan.pid).environ() and time.monotonic() < patience:
        time.sleep(0.05)
    assert processes.end_orphans("/out") == 1
    assert not psutil.pid_exists(orphan.pid)
    for what, process in spared.items():
        assert process.poll() is None, what


def test_a_reused_process_number_is_no_living_driver():
    created = psutil.Process().create_time()
    assert processes.alive(os.getpid(), created)
    assert not processes.alive(os.getpid(), created - 1000)


def test_the_mark_is_inherited_and_taken_away_again():
    before = os.environ.get(MARK)
    with processes.marked("/somewhere"):
        code = f"import os; print(os.environ[{MARK!r}])"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert child.stdout.strip() == f"{os.getpid()}:{psutil.Process().create_time()}:/somewhere"
    assert os.environ.get(MARK) == before


CODE = """
import subprocess
import psutil, ray
from sweeps import executor
executor.start_ray(None)
children = psutil.Process().children()
def asked(process):
    print("asked to end, in vain:", process.args[0])
subprocess.Popen.terminate = asked
executor.end_ray()
print(len(children), "started,", sum(child.is_running() for child in children), "left")
"""


def test_rays_processes_are_ended_without_asking_those_that_cannot_hear_it():
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300, check=True
    )
    started, left = re.findall(r"\d+", found.stdout)
    assert "asked" not in found.stdout
    assert int(started) >= 3
    assert int(left) == 0
