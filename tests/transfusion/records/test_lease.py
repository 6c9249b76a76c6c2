"""A trial that has lost OUT writes nothing more there; whoever holds it notices nothing of the looks."""

import errno
import json
import os

import pytest
from one_trial import run_trial

from transfusion import files
from transfusion.cell import Cell
from transfusion.files import atomic
from transfusion.records import attempts, results
from transfusion.records.lease import Lease, LostError
from transfusion.training.fitting import Hooks

CELL = Cell(architecture="cbr_tiny", train_images=48)
UPSTREAM = Cell(architecture="cbr_tiny", train_images=48, kind="upstream", finding="photos")


def state(folder):
    """Every file below, whole: name -> bytes."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class Losing:
    """Looks at a lease that is lost with the n-th look; the state of the folder then."""

    def __init__(self, folder, after):
        self.folder, self.left, self.seen = folder, after, None

    def __call__(self):
        self.left -= 1
        if self.left <= 0:
            found = state(self.folder) if self.folder.exists() else {}
            found = {name: content for name, content in found.items() if "/." not in name}
            assert self.seen in (None, found), "something was written after the lease was lost"
            self.seen = found
            raise LostError("another sweep took it")


@pytest.fixture
def train(dataset, image_folder, tmp_path, quick):
    def train(check, cell=CELL, **hooks):
        cells = tmp_path / "cells"
        options = {"cells": cells, "cache": image_folder}
        return run_trial(
            cell, quick, dataset, hooks=Hooks(check=check, checkpoint_seconds=0, **hooks), **options
        )

    return train


def looks_of(train, tmp_path, cell=CELL):
    """How many looks an undisturbed trial takes, and the files that it has written then."""
    count = []
    record = train(lambda: count.append(1), cell)
    assert record["status"] == "done", record["error"]
    folder = tmp_path / "cells" / record["cell_id"]
    names = {file.name for file in folder.iterdir()}
    for file in folder.iterdir():
        file.unlink()
    return len(count), names


@pytest.mark.parametrize("cell", [CELL, UPSTREAM], ids=["grid", "upstream"])
def test_whenever_the_lease_is_lost_nothing_more_is_written(train, tmp_path, cell):
    looks, names = looks_of(train, tmp_path, cell)
    assert looks > 2 * (len(names) - 1), "twice for each but the log of attempts, and for every checkpoint"
    for after in (1, looks // 2, looks):
        losing = Losing(tmp_path / "cells", after)
        with pytest.raises(LostError):
            train(losing, cell)
        assert state(tmp_path / "cells") == losing.seen
        assert not any(name.endswith(results.RESULT) for name in losing.seen)
        for file in (tmp_path / "cells").rglob("*.*"):
            file.unlink()


def test_a_failure_is_not_recorded_where_the_lease_is_lost(train, tmp_path):
    """Neither the traceback nor the result; and the loss itself is no failure of the cell."""
    lost = []

    def check():
        if lost:
            raise LostError("another sweep took it")

    def report(_metrics):
        lost.append(1)
        raise RuntimeError("the trial fails as well")

    with pytest.raises(LostError):
        train(check, report=report)
    assert [file.name for file in (tmp_path / "cells").rglob("*.*")] == [
        attempts.ATTEMPTS,
        results.CHECKPOINT,
    ]


def test_a_stall_between_writing_and_renaming_is_looked_after(tmp_path):
    """A machine that sleeps while the temporary file is written finds on waking that it may not replace."""
    file, lost = tmp_path / "result.json", []

    def check():
        if lost:
            raise LostError("another sweep took it")

    file.write_text("theirs")
    with pytest.raises(LostError), atomic(file, check) as temporary:
        lost.append(temporary.write_text("ours"))
    assert state(tmp_path) == {"result.json": b"theirs"}


def test_a_lease_that_cannot_be_read_is_no_lost_one(tmp_path, monkeypatch):
    file = tmp_path / "driver.json"
    file.write_text(json.dumps({"token": "mine"}))
    lease = Lease(file, "mine")
    lease.check()
    times = iter([errno.ESTALE, errno.ESTALE, None, errno.EIO])
    real = type(file).open

    def opened(self, *arguments):
        if number := next(times):
            raise OSError(number, os.strerror(number))
        return real(self, *arguments)

    monkeypatch.setattr(type(file), "open", opened)
    lease.check()
    with pytest.raises(OSError, match="Input/output"):
        lease.check()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_of_the_file_system_one_process_at_a_time_still_holds(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", flock)
    file = tmp_path / "a.lock"
    child = "in the child"
    with files.locked(file):
        pid = os.fork()
        if pid == 0:
            with files.locked(file), (tmp_path / "log").open("a") as log:
                log.write(child)
            os._exit(0)
        assert not os.waitpid(pid, os.WNOHANG)[0]
        (tmp_path / "log").write_text("first, then ")
    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "log").read_text() == "first, then in the child"
    assert not (tmp_path / "a.lock.held").exists()


def test_another_error_of_a_lock_is_not_taken_for_a_missing_one(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output"), files.locked(tmp_path / "a.lock"):
        pass
