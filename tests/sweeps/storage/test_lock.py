"""One driver on one OUT: who lives is refused, who is dead or silent is followed, who has lost it is told."""

import contextlib
import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sweeps.processes import marked
from sweeps.storage import lock
from sweeps.storage.lock import FILE, LockedError, Waiting, held
from transfusion.records.lease import Lease, LostError

ANOTHER_BOOT = "00000000-0000-0000-0000-000000000000"
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lock, "PAUSE", 0.1)


def at_once(say=lambda text: None, dead_after=0.3):
    return Waiting(wait=False, say=say, dead_after=dead_after)


def patient(say=lambda text: None):
    return Waiting(wait=True, say=say)


def hold(out, **changes):
    """Write the lock as another driver would."""
    out.mkdir(parents=True, exist_ok=True)
    identity = list(marked.folder_identity(out))
    record = {**lock.owner(), "out": str(out.resolve()), "folder": identity, **changes}
    (out / FILE).write_text(json.dumps(record))
    return record


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def renewing():
    """Renew a lock, as a driver elsewhere would, until the test ends."""
    ended, threads = threading.Event(), []

    def start(out, record):
        def renew():
            while not ended.wait(0.05):
                Lease(out / FILE, record["token"]).renew()

        threads.append(threading.Thread(target=renew))
        threads[-1].start()

    yield start
    ended.set()
    for thread in threads:
        thread.join()


def holder_of(out):
    return json.loads((out / FILE).read_text())


def test_the_second_driver_is_refused_with_the_firsts_host_process_and_start(tmp_path):
    with held(tmp_path, at_once()):
        owner = holder_of(tmp_path)
        with pytest.raises(LockedError) as refusal, held(tmp_path, at_once()):
            pass
        for word in (owner["host"], str(os.getpid()), owner["started"], "--wait", str(tmp_path)):
            assert word in str(refusal.value)
    assert not (tmp_path / FILE).exists()
    with held(tmp_path, at_once()):
        pass


def test_the_second_driver_waits_when_asked(tmp_path):
    said, order = [], []

    def first():
        with held(tmp_path, at_once()):
            started.set()
            time.sleep(1.5)
            order.append("first")

    started = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    started.wait()
    with held(tmp_path, patient(said.append)):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert len(said) == 1
    assert "waiting" in said[0]


CODE = """
import sys, time
from pathlib import Path
from sweeps.storage.lock import Waiting, held
with held(Path(sys.argv[1]), Waiting(wait=False, say=print), print):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def started(out):
    """A driver in a process of its own, killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(out)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as driver:
        try:
            assert driver.stdout.readline() == "held\n"
            yield driver
        finally:
            driver.kill()


def test_the_lock_of_a_killed_driver_is_taken_over(tmp_path):
    with (
        started(tmp_path) as driver,
        pytest.raises(LockedError, match=str(driver.pid)),
        held(tmp_path, at_once()),
    ):
        pass
    began = time.monotonic()
    with held(tmp_path, at_once(dead_after=60)):
        assert time.monotonic() - began < 5


def test_another_process_with_a_dead_drivers_number_is_not_taken_for_it(tmp_path):
    hold(tmp_path, ticks=1)
    with held(tmp_path, at_once(dead_after=60)):
        pass


def test_a_stopped_driver_on_this_machine_lives(tmp_path):
    """However long it gives no sign of life: its process is there, and would go on."""
    record = hold(tmp_path)
    with pytest.raises(LockedError), held(tmp_path, at_once(dead_after=0)):
        pass
    assert holder_of(tmp_path) == record


# What cannot be looked at from here: it lives as long as it renews.
ELSEWHERE = {
    "another machine": {"host": "elsewhere", "boot": ANOTHER_BOOT},
    "a cloned machine": {"boot": ANOTHER_BOOT, "pid": 1, "ticks": 7},
    "a container with our host's name": {"namespaces": "1.2", "pid": 1, "ticks": 7},
    "a container with our process numbers": {"host": "a1b2c3"},
    "a system without /proc": {"boot": "", "namespaces": "", "ticks": 0},
    "an older version": {"boot": None, "namespaces": None, "ticks": None, "created": 1.0},
}


