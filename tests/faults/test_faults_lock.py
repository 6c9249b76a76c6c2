"""Two sweeps on one OUT: asleep, in containers, under a stepped clock, on copies, on two machines."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from fault_grid import PATIENCE, ROOT, is_trial, wait_for
from fault_table import note

from sweeps.storage.lock import DEAD_AFTER, FILE
from transfusion.records import results

pytestmark = [pytest.mark.slow, pytest.mark.faults]

AXES = {"inits": ("random",), "epochs": 3000}
"""One cell that trains for longer than any test looks at it."""


def unshared(*options):
    """A prefix that runs a command in other namespaces; skips where that may not be."""
    prefix = ["unshare", *options]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip(f"needs root and `{' '.join(prefix)}`, for other namespaces")
    return prefix


CONTAINER = ("--pid", "--fork", "--kill-child", "--mount-proc")


class Sweep:
    """A sweep that was started by a test; ended with it."""

    def __init__(self, grid, name, prefix=(), environment=None, command=None):
        self.grid, self.file = grid, grid.out.parent / f"{grid.out.name}-{name}.log"
        with self.file.open("w") as log:
            self.process = subprocess.Popen(
                [*prefix, *(command or grid.command())], cwd=ROOT, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **(environment or {})},
            )  # fmt: skip

    def said(self):
        return self.file.read_text()

    def poll(self):
        return self.process.poll()

    def trains(self):
        """Wait until it trains."""
        before = self.grid.attempts()
        assert wait_for(lambda: self.grid.attempts() > before, self.process, self.grid), self.said()

    def status(self):
        return self.process.wait(PATIENCE)

    def family(self):
        """Its processes: the driver's own, and those that it has started."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def end(self):
        if self.process.poll() is None:
            for one in self.family():
                if one.is_running():
                    one.kill()
        self.process.wait()


