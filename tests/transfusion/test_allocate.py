"""Space for a file is taken before it is needed, where the system can allocate it and where not."""

import errno
import fcntl
import os

import numpy as np
import pytest

from transfusion import files
from transfusion.cgroups import bounds, cores_of_process
from transfusion.data import image_cache
from transfusion.files import allocate


@pytest.fixture(params=["posix_fallocate", "without it"])
def system(request, monkeypatch):
    """A system that can allocate, and one that cannot, as macOS."""
    if request.param == "without it":
        monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.setattr(files, "ZEROS", memoryview(bytes(1000)))
    elif not hasattr(os, "posix_fallocate"):
        pytest.skip("this system has none")


@pytest.mark.parametrize("held", [b"", b"some bytes", bytes(range(256)) * 20])
def test_space_is_taken_and_what_a_file_holds_stays(system, tmp_path, held):
    path = tmp_path / "file"
    path.write_bytes(held)
    with path.open("r+b") as file:
        allocate(file.fileno(), 4567)
    assert path.read_bytes() == held + bytes(max(0, 4567 - len(held)))
    assert path.stat().st_blocks * 512 >= 4567, "no hole"


def test_without_room_it_is_an_error_on_either_system(system, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate" if hasattr(os, "posix_fallocate") else "pwrite", full)
    with (tmp_path / "file").open("w+b") as file, pytest.raises(OSError, match="No space left"):
        allocate(file.fileno(), 100)


def test_the_image_cache_is_the_same_on_either_system(system, dataset, image_folder, tmp_path):
    np.testing.assert_array_equal(
        image_cache.load(dataset, 16, tmp_path), image_cache.load(dataset, 16, image_folder)
    )


def test_the_image_cache_is_built_where_the_c_library_has_to_write_in_place_of_allocating(
    dataset, tmp_path, monkeypatch
):
    """As glibc on NFS before 4.2: it refuses descriptors for appending."""

    def emulated(file, start, size):
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_APPEND:
            raise OSError(errno.EBADF, "Bad file descriptor")
        os.ftruncate(file, max(start + size, os.fstat(file).st_size))

    monkeypatch.setattr(os, "posix_fallocate", emulated, raising=False)
    assert len(image_cache.load(dataset, 16, tmp_path)) == len(dataset.frame)


def test_a_system_that_binds_no_process_to_cores_has_all_of_them(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores_of_process() == os.cpu_count()
    assert 1 <= bounds().cores <= os.cpu_count()