@pytest.mark.parametrize("changes", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_driver_elsewhere_lives_as_long_as_it_renews(tmp_path, renewing, changes):
    record = hold(tmp_path, **changes)
    renewing(tmp_path, record)
    began = time.monotonic()
    with pytest.raises(LockedError, match=record["host"]), held(tmp_path, at_once(dead_after=20)):
        pass
    assert time.monotonic() - began < 10
    assert holder_of(tmp_path) == record


@pytest.mark.parametrize("changes", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_driver_elsewhere_that_is_silent_is_followed_and_that_is_said(tmp_path, changes):
    record, said = hold(tmp_path, **changes), []
    with held(tmp_path, at_once(said.append)):
        assert holder_of(tmp_path)["token"] != record["token"]
    assert len(said) == 1
    assert record["host"] in said[0]


@pytest.mark.parametrize(
    "content", ["", "{", "null", "[1]", "{}", '{"pid": "x", "host": 3, "token": 4}', "\xff\x00"]
)
def test_a_lock_that_says_nothing_is_watched_and_then_taken(tmp_path, content):
    (tmp_path / FILE).write_bytes(content.encode("latin-1"))
    with held(tmp_path, at_once()) as lease:
        lease.check()


def test_a_link_to_nothing_in_the_locks_place_is_no_trap(tmp_path):
    (tmp_path / FILE).symlink_to(tmp_path / "nowhere")
    with held(tmp_path, at_once()) as lease:
        lease.check()


def test_a_copy_of_the_folder_starts_at_once_while_the_first_works(tmp_path):
    one, copy = tmp_path / "one", tmp_path / "copy"
    with started(one) as driver:
        shutil.copytree(one, copy, copy_function=shutil.copy2)
        assert holder_of(copy)["pid"] == driver.pid
        began = time.monotonic()
        with held(copy, at_once(dead_after=60)) as lease:
            assert time.monotonic() - began < 5
            lease.check()
            assert holder_of(one)["pid"] == driver.pid
        with pytest.raises(LockedError), held(one, at_once()):
            pass


def test_a_folder_that_was_moved_or_is_reached_by_another_path_is_no_copy(tmp_path):
    one, moved, other_path = tmp_path / "one", tmp_path / "moved", tmp_path / "link"
    record = hold(one)
    other_path.symlink_to(one)
    for out in (one, other_path):
        with pytest.raises(LockedError), held(out, at_once()):
            pass
    one.rename(moved)
    with pytest.raises(LockedError), held(moved, at_once()):
        pass
    assert holder_of(moved) == record


def test_one_folder_seen_through_two_file_systems_is_no_copy(tmp_path, monkeypatch):
    """Such a mount has a device number of its own; what we write here shows there."""
    record = hold(tmp_path)
    elsewhere = list(record["folder"])
    monkeypatch.setattr(
        lock, "folder_identity", lambda out: elsewhere if out == record["out"] else [elsewhere[0] + 1, 2]
    )
    with pytest.raises(LockedError), held(Path(os.path.relpath(tmp_path)), at_once()):
        pass


def test_a_trial_in_another_folder_looks_at_the_same_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with held(Path("results/demo"), at_once()) as lease:
        monkeypatch.chdir("/")
        lease.check()
        lease.renew()
        monkeypatch.chdir(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_lock(tmp_path):
    out = tmp_path / "results" / "demo"
    with held(out, at_once()):
        assert [file.name for file in out.iterdir()] == [FILE]
    assert list(tmp_path.iterdir()) == [], "folders that held the lock alone go with it"
    out.mkdir(parents=True)
    with held(out, at_once()):
        pass
    assert list(out.iterdir()) == [], "and those that were there before stay"


def test_of_many_that_come_at_once_one_holds_it_at_a_time(tmp_path):
    inside, most = [], []

    def one():
        with held(tmp_path / "out", patient()):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


def _race(folder, rounds, barrier, wins):
    for number in range(rounds):
        barrier.wait()
        try:
            with held(folder / str(number), Waiting(wait=False, say=print, dead_after=60)) as lease:
                lease.check()
                wins.put(number)
                barrier.wait()  # until the other has tried
        except LockedError:
            barrier.wait()


@pytest.mark.parametrize("lying_there", ["nothing", "a dead driver's"])
def test_of_two_processes_that_race_for_a_lock_exactly_one_wins(tmp_path, lying_there):
    rounds = 200
    if lying_there != "nothing":
        pid = dead_process()
        for number in range(rounds):
            hold(tmp_path / str(number), pid=pid)
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(2, timeout=60), context.SimpleQueue()
    racers = [context.Process(target=_race, args=(tmp_path, rounds, barrier, wins)) for _ in range(2)]
    for racer in racers:
        racer.start()
    won = [wins.get() for _ in range(rounds)]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert sorted(won) == list(range(rounds))
    assert wins.empty()


# The one that lost it


def test_who_lost_the_lock_is_told_renews_nothing_and_takes_nothing_away(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEWED_EVERY", 0.05)
    told, was_told = [], threading.Event()

    def lost(why):
        told.append(why)
        was_told.set()

    holding = held(tmp_path, at_once(), lost)
    lease = holding.__enter__()
    lease.check()
    theirs = hold(tmp_path, host="another-machine", pid=4711)
    before = (tmp_path / FILE).stat().st_mtime_ns
    assert was_told.wait(10)
    for word in ("another sweep took", str(tmp_path), "another-machine", "4711", "nothing more is written"):
        assert word in told[0]
    for step in (lease.check, lease.renew, lambda: holding.__exit__(None, None, None)):
        with pytest.raises(LostError, match="another-machine"):
            step()
    assert holder_of(tmp_path) == theirs
    assert (tmp_path / FILE).stat().st_mtime_ns == before
    assert len(told) == 1


def test_a_lock_that_is_gone_is_lost_as_well(tmp_path):
    """Another may have taken it, worked, and let it go while we slept."""
    holding = held(tmp_path, at_once())
    lease = holding.__enter__()
    (tmp_path / FILE).unlink()
    for step in (lease.check, lease.renew, lambda: holding.__exit__(None, None, None)):
        with pytest.raises(LostError, match="gone"):
            step()
    with pytest.raises(LostError, match="gone"):
        Lease(tmp_path / "no such folder" / FILE, "token").check()


def test_a_lock_that_is_put_back_after_a_moment_is_not_lost(tmp_path):
    with held(tmp_path, at_once()) as lease:
        (tmp_path / FILE).rename(tmp_path / "aside")
        back = threading.Timer(0.15, (tmp_path / "aside").rename, (tmp_path / FILE,))
        back.start()
        lease.check()
        back.join()


def test_a_living_drivers_lock_that_was_taken_for_a_dead_ones_is_put_back(tmp_path):
    """Between judging the dead one's and moving it away, another had already taken it over."""
    hold(tmp_path, pid=dead_process())
    dead = lock._read(tmp_path / FILE)
    living = hold(tmp_path)
    looks = iter([dead, lock._read(tmp_path / FILE)])  # the first look was a moment too early
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "_read", lambda file: next(looks))
        assert not lock._set_aside(tmp_path / FILE, lambda found: found == dead)
    assert holder_of(tmp_path) == living
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_watcher_that_slept_itself_does_not_count_it_as_the_others_silence(tmp_path, monkeypatch):
    """Both on one paused machine: on waking the watcher must not find the holder silent for an hour."""
    record, naps = hold(tmp_path, host="elsewhere"), []
    real, offset = time.monotonic, [0.0]

    def sleep(seconds):
        naps.append(seconds)
        offset[0] += 3600
        if len(naps) == 3:
            Lease(tmp_path / FILE, record["token"]).renew()

    monkeypatch.setattr(lock.time, "sleep", sleep)
    monkeypatch.setattr(lock.time, "monotonic", lambda: real() + offset[0])
    with pytest.raises(LockedError), held(tmp_path, at_once(dead_after=20)):
        pass


# Poorer file systems


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_hard_links_the_lock_holds_as_well(tmp_path, monkeypatch, number):
    def link(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    with held(tmp_path, at_once()) as lease:
        lease.renew()
        with pytest.raises(LockedError), held(tmp_path, at_once()):
            pass
    assert list(tmp_path.iterdir()) == []
    hold(tmp_path, pid=dead_process())
    with held(tmp_path, at_once(dead_after=60)) as lease:
        lease.check()


def test_a_link_whose_answer_got_lost_is_ours(tmp_path, monkeypatch):
    """NFS asks again where an answer is lost, and then finds what it has made itself."""
    real = os.link

    def link(*names):
        real(*names)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link)
    with held(tmp_path, at_once()) as lease:
        lease.check()


def test_a_full_disk_is_no_lost_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEWED_EVERY", 0.02)
    told = []
    with held(tmp_path, at_once(), told.append) as lease:
        with monkeypatch.context() as patch:
            patch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
            time.sleep(0.3)
        lease.check()
    assert told == []
