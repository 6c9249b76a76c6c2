"""How long another's silence is watched before its lock is taken: looks and naps by a clock of our own."""

import errno
import json
import os

import pytest

from sweeps.processes.marked import folder_identity
from sweeps.storage import lock
from sweeps.storage.lock import Folder, Holder, LockedError, Waiting, acquire

RECORD = {"host": "elsewhere", "pid": 7, "started": "then", "token": "theirs"}


class Clock:
    """Stands in for `time`: a nap takes as long as asked for, or as `oversleeps`."""

    def __init__(self, oversleeps=None):
        self.now, self.naps, self.oversleeps = 100.0, [], oversleeps

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += self.oversleeps or seconds


class Place:
    """A lock whose holder gives `signs`, look by look, the last for ever; None is nobody."""

    def __init__(self, *signs, state="unknown", fails=0):
        self.signs, self.state, self.fails, self.taken = list(signs), state, fails, []

    def read(self):
        sign = self.signs.pop(0) if len(self.signs) > 1 else self.signs[0]
        return None if sign is None else Holder(RECORD, (sign,))

    def take(self, instead_of):
        if instead_of is None:
            return self.signs == ["free"]
        self.taken.append(instead_of)
        return len(self.taken) > self.fails

    def state_of(self, holder):
        return self.state


@pytest.fixture
def clock(monkeypatch):
    def put(**options):
        made = Clock(**options)
        monkeypatch.setattr(lock, "time", made)
        return made

    return put


def waiting(wait=True, dead_after=45.0):
    said = []
    return Waiting(wait=wait, say=said.append, dead_after=dead_after), said


@pytest.mark.parametrize(("dead_after", "naps"), [(45.0, [1.0] * 45), (2.0, [0.2] * 10)])
@pytest.mark.parametrize("wait", [True, False])
def test_silence_is_watched_as_long_as_is_said_and_then_ends(clock, wait, dead_after, naps):
    time, place = clock(), Place("a")
    how, said = waiting(wait, dead_after)
    acquire(place, "OUT", how)
    assert time.naps == pytest.approx(naps)
    assert place.taken == [Holder(RECORD, ("a",))]
    words = "waiting for the sweep on" if wait else f"looking, for at most {dead_after:g} s, whether the"
    (line,) = said
    assert line.startswith(words)
    assert "elsewhere" in line


def test_a_renewal_begins_the_watch_anew(clock):
    time, place = clock(), Place(*["a"] * 30, "b")
    acquire(place, "OUT", waiting()[0])
    assert len(time.naps) == 30 + 45


def test_who_is_seen_to_renew_lives_and_refuses_whoever_will_not_wait(clock):
    time, place = clock(), Place("a", "b", "c")
    with pytest.raises(LockedError, match="OUT: found another sweep at work on elsewhere, process 7"):
        acquire(place, "OUT", waiting(wait=False)[0])
    assert len(time.naps) == 1
    assert place.taken == []


def test_a_nap_that_lasted_an_hour_counts_for_two_at_most(clock):
    """The holder may have slept as well, as on one paused machine: 22 such naps are 44 s, 23 are enough."""
    time, place = clock(oversleeps=3600.0), Place("a")
    acquire(place, "OUT", waiting()[0])
    assert len(time.naps) == 23


def test_a_dead_ones_lock_is_taken_at_once_and_tried_again_where_another_was_quicker(clock):
    time, place = clock(), Place("a", state="dead", fails=2)
    acquire(place, "OUT", waiting(wait=False)[0])
    assert (time.naps, len(place.taken)) == ([], 3)


def test_a_living_ones_is_waited_for_and_then_taken_as_it_is_let_go(clock):
    time, place = clock(), Place("a", "a", "a", None, "free", state="alive")
    how, said = waiting()
    acquire(place, "OUT", how)
    assert time.naps == [1.0, 1.0, 1.0, 0.05]
    assert len(said) == 1
    assert place.taken == []


@pytest.mark.parametrize(
    ("changes", "ours", "state"),
    [
        ({}, {}, "dead"),
        ({"boot": "another"}, {}, "unknown"),
        ({"boot": ""}, {"boot": ""}, "unknown"),
        ({"out": 7}, {}, "alive"),
        ({"folder": [0, 0]}, {}, "alive"),
    ],
)
def test_only_on_the_same_boot_is_a_folder_known_to_be_a_copy(tmp_path, changes, ours, state):
    """The lock of a folder that is still there, found in another: its holder works there and not here."""
    one, copy = tmp_path / "one", tmp_path / "copy"
    one.mkdir()
    copy.mkdir()
    theirs = {**lock.owner(), "out": str(one), "folder": list(folder_identity(one)), **changes}
    record = {**lock.owner(), "out": str(copy), "folder": list(folder_identity(copy)), **ours}
    draft = copy / ".draft"
    draft.write_text(json.dumps(record))
    place = Folder(copy / lock.FILE, draft, record)
    assert place.state_of(Holder(theirs, ())) == state
    (one / draft.name).touch()
    assert place.state_of(Holder(theirs, ())) == ("alive" if state == "dead" else state), "one folder, twice"


@pytest.mark.parametrize("links", [True, False])
def test_whoever_shares_the_folder_may_read_who_holds_it(tmp_path, monkeypatch, links):
    """Also under a mask that keeps new files to oneself."""

    def link(*_):
        raise OSError(errno.EPERM, "no links")

    if not links:
        monkeypatch.setattr(os, "link", link)
    before = os.umask(0o077)
    try:
        with lock.held(tmp_path, waiting()[0]) as lease:
            assert lease.file.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
