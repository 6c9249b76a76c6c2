"""One driver on one OUT; a dead driver's lock is recognised, on this machine and on another."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from sweeps import lock
from sweeps.lock import FILE, LockedError, held


def quiet(_text):
    pass


def hold(out, **owner):
    """Write the lock as another driver would."""
    mine = {**lock._owner(), "renewals": 0, **owner}
    (out / FILE).write_text(json.dumps(mine))
    return mine


def test_the_second_driver_is_refused_with_the_firsts_host_process_and_start(tmp_path):
    with held(tmp_path, wait=False, say=quiet):
        owner = json.loads((tmp_path / FILE).read_text())
        with pytest.raises(LockedError) as refusal, held(tmp_path, wait=False, say=quiet):
            pass
        for word in (owner["host"], str(os.getpid()), owner["started"], "--wait", str(tmp_path)):
            assert word in str(refusal.value)
    assert not (tmp_path / FILE).exists()
    with held(tmp_path, wait=False, say=quiet):
        pass


def test_the_second_driver_waits_when_asked(tmp_path):
    said, order = [], []

    def first():
        with held(tmp_path, wait=False, say=quiet):
            started.set()
            time.sleep(1.5)
            order.append("first")

    started = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    started.wait()
    with held(tmp_path, wait=True, say=said.append):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert len(said) == 1
    assert "waiting" in said[0]


def test_the_lock_of_a_killed_driver_is_taken_over(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from sweeps.lock import held\n"
        f"with held(Path({str(tmp_path)!r}), wait=False, say=print):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=str(driver.pid)), held(tmp_path, wait=False, say=quiet):
        pass
    driver.kill()
    driver.wait()
    with held(tmp_path, wait=False, say=quiet):
        pass


def test_another_process_with_a_dead_drivers_number_is_not_taken_for_it(tmp_path):
    hold(tmp_path, created=1.0)
    with held(tmp_path, wait=False, say=quiet):
        pass


def test_a_driver_on_another_machine_lives_as_long_as_it_renews(tmp_path):
    owner = hold(tmp_path, host="elsewhere")
    ended = threading.Event()

    def renew():
        renewals = 0
        while not ended.wait(0.05):
            renewals += 1
            lock._write(tmp_path / FILE, owner, renewals)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with (
            pytest.raises(LockedError, match="elsewhere"),
            held(tmp_path, wait=False, say=quiet, dead_after=5),
        ):
            pass
    finally:
        ended.set()
        thread.join()
    with held(tmp_path, wait=False, say=quiet, dead_after=0.3):
        assert json.loads((tmp_path / FILE).read_text())["host"] != "elsewhere"


def test_nothing_is_left_of_a_lock(tmp_path):
    out = tmp_path / "results" / "demo"
    with held(out, wait=False, say=quiet):
        assert (out / FILE).exists()
    assert list(tmp_path.iterdir()) == [], "folders that held the lock alone go with it"
    out.mkdir(parents=True)
    with held(out, wait=False, say=quiet):
        pass
    assert list(out.iterdir()) == [], "and those that were there before stay"


def test_of_many_that_come_at_once_one_holds_it_at_a_time(tmp_path):
    inside, most = [], []

    def one():
        with held(tmp_path / "out", wait=True, say=quiet):
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
