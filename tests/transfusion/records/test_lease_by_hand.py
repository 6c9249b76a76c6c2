"""What a look at a lease finds: its own token, another's, nothing, or what is no record; by hand."""

import json
import os

import pytest

from transfusion.records import lease as module
from transfusion.records.lease import Lease, LostError, lost, named, record_of

THEIRS = {"token": "theirs", "host": "elsewhere", "pid": 7, "started": "then"}


@pytest.fixture
def naps(monkeypatch):
    """How long looks wait for one another."""
    found = []
    monkeypatch.setattr(module.time, "sleep", found.append)
    return found


@pytest.fixture
def lease(tmp_path):
    file = tmp_path / "driver.json"
    file.write_text(json.dumps({"token": "mine"}))
    os.utime(file, ns=(1, 1))
    return Lease(file, "mine")


def test_its_own_lease_holds_and_its_renewal_is_seen_by_the_files_time(lease, naps):
    lease.check()
    assert lease.file.stat().st_mtime_ns == 1, "a look changes nothing"
    lease.renew()
    assert lease.file.stat().st_mtime_ns > 1
    assert naps == []


def test_anothers_is_lost_at_once_and_left_as_it_is(lease, naps):
    lease.file.write_text(json.dumps(THEIRS))
    os.utime(lease.file, ns=(1, 1))
    for step in (lease.check, lease.renew):
        with pytest.raises(
            LostError, match=r"another sweep took .*: elsewhere, process 7, since then; nothing"
        ):
            step()
    assert lease.file.stat().st_mtime_ns == 1
    assert naps == []


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_what_is_gone_or_says_nothing_is_looked_for_five_times(lease, naps, content):
    if content is None:
        lease.file.unlink()
    else:
        lease.file.write_text(content)
    words = "its lock is gone" if content is None else "an unknown machine, process"
    with pytest.raises(LostError, match=words):
        lease.check()
    assert naps == [0.1] * 4


def test_what_is_put_back_between_two_looks_holds(lease, monkeypatch):
    content = lease.file.read_text()
    lease.file.unlink()
    monkeypatch.setattr(module.time, "sleep", lambda _: lease.file.write_text(content))
    lease.check()


def test_a_lock_that_cannot_be_read_is_an_error_of_storage(tmp_path, naps):
    (tmp_path / "driver.json").mkdir()
    with pytest.raises(IsADirectoryError):
        Lease(tmp_path / "driver.json", "mine").check()
    assert naps == []


def test_words():
    assert record_of(b'{"token": 1}') == {"token": 1}
    assert record_of(b"[1]") == record_of(b"\xff") == {}
    assert named({}) == "an unknown machine, process ?, since ?"
    assert lost("OUT", THEIRS) == f"another sweep took OUT: {named(THEIRS)}; nothing more is written"
    assert lost("OUT", None).startswith("OUT: its lock is gone, so another sweep may have taken it")
