"""Whether a file still is the one that was read: its size and times, and when those can be believed."""

import hashlib
import os

import numpy as np
import pytest

from transfusion.data import file_bytes
from transfusion.data.file_bytes import read_file, stamp_of, unchanged


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 300])
@pytest.mark.parametrize("piece", [7, 2**22])
def test_the_digest_is_that_of_all_bytes(tmp_path, monkeypatch, content, piece):
    monkeypatch.setattr(file_bytes, "LARGEST_PIECE", piece)
    (tmp_path / "file").write_bytes(content)
    one = read_file(tmp_path / "file")
    assert one.digest == hashlib.blake2b(content, digest_size=16).digest()
    assert one.stamp[0] == len(content)


@pytest.mark.parametrize(("unsettled", "sure"), [(0, True), (10**18, False)])
def test_the_time_of_an_inode_that_changed_right_before_is_not_believed(
    tmp_path, monkeypatch, unsettled, sure
):
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", unsettled)
    (tmp_path / "file").write_bytes(b"x")
    status = os.stat(tmp_path / "file")  # noqa: PTH116
    changed = status.st_ctime_ns if sure else -1
    assert read_file(tmp_path / "file").stamp == (1, status.st_mtime_ns, changed)


def test_a_file_that_grows_while_it_is_read_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", 0)
    (tmp_path / "file").write_bytes(b"x")
    real = os.read

    def read(stream, size):
        with (tmp_path / "file").open("ab") as file:
            file.write(b"y")
        monkeypatch.setattr(os, "read", real)
        return real(stream, size)

    monkeypatch.setattr(os, "read", read)
    assert read_file(tmp_path / "file").stamp[2] == -1


def test_a_file_that_is_not_there_has_no_stamp(tmp_path):
    assert stamp_of(str(tmp_path / "nowhere")) == (-1, -1, -1)


@pytest.mark.parametrize(
    ("size", "modified", "changed", "same"),
    [(0, 0, 0, True), (0, 0, None, True), (1, 0, 0, False), (0, 1, 0, False), (0, 0, 1, False),
     (1, 0, None, False), (0, 1, None, False)],
)  # fmt: skip
def test_a_file_is_the_same_by_its_size_and_times_the_last_if_that_is_known(
    tmp_path, size, modified, changed, same
):
    """Each is off by so much; None stands for a time that was not believed."""
    (tmp_path / "file").write_bytes(b"x")
    now = stamp_of(str(tmp_path / "file"))
    stamp = np.array([now[0] + size, now[1] + modified, -1 if changed is None else now[2] + changed])
    assert unchanged(tmp_path / "file", stamp) == same
