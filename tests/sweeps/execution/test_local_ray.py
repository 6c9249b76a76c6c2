"""What Ray needs of a machine is given to it, or found missing before it starts."""

import dataclasses
import json
import os
import resource
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from sweeps.execution import local_ray
from sweeps.processes import identity
from transfusion.problems import SettingError


@pytest.fixture
def places(tmp_path, monkeypatch):
    """No place but TMPDIR, which is returned."""
    monkeypatch.setattr(local_ray, "PLACES", ())
    short = Path(f"/tmp/t{os.getpid() % 10_000}")
    short.mkdir()
    monkeypatch.setenv("TMPDIR", str(short))
    yield short
    for left in short.iterdir():
        (left / local_ray.OWNER).unlink(missing_ok=True)
        left.rmdir()
    short.rmdir()


def test_rays_folder_is_short_private_and_goes(places):
    with local_ray.own_folder() as folder:
        socket = folder / "session_2026-11-28_21-16-03_123456_1234567/sockets/plasma_store"
        assert len(os.fsencode(socket)) <= local_ray.SOCKET_PATH
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.parent == places
    assert not folder.exists()


def test_what_a_killed_driver_left_goes_and_what_a_living_one_has_stays(places):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = dataclasses.replace(identity.own(), pid=process.pid, ticks=identity._stat(process.pid)[1])
    process.communicate(b"\n")
    for name, owner in {"sweep-dead": dead, "sweep-live": identity.own()}.items():
        (places / name).mkdir()
        (places / name / local_ray.OWNER).write_text(json.dumps(dataclasses.asdict(owner)))
    (places / "sweep-other").mkdir()
    with local_ray.own_folder():
        assert {one.name for one in places.glob("sweep-*")} >= {"sweep-live", "sweep-other"}
        assert not (places / "sweep-dead").exists()


def test_a_place_whose_paths_are_too_long_is_passed_over_or_named(places, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", "/" + "long" * 20)
    with pytest.raises(SettingError, match="too long a path for sockets"):
        local_ray._make()
    monkeypatch.setattr(local_ray, "PLACES", (places,))
    made = local_ray._make()
    assert made.parent == places


def test_a_place_that_cannot_be_written_is_named(places, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with pytest.raises(SettingError, match="/nowhere: no such file or directory"):
        local_ray._make()


def test_the_token_is_written_nowhere_and_goes(monkeypatch):
    for name in local_ray.TOKEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
    with local_ray.own_token():
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert not set(local_ray.TOKEN) & set(os.environ)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    with local_ray.own_token():
        assert os.environ["RAY_AUTH_TOKEN"] == "mine"
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"


@pytest.mark.parametrize(
    ("limits", "cure"), [((64, 4096), "ulimit -n 128 before"), ((64, 64), "let an administrator raise it")]
)
def test_few_open_files_are_refused_with_the_limits_name(monkeypatch, limits, cure):
    monkeypatch.setattr(local_ray.resource, "getrlimit", lambda _: limits)
    with pytest.raises(SettingError, match=f"ulimit -n: found 64 open files, expected 128 or more.*{cure}"):
        local_ray.refuse_few_files()


def test_few_processes_are_refused_with_the_limits_name(monkeypatch):
    monkeypatch.setattr(local_ray.resource, "getrlimit", lambda _: (400, resource.RLIM_INFINITY))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(local_ray, "_own_threads", lambda: 150)
    expected = (
        r"ulimit -u: found room for 250 more .*expected 320 for Ray.*; ulimit -u 470 before the command"
    )
    with pytest.raises(SettingError, match=expected):
        local_ray.refuse_few_processes(2)
    monkeypatch.setattr(local_ray.resource, "getrlimit", lambda _: (400, 400))
    with pytest.raises(SettingError, match="let an administrator raise it"):
        local_ray.refuse_few_processes(2)
    monkeypatch.setattr(local_ray, "_own_threads", lambda: 10)
    local_ray.refuse_few_processes(2)


def test_a_removal_that_is_cut_short_is_finished_by_the_next_start(places, monkeypatch):
    """The owner's name goes last, so that what is left is known to be a dead driver's."""
    removed = local_ray.shutil.rmtree
    monkeypatch.setattr(local_ray.shutil, "rmtree", lambda *_, **__: None)
    with local_ray.own_folder() as folder:
        (folder / "session_1").mkdir()
        (folder / "session_1" / "log").write_text("late")
    assert (folder / local_ray.OWNER).exists()
    monkeypatch.setattr(local_ray.shutil, "rmtree", removed)
    monkeypatch.setattr(identity, "state", lambda _: "dead")
    with local_ray.own_folder() as other:
        assert [one.name for one in places.iterdir()] == [other.name]


@pytest.mark.parametrize(
    "error",
    [
        Exception(
            "The current node timed out during startup. This could happen because some of the raylet failed "
            "to startup or the GCS has become overloaded."
        ),
        RuntimeError("Failed to start GCS. Last connection error: Traceback\nRpcError: TimedOut: Timed out"),
        TimeoutError("Timed out after 60 seconds while waiting for node to startup. Did not find socket"),
        RuntimeError("RpcError: Deadline Exceeded"),
    ],
)
def test_a_start_that_takes_too_long_is_told_as_one_and_not_as_missing_room(monkeypatch, tmp_path, error):
    """All of these are Ray's, on a machine that others keep busy."""

    def slow(**_):
        raise error

    monkeypatch.setattr(local_ray.ray, "init", slow)
    with ExitStack() as cleanup, pytest.raises(SettingError, match="did not answer in time") as told:
        local_ray.start(cleanup, {})
    assert "less busy" in str(told.value)
    assert "load " in str(told.value)
    assert "expected room" not in str(told.value)
    word = "its raylet.err says: fork: Resource temporarily unavailable; "
    assert "expected room" in local_ray.told(error, word), "what a process has said counts for more"
    assert "expected room" in local_ray.told(RuntimeError("No space left on device"), "")
