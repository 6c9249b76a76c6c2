"""Orphans are known by their mark: those of a dead driver of the same OUT are ended, and nothing else."""

import dataclasses
import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sweeps.processes import identity, marked
from sweeps.processes.marked import MARK, Mark, folder_identity

OTHER_BOOT = "00000000-0000-0000-0000-000000000000"
ROOT = Path(__file__).parents[3]


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


@pytest.fixture
def dead():
    """The identity of a driver of this boot and namespace that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ticks = identity._stat(process.pid)[1]
    process.communicate(b"\n")
    return dataclasses.replace(identity.own(), pid=process.pid, ticks=ticks)


def mark(driver, folder, out):
    return str(Mark(driver, folder, str(out)))


def wait_until_marked(process):
    """A new process shows its environment only once it has become the new program."""
    patience = time.monotonic() + 20
    while MARK not in psutil.Process(process.pid).environ() and time.monotonic() < patience:
        time.sleep(0.05)


def test_only_what_a_dead_driver_of_this_out_left_behind_is_ended(start, dead, tmp_path):
    here, me = folder_identity(tmp_path), identity.own()
    orphans = [start(mark(dead, here, tmp_path)), start(mark(dead, here, "/the/same/by/another/path"))]
    left = {
        "of a living driver": mark(
            dataclasses.replace(me, pid=os.getppid(), ticks=ticks_of_parent()), here, tmp_path
        ),
        "of another boot": mark(dataclasses.replace(dead, boot=OTHER_BOOT), here, tmp_path),
        "of another namespace": mark(dataclasses.replace(dead, namespaces="1.2"), here, tmp_path),
        "of a system without boot": mark(
            dataclasses.replace(dead, boot="", namespaces="", ticks=0), here, tmp_path
        ),
        "of the same path in another mount namespace": mark(dead, (here[0], here[1] + 1), tmp_path),
        "of an older version": f"{dead.pid}:1764093401.5:{tmp_path}",
        "made up": f"a:b:c:d:e:f:{tmp_path}",
    }
    untold = {
        "of another OUT": mark(dead, (1, 2), "/other"),
        "ours": mark(me, here, tmp_path),
        "unmarked": None,
    }
    spared = {what: start(text) for what, text in {**left, **untold}.items()}
    for what, process in spared.items():
        if what != "unmarked":
            wait_until_marked(process)
    for orphan in orphans:
        wait_until_marked(orphan)
    found = marked.end_orphans(str(tmp_path))
    assert found == marked.Orphans(ended=2, left=len(left))
    for orphan in orphans:
        assert not psutil.pid_exists(orphan.pid)
    for what, process in spared.items():
        assert process.poll() is None, what
    assert marked.end_own() == 1
    assert not psutil.pid_exists(spared.pop("ours").pid)
    for what, process in spared.items():
        assert process.poll() is None, what


def ticks_of_parent():
    return identity._stat(os.getppid())[1]


def test_nothing_is_ended_for_a_folder_that_is_not_there(start, dead, tmp_path):
    one = start(mark(dead, (0, 0), tmp_path / "nowhere"))
    wait_until_marked(one)
    assert marked.end_orphans(str(tmp_path / "nowhere")).ended == 0
    assert one.poll() is None


@pytest.mark.parametrize("hidden", ["boot", "of another namespace", "all"])
def test_without_a_proc_of_our_own_nothing_is_known_and_nothing_is_ended(
    start, dead, tmp_path, monkeypatch, hidden
):
    """As on other systems, in a sandbox, or below `unshare --pid` without a mount of its own."""
    here, me = folder_identity(tmp_path), identity.own()
    kept = [start(mark(dead, here, tmp_path)), start(mark(me, here, tmp_path))]
    for one in kept:
        wait_until_marked(one)
    if hidden == "of another namespace":
        monkeypatch.setattr(identity.os, "getpid", lambda: 7)
    else:
        proc = tmp_path / "proc"
        proc.mkdir()
        if hidden == "boot":
            (proc / "self").symlink_to(f"/proc/{os.getpid()}")
        monkeypatch.setattr(identity, "PROC", proc)
    assert identity.own().boot == ""
    assert identity.state(me) == "unknown"
    assert marked.end_orphans(str(tmp_path)).ended == 0
    assert marked.end_own() == 0
    assert all(one.poll() is None for one in kept)


def test_without_handles_of_processes_the_right_one_is_ended(start, dead, tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(marked, "os", SimpleNamespace(**{**vars(os), "pidfd_open": none}))
    orphan = start(mark(dead, folder_identity(tmp_path), tmp_path))
    wait_until_marked(orphan)
    assert marked.end_orphans(str(tmp_path)).ended == 1
    assert not psutil.pid_exists(orphan.pid)


def test_a_number_that_is_another_processs_by_now_is_not_ended(start):
    one = start(None)
    with ExitStack() as handles:
        assert marked._handle(one.pid, "the mark that it was found by", handles) is None
    assert one.poll() is None


def test_who_lives_is_known_by_boot_namespace_number_and_ticks(dead):
    me = identity.own()
    assert identity.state(me) == "alive"
    assert identity.state(dead) == "dead"
    assert identity.state(dataclasses.replace(me, ticks=me.ticks - 1)) == "dead", "a number used again"
    for changes in (
        {"boot": OTHER_BOOT},
        {"namespaces": "1.2"},
        {"host": "elsewhere"},
        {"pid": 0},
        {"pid": -1},
    ):
        assert identity.state(dataclasses.replace(me, **changes)) == "unknown", changes


def test_a_process_that_is_dead_but_not_yet_waited_for_is_dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    ticks = identity._stat(process.pid)[1]
    patience = time.monotonic() + 20
    while identity._stat(process.pid)[0] != "Z" and time.monotonic() < patience:
        time.sleep(0.05)
    ended = dataclasses.replace(identity.own(), pid=process.pid, ticks=ticks)
    assert identity.state(ended) == "dead"
    process.wait()


def test_a_stepped_clock_makes_nobody_another(tmp_path):
    """Starts are counted in ticks since boot: a step by 5 s moves the wall-clock birth of every process."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to show a process another /proc/stat")
    text = re.sub(r"btime (\d+)", lambda found: f"btime {int(found[1]) + 5}", Path("/proc/stat").read_text())
    (tmp_path / "stat").write_text(text)
    me = identity.own()
    code = (
        "import psutil; from sweeps.processes.identity import *; "
        f"print(state({me!r}), psutil.Process({me.pid}).create_time())"
    )
    command = f"mount --bind {tmp_path}/stat /proc/stat && exec {sys.executable} -c {shlex.quote(code)}"
    seen = subprocess.run(
        ["unshare", "-m", "bash", "-c", command],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    if seen.returncode:
        pytest.skip(f"unshare: {seen.stderr}")
    state, created = seen.stdout.split()
    assert state == "alive"
    assert abs(float(created) - psutil.Process().create_time()) > 4, "the clock was not stepped"


def test_the_mark_is_inherited_and_taken_away_again(tmp_path):
    before = os.environ.get(MARK)
    out = tmp_path / "a:b"
    out.mkdir()
    with marked.marked(str(out)):
        code = f"import os; print(os.environ[{MARK!r}])"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        text = child.stdout.strip()
    assert os.environ.get(MARK) == before
    assert text.endswith(f":{out}")
    assert Mark.parse(text) == Mark(identity.own(), folder_identity(out), str(out))


CODE = """
import subprocess
import psutil, ray
from contextlib import ExitStack
from sweeps.execution import ray_session
last = ExitStack()
ray_session.start(None, last)
children = psutil.Process().children()
def asked(process):
    print("asked to end, in vain:", process.args[0])
subprocess.Popen.terminate = asked
ray_session.end()
print(len(children), "started,", sum(child.is_running() for child in children), "left")
"""


@pytest.mark.slow
def test_rays_processes_are_ended_without_asking_those_that_cannot_hear_it():
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300, check=True
    )
    started, left = re.findall(r"\d+", found.stdout)
    assert "asked" not in found.stdout
    assert int(started) >= 2, "the raylet and the head"
    assert int(left) == 0
