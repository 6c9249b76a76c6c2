"""Memory and storage that run out under a sweep, for real: an allocator that refuses, a small file system."""

import os
import subprocess
import time

import pytest
from fault_grid import Grid, Witness, python_path

from transfusion import phantom
from transfusion.attempts import read

pytestmark = [pytest.mark.slow, pytest.mark.faults]

STARVED = '''
import builtins, importlib.abc, importlib.util, os, sys

class Patch(importlib.abc.MetaPathFinder):
    """As soon as a process has imported the trial, refuse memory below a whole device."""
    def find_spec(self, name, path, target=None):
        if name != "transfusion.trial":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            train = module._train
            def starved(cell, recipe, table, task, network, folder, *rest):
                import json, time, torch
                share = json.loads((folder / "attempts.jsonl").read_text().splitlines()[-1])["share"]
                if share < 1:
                    torch.empty(2**60, dtype=torch.uint8)
                if os.environ.get("HANG_AT_LARGE"):
                    time.sleep(600)
                return train(cell, recipe, table, task, network, folder, *rest)
            module._train = starved
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Patch())
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def data(folder):
    return phantom.write(folder / "phantom", images=600, size=48)


def test_out_of_memory_finishes_at_a_larger_share_also_after_a_kill(folder, data, record_property):
    grid = Grid(folder / "memory", data, folder / "cache")
    only = ("--inits", "random", "--train-images", "16")
    (folder / "sitecustomize.py").write_text(STARVED)
    environment = python_path(folder)
    driver = grid.start(*only, env={**environment, "HANG_AT_LARGE": "1"})
    log, patience = [], time.monotonic() + 400
    while [line["event"] for line in log] != ["started", "out_of_memory", "started"]:
        assert driver.poll() is None, grid.log()[-3000:]
        assert time.monotonic() < patience, log
        time.sleep(0.2)
        log = [line for cell in (grid.out / "cells").glob("*") for line in read(cell)]
    small, _, large = (line["share"] for line in log)
    assert small < large == 1.0
    driver.kill()
    driver.wait()
    done = grid.run(*only, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (cell,) = (grid.out / "cells").glob("*")
    shares = [(line["event"], line["share"]) for line in read(cell)]
    assert shares[3:] == [("started", 1.0)], "after the kill it starts at the larger share"
    record_property(
        "fault", f"out of memory at a share of {small:g}: finished at {large:g}, also after kill -9"
    )


@pytest.fixture
def small_disk(folder):
    """A file system of a few megabytes; `resize` makes it larger."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    if (
        os.getuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("a small file system can only be mounted as root")

    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)

    yield place, remount
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_the_sweep_and_loses_nothing(folder, data, small_disk, record_property):
    place, remount = small_disk
    grid = Grid(place / "out", data, folder / "cache", seeds=4)
    witness = Witness(grid)
    full = grid.run()
    assert full.returncode == 1, full.stdout + full.stderr
    said = full.stdout + full.stderr
    assert "No space left on device" in said
    assert "What was done is kept" in said
    finished = witness.look()
    assert finished < grid.wanted()
    assert not any("failed" in str(record["status"]) for record, _ in grid.tables().values())
    assert grid.processes() == []
    remount("size=200m")
    done = grid.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert witness.look() == grid.wanted()
    record_property(
        "fault", f"full disk: stopped with {finished} of {grid.wanted()} cells, all kept; went on with room"
    )


def test_a_read_only_out_is_refused_before_anything_starts(folder, data, small_disk, record_property):
    place, remount = small_disk
    grid = Grid(place / "out", data, folder / "cache")
    grid.out.mkdir()
    remount("ro")
    refused = grid.run()
    assert refused.returncode == 2
    assert "Read-only file system" in refused.stderr
    assert str(grid.out) in refused.stderr
    assert "Nothing was started" in refused.stderr
    record_property("fault", "read-only OUT: refused with status 2 before anything started")