@pytest.fixture
def sweep():
    """Start sweeps."""
    started = []

    def start(*arguments, **options):
        started.append(Sweep(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()


def living(processes, patience=0.0):
    """Those that run; waits for them to end."""
    deadline = time.monotonic() + patience
    while True:
        found = [one for one in processes if one.is_running() and not is_zombie(one)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def is_zombie(process):
    """Dead, but nobody has asked for its status."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def holder(grid):
    return json.loads((grid.out / FILE).read_text())


def fresh(grid_of, tmp_path, name="out"):
    return dataclasses.replace(grid_of("held"), out=tmp_path / name, **AXES)


def assert_refused(second, first):
    """The second ends with status 2, naming the first, which goes on as if nothing had been."""
    processes = [one for one in first.family() if one.pid == first.process.pid or is_trial(one)]
    assert len(processes) >= 2, "it trains"
    record = holder(first.grid)
    assert second.status() == 2, second.said()
    for word in ("found another sweep at work", record["host"], str(record["pid"]), record["started"]):
        assert word in second.said()
    assert first.poll() is None
    assert living(processes) == processes
    assert holder(first.grid) == record
    assert sum(first.grid.starts().values()) == 1


@pytest.mark.parametrize("inside", ["first", "second", "both"])
def test_a_sweep_in_a_container_and_one_beside_it(grid_of, tmp_path, sweep, inside, record_property):
    prefix = unshared(*CONTAINER)
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first", prefix if inside != "second" else ())
    first.trains()
    second = sweep(grid, "second", prefix if inside != "first" else ())
    assert_refused(second, first)
    note(record_property, f"two sweeps, in a container: {inside}; the second refused", 1)


def test_a_sweep_in_another_mount_namespace(grid_of, tmp_path, sweep, record_property):
    """The same path is another folder there: both work, and neither ends the other's processes."""
    prefix = unshared("--mount")
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first")
    first.trains()
    assert_refused(sweep(grid, "same", prefix), first)
    own = tmp_path / "own"
    own.mkdir()
    command = f'mount --bind "{own}" "{grid.out}" && exec "$@"'
    second = sweep(grid, "other", (*prefix, "bash", "-c", command, "bash"))
    there = dataclasses.replace(grid, out=own)
    assert wait_for(there.attempts, second.process, grid), second.said()
    assert "left behind" not in second.said()
    assert first.poll() is None
    second.process.send_signal(signal.SIGKILL)
    second.process.wait()
    third = sweep(dataclasses.replace(grid, out=own), "third")
    assert wait_for(lambda: there.attempts() > 1, third.process, grid), third.said()
    assert first.poll() is None
    note(record_property, "one path, two folders: both sweeps work", 1)


def test_a_sweep_after_the_clock_was_stepped(grid_of, tmp_path, sweep, record_property):
    prefix = unshared("--mount")
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first")
    first.trains()
    for seconds in (-3600, 5, 86400):
        stat = tmp_path / f"stat{seconds}"
        text = Path("/proc/stat").read_text()
        stat.write_text(re.sub(r"btime (\d+)", lambda f, by=seconds: f"btime {int(f[1]) + by}", text))
        command = f'mount --bind "{stat}" /proc/stat && exec "$@"'
        second = sweep(grid, str(seconds), (*prefix, "bash", "-c", command, "bash"))
        assert_refused(second, first)
    note(record_property, "clock stepped by -1 h, 5 s, 1 day; the second refused", 3)


def test_a_sweep_that_slept_has_lost_out_and_stops(grid_of, tmp_path, sweep, record_property):
    """Sleep is SIGSTOP of all of its processes, the other machine a name of its own."""
    prefix = unshared("--uts")
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first")
    first.trains()
    time.sleep(5)
    asleep, began = first.family(), time.monotonic()
    for one in asleep:
        one.suspend()
    command = 'hostname another-machine && exec "$@"'
    second = sweep(grid, "second", (*prefix, "bash", "-c", command, "bash"))
    assert wait_for(lambda: holder(grid)["host"] == "another-machine", second.process, grid), second.said()
    assert "looking, for at most 45 s" in second.said()
    second.trains()
    assert re.search(r"left \d+ processes alone", second.said()), (
        "the sleeping ones are not ended, and that is told"
    )
    assert all(one.status() == psutil.STATUS_STOPPED for one in asleep)
    record, checkpoints = holder(grid), list((grid.out / "cells").glob("*/*.pt"))
    assert checkpoints == []
    assert time.monotonic() - began > DEAD_AFTER
    for one in asleep[1:]:  # its trial wakes first, with a checkpoint that is due; the driver sleeps on
        one.resume()
    time.sleep(10)
    assert list((grid.out / "cells").glob("*/*.pt")) == [], "a trial of the one that lost OUT wrote"
    asleep[0].resume()
    assert first.status() == 1, first.said()
    assert "another sweep took" in first.said()
    assert "another-machine" in first.said()
    assert "nothing more is written" in first.said()
    assert living(asleep, 60) == [], "processes of the one that lost OUT live on"
    assert second.poll() is None
    assert holder(grid) == record
    assert grid.attempts() == 2
    note(record_property, "asleep while another took OUT: stops with status 1", 1)


def test_a_sweep_that_was_stopped_on_this_machine_is_not_followed(grid_of, tmp_path, sweep, record_property):
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first")
    first.trains()
    family = first.family()
    for one in family:
        one.suspend()
    second = sweep(grid, "second")
    assert_refused(second, first)
    assert "looking" not in second.said(), "its process can be seen"
    for one in family:
        one.resume()
    first.process.send_signal(signal.SIGINT)
    assert first.status() == 130, first.said()
    note(record_property, "stopped by Ctrl-Z: the second refused", 1)


def test_a_copy_of_out_is_worked_on_beside_the_original(grid_of, tmp_path, sweep, record_property):
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first")
    first.trains()
    copy = dataclasses.replace(grid, out=tmp_path / "copy")
    subprocess.run(["cp", "-a", grid.out, copy.out], check=True)
    assert holder(copy)["pid"] == first.process.pid
    second = sweep(copy, "second")
    second.trains()
    assert "looking" not in second.said()
    assert "left behind" not in second.said()
    assert first.poll() is None
    assert_refused(sweep(grid, "third"), first)
    note(record_property, "a copy of OUT starts at once beside the original", 1)


def test_a_killed_sweep_is_followed_at_once_and_its_processes_end(grid_of, tmp_path, sweep, record_property):
    grid = fresh(grid_of, tmp_path)
    first = sweep(grid, "first")
    first.trains()
    family = first.family()
    first.process.kill()
    first.process.wait()
    second = sweep(grid, "second")
    second.trains()
    assert living(family, 60) == []
    assert "looking" not in second.said()
    note(record_property, "kill -9 of the driver: followed at once", 1)


@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS"])
def test_a_file_system_without_locks(grid_of, tmp_path, number, record_property):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, for a library without flock")
    source, library = tmp_path / "f.c", tmp_path / "f.so"
    source.write_text(f"#include <errno.h>\nint flock(int f, int o) {{ errno = {number}; return -1; }}\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    grid = dataclasses.replace(
        grid_of("held"), out=tmp_path / "out", cache=tmp_path / "cache", inits=("random",)
    )
    grid.finish(env={**os.environ, "LD_PRELOAD": str(library)})
    note(record_property, f"a sweep where flock fails with {number}", 1)


def test_two_machines_on_one_prefix_of_a_store(grid_of, tmp_path, sweep, store, record_property):
    """Each has a name, process numbers and a mirror of its own."""
    grid = dataclasses.replace(grid_of("held"), out=tmp_path / "logs", **AXES)

    def machine(name):
        prefix = (*unshared("--uts", *CONTAINER), "bash", "-c", f'hostname {name} && exec "$@"', "bash")
        local = dataclasses.replace(grid, out=store.uri, cache=tmp_path / f"cache-{name}")
        home = {"XDG_CACHE_HOME": str(tmp_path / f"home-{name}")}
        return sweep(grid, name, prefix, home, local.command())

    first = machine("machine-a")
    assert wait_for(lambda: started_in(store) == 1, first.process, grid), first.said()
    second = machine("machine-b")
    assert second.status() == 2, second.said()
    assert "found another sweep at work on machine-a" in second.said()
    assert first.poll() is None
    asleep = first.family()
    for one in asleep:
        one.suspend()
    third = machine("machine-c")
    assert wait_for(lambda: started_in(store) == 2, third.process, grid), third.said()
    for one in reversed(asleep):
        one.resume()
    assert first.status() == 1, first.said()
    for words in ("another sweep took", "machine-c", "nothing more is written"):
        assert words in first.said()
    assert third.poll() is None
    assert json.loads(store.content(FILE))["host"] == "machine-c"
    assert not any(name.endswith(results.RESULT) for name in store.names("cells"))
    note(record_property, "two machines on one prefix: refused; asleep: stops with status 1", 2)


def started_in(store):
    """How often a cell was started, by what lies in the store."""
    logs = [store.content(name) for name in store.names("cells") if name.endswith("attempts.jsonl")]
    return sum(log.count(b'"started"') for log in logs if log)
