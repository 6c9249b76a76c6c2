"""Storage that runs out under a sweep, or cannot be written from the start: a real small file system."""

import dataclasses
import os
import subprocess

import pytest
from fault_grid import Witness
from fault_table import judge, note

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes; `resize` makes it larger."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.getuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("a small file system can only be mounted as root")

    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)

    yield place, remount
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_the_sweep_and_loses_nothing(grid_of, undisturbed, small_disk, record_property):
    place, remount = small_disk
    grid = dataclasses.replace(grid_of("disk", seeds=18, inits=("random",)), out=place / "out")
    witness = Witness(grid)
    full = grid.run()
    said = full.stdout + full.stderr
    assert full.returncode == 1, said
    assert "No space left on device" in said
    assert "What was done is kept" in said
    finished = witness.look()
    assert 0 < finished < grid.wanted()
    assert not any(record["status"] == "failed" for record, _ in grid.tables().values())
    assert grid.processes() == []
    remount("size=200m")
    grid.finish()
    judge(record_property, f"full disk with {finished} cells done", 1, witness, undisturbed(grid.seeds))


def test_a_read_only_out_is_refused_before_anything_starts(grid_of, small_disk, record_property):
    place, remount = small_disk
    grid = dataclasses.replace(grid_of("read-only"), out=place / "out")
    grid.out.mkdir()
    remount("ro")
    refused = grid.run()
    assert refused.returncode == 2
    assert "Read-only file system" in refused.stderr
    assert str(grid.out) in refused.stderr
    assert "Nothing was started" in refused.stderr
    note(record_property, "read-only OUT: refused with status 2", 1)
