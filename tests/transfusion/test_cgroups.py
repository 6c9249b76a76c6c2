"""CPU quotas and memory limits of containers, on trees as both versions and container runtimes lay them."""

import os

import psutil
import pytest

from transfusion import cgroups
from transfusion.cgroups import bounds

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Eight cores and 64 GiB, of which 60 are free."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    memory = psutil.virtual_memory()._replace(total=64 * GIB, available=60 * GIB)
    monkeypatch.setattr(cgroups.psutil, "virtual_memory", lambda: memory)


def tree(root, cgroup, **files):
    """A file system: `/proc/self/cgroup`, and files below `/sys/fs/cgroup` (`__` for `/`)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


V1 = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.mark.parametrize(("quota", "cores"), [(50_000, 1), (100_000, 1), (250_000, 2), (400_000, 4), (-1, 8)])
def test_a_quota_of_version_1(tmp_path, quota, cores):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": quota, "cpu,cpuacct/cpu.cfs_period_us": 100_000}
    found = bounds(tree(tmp_path, V1, **files))
    assert found.cores == cores
    assert ("cpu.cfs_quota_us" in found.why) == (cores < 8)


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 1), ("300000 100000", 3), ("1600000 100000", 8), ("max 100000", 8)]
)
def test_a_quota_of_version_2_whose_own_group_is_the_root_that_is_seen(tmp_path, quota, cores):
    assert bounds(tree(tmp_path, "0::/\n", **{"cpu.max": quota})).cores == cores


def test_the_tightest_group_above_counts(tmp_path):
    """As systemd nests a job: no limit of its own, one of the slice above."""
    found = bounds(
        tree(
            tmp_path,
            "0::/user.slice/job.scope\n",
            **{
                "user.slice/job.scope/cpu.max": "max 100000",
                "user.slice/cpu.max": "200000 100000",
                "user.slice/job.scope/memory.max": "max",
                "user.slice/memory.max": 4 * GIB,
                "user.slice/memory.current": 3 * GIB,
                "user.slice/memory.stat": f"anon {GIB}\nfile {2 * GIB}\ninactive_file {2 * GIB}",
            },
        )
    )
    assert (found.cores, found.memory, found.free) == (2, 4 * GIB, 3 * GIB)
    assert "user.slice" in found.why


def test_a_limit_of_memory_of_version_1_below_a_path_that_is_the_hosts(tmp_path):
    files = {
        "memory/memory.limit_in_bytes": int(1.5 * GIB),
        "memory/memory.usage_in_bytes": GIB // 2,
        "memory/memory.stat": f"cache 5\ntotal_inactive_file {GIB // 4}",
    }
    found = bounds(tree(tmp_path, V1, **files))
    assert (found.cores, found.memory, found.free) == (8, int(1.5 * GIB), int(1.25 * GIB))


def test_without_limits_the_machine_counts(tmp_path):
    files = {"memory/memory.limit_in_bytes": 9223372036854771712, "memory/memory.usage_in_bytes": 5}
    found = bounds(tree(tmp_path, V1, **files))
    assert (found.cores, found.memory, found.free, found.why) == (8, 64 * GIB, 60 * GIB, "")
    assert bounds(tmp_path / "nowhere").cores == 8


def test_of_a_version_2_beside_version_1_both_count(tmp_path):
    files = {"unified/job/cpu.max": "300000 100000", "cpu/cpu.cfs_quota_us": 600_000}
    found = bounds(tree(tmp_path, f"0::/job\n{V1}", **files, **{"cpu/cpu.cfs_period_us": 100_000}))
    assert found.cores == 3
