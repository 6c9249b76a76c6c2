"""Ends and places that people meet: terminals that close, readers that go, a Ray that dies, containers."""

import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from cell_folders import MARGINS
from fault_grid import ROOT, python_path, wait_for

from sweeps.processes.stop import GRACE_SECONDS, LAST_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SPARE = 60


def trains(grid, driver):
    assert wait_for(grid.attempts, driver, grid), grid.log()
    time.sleep(2)


def test_a_closed_terminal_saves_what_runs_and_leaves_no_process(grid_of):
    grid = grid_of("hang-up", inits=("random",), epochs=600)
    driver = grid.start()
    trains(grid, driver)
    family = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGHUP)
    assert driver.wait(GRACE_SECONDS + LAST_SECONDS + SPARE) == 130, grid.log()
    assert "the same command continues" in grid.whole_log()
    assert list((grid.out / "cells").glob("*/checkpoint.pt")), "nothing was saved"
    _, left = psutil.wait_procs(family, timeout=5)
    assert left == []


def test_what_is_told_to_ignore_a_hang_up_goes_on(grid_of):
    grid = grid_of("nohup", inits=("random",), epochs=200)
    driver = grid.start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    trains(grid, driver)
    os.killpg(driver.pid, signal.SIGHUP)
    time.sleep(3)
    assert driver.poll() is None
    assert driver.wait(600) == 0, grid.log()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_a_ray_that_dies_or_stands_still_is_noticed_and_the_same_command_continues(grid_of, victim, how):
    grid = grid_of(f"no-{victim}-{how.name}", inits=("random",), epochs=300)
    driver = grid.start()
    trains(grid, driver)
    family = psutil.Process(driver.pid).children(recursive=True)
    next(one for one in family if one.name() == victim).send_signal(how)
    begun = time.monotonic()
    assert driver.wait(SPARE) == 1, grid.log()
    assert time.monotonic() - begun < 5
    what = victim if how == signal.SIGKILL else f"{victim} was stopped"
    assert f"Ray has ended under the sweep ({what})" in grid.whole_log()
    assert "the same command continues" in grid.whole_log()
    _, left = psutil.wait_procs(family, timeout=5)
    assert left == []
    grid.finish()


def test_a_head_that_answers_no_more_is_not_waited_for_as_long_as_ray_would(grid_of):
    """Its kernel still takes connections; Ray aborts its driver after a minute, without a word."""
    grid = grid_of("silent-head", inits=("random",), epochs=3000)
    place = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    environment = {**os.environ, "TMPDIR": str(place)}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--port=6391", "--num-cpus=1"]
    subprocess.run(
        [*command, "--include-dashboard=false", f"--temp-dir={place}"],
        env=environment, check=True, capture_output=True, timeout=SPARE, start_new_session=True,
    )  # fmt: skip
    ray = [one for one in psutil.process_iter() if str(place) in " ".join(told(one))]
    try:
        driver = grid.start("--address", "127.0.0.1:6391", env=environment)
        trains(grid, driver)
        next(one for one in ray if one.name() == "gcs_server").suspend()
        begun = time.monotonic()
        assert driver.wait(2 * SPARE) == 1, grid.log()
        assert 40 < time.monotonic() - begun < 55
        assert "6391 has not answered for 45 s). What was done is kept; the same command" in grid.whole_log()
        assert [one for one in grid.processes() if one.pid == driver.pid] == []
    finally:
        for one in ray:
            one.kill()
        shutil.rmtree(place, ignore_errors=True)


def told(process):
    """The words of its command line; none where it has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_reader_that_goes_away_does_not_end_the_sweep(grid_of):
    grid = grid_of("head", inits=("random",), epochs=3)
    driver = subprocess.Popen(
        grid.command(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    driver.stdout.readline()
    driver.stdout.close()
    errors = driver.stderr.read().decode()
    assert (driver.wait(600), errors) == (0, "")
    assert (grid.out / "report.html").exists()


@pytest.mark.parametrize("lines", [0, 1])
def test_an_analysis_whose_reader_goes_away_ends_well(done, lines):
    analysis = subprocess.Popen(
        [sys.executable, "-m", "analysis", str(done), *MARGINS],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for _ in range(lines):
        analysis.stdout.readline()
    analysis.stdout.close()
    errors = analysis.stderr.read()
    assert (analysis.wait(SPARE), errors) == (0, b"")


def test_few_open_files_do_or_are_told(grid_of):
    grid = grid_of("files", inits=("random",))
    assert grid.run(preexec_fn=lambda: at_most_files(128)).returncode == 0
    begun = time.monotonic()
    refused = grid_of("fewer-files", inits=("random",)).run(preexec_fn=lambda: at_most_files(48))
    assert refused.returncode == 2
    assert "ulimit -n: found 48 open files, expected 128 or more for Ray" in refused.stderr
    assert time.monotonic() - begun < SPARE


def at_most_files(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


AS_ANOTHER = """
mkdir -p /tmp/ray && mount -t tmpfs none /tmp/ray && chown 1234 /tmp/ray && chmod 700 /tmp/ray
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_read_search \\
    --ambient-caps=+dac_read_search bash -c "$0" x "$@"
"""
"""A user without a home, beside another one who has /tmp/ray; he may read everything, as this Python."""


@pytest.mark.parametrize("limit", ["", "ulimit -u 150;"], ids=["all processes", "150 processes"])
def test_another_user_has_the_folder_of_ray_and_few_processes_are_told(grid_of, limit):
    if os.getuid() != 0 or not (shutil.which("setpriv") and shutil.which("unshare")):
        pytest.skip("needs root, setpriv and unshare (util-linux)")
    grid = grid_of("another", inits=("random",))
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        shutil.copytree(grid.data, f"{place}/data")
        Path(place).chmod(0o777)
        grid = dataclasses.replace(grid, **{name: Path(place, name) for name in ("out", "data", "cache")})
        begun = time.monotonic()
        done = subprocess.run(
            ["unshare", "-m", "bash", "-c", AS_ANOTHER, f'{limit} exec "$@"', *grid.command()],
            cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
            env={**os.environ, "HOME": "/nonexistent"},
        )  # fmt: skip
    if limit:
        assert done.returncode == 2
        assert "ulimit -u: found room for" in done.stderr
        assert "let an administrator raise it" in done.stderr
        assert time.monotonic() - begun < SPARE
    else:
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    "surroundings",
    [
        {"LANG": "C", "LC_ALL": "C", "COLUMNS": "40"},
        {"HOME": "/proc", "TMPDIR": "/nowhere"},
        {"umask": 0o077},
    ],
    ids=lambda one: "-".join(one),
)
def test_a_plain_terminal_an_unwritable_home_and_a_private_umask(grid_of, surroundings):
    grid = grid_of("in-" + "-".join(surroundings), inits=("random",))
    names = {name: value for name, value in surroundings.items() if name != "umask"}
    mask = surroundings.get("umask", -1)
    done = grid.run(env={**os.environ, **names}, umask=mask)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "LANG" not in names or done.stdout.isascii()
    assert mask == -1 or not (grid.out.stat().st_mode & 0o077)


DIES_WHILE_IT_STARTS = '''
import importlib.abc, os, sys

class Die(importlib.abc.MetaPathFinder):
    """The first workers die as they import what they are to run."""
    def find_spec(self, name, path, target=None):
        if name == "sweeps.execution.executor" and "default_worker" in " ".join(sys.argv):
            for number in range(2):
                try:
                    os.close(os.open(f"{os.environ['DEATHS']}/{number}", os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                os.kill(os.getpid(), 9)

sys.meta_path.insert(0, Die())
'''


def test_a_worker_that_dies_while_it_starts_is_a_lost_attempt(grid_of, undisturbed, fault_folder):
    grid = grid_of("dies-at-start", inits=("random",), seeds=2)
    folder, deaths = fault_folder / "die", fault_folder / "deaths"
    folder.mkdir()
    deaths.mkdir()
    (folder / "sitecustomize.py").write_text(DIES_WHILE_IT_STARTS)
    grid.finish(env={**python_path(folder), "DEATHS": str(deaths)})
    assert len(list(deaths.iterdir())) == 2
    assert len(grid.finished()) == 2


V1 = Path("/sys/fs/cgroup")


@pytest.fixture
def group(request):
    """A control group of version 1, by its controller; what still runs in it at the end is killed."""
    controller, files = request.param
    folder = V1 / controller / f"test_{os.getpid()}"
    if os.getuid() != 0 or not (V1 / controller / "tasks").exists():
        pytest.skip("needs root and control groups of version 1")
    folder.mkdir()
    for name, value in files.items():
        (folder / name).write_text(str(value))
    yield folder
    for pid in (folder / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    time.sleep(1)
    folder.rmdir()


MEMORY = ("memory", {"memory.limit_in_bytes": 1500 * 2**20})
QUOTA = ("cpu", {"cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": 100_000})


def inside(group, command):
    """The command in the group, which it sees as the root, as in a container."""
    enter = f'echo $$ > {group}/cgroup.procs && mount --bind {group} {group.parent} && exec "$@"'
    return ["unshare", "-m", "bash", "-c", enter, "x", *command]


@pytest.mark.parametrize("group", [QUOTA], indirect=True)
def test_a_quota_bounds_the_slots(grid_of, group):
    grid = grid_of("quota", inits=("random",))
    command = inside(group, grid.command("--dry-run"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "up to 1 at a time" in " ".join(done.stdout.split())


@pytest.mark.parametrize("group", [MEMORY], indirect=True)
def test_a_container_of_1500_mb_trains_what_fits_and_refuses_the_rest(grid_of, group):
    grid = grid_of("small", inits=("random",), seeds=2)
    command = inside(group, grid.command())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=800, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "up to 1 at a time" in " ".join(done.stdout.split())
    large = [*grid.command(), "--architectures", "cbr_tiny", "resnet50"]
    done = subprocess.run(
        inside(group, large), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stdout
    assert "memory: found" in done.stderr
    assert "resnet50" in done.stderr
    assert "--architectures cbr_tiny" in done.stderr
