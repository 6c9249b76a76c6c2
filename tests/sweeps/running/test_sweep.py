"""What a round of a sweep hands on to Ray, and records of itself at its end."""

import json
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from sweeps import full_grid
from sweeps.execution import executor, ray_session, ray_watch
from sweeps.options.values import Options
from sweeps.planning.estimate import Estimate
from sweeps.planning.plan import Plan
from sweeps.planning.resources import Resources
from sweeps.presets import smoke
from sweeps.processes.stop import Stop
from sweeps.running import connection, sweep
from sweeps.running.record import Outcome, write_sweep
from sweeps.storage.places import Places

NOTHING = Plan((), {}, frozenset(), {}, None)
GPUS = Resources(device="cuda", cpus=1, cores=(8,), gpus=(3.0,), device_name="Some GPU")
CPU = Resources(device="cpu", cpus=1, cores=(8,))


@pytest.mark.parametrize(("at_hand", "gpus"), [(GPUS, 3), (CPU, 0)], ids=["three GPUs", "a CPU"])
def test_ray_starts_with_the_gpus_that_the_plan_reckons_with(monkeypatch, tmp_path, at_hand, gpus):
    """It would count for itself otherwise, and start trials on GPUs that torch does not open."""
    told, ran = [], []
    watch = SimpleNamespace(end_family=lambda: None, close=lambda: None)
    monkeypatch.setattr(ray_session, "start", lambda address, _, gpus: told.append((address, gpus)))
    monkeypatch.setattr(ray_session, "end", lambda: None)
    monkeypatch.setattr(ray_watch, "RayWatch", lambda _: watch)
    monkeypatch.setattr(connection, "install", lambda stop: None)
    monkeypatch.setattr(connection.marked, "end_own", lambda: None)
    monkeypatch.setattr(
        executor, "execute", lambda work, study, places, resources, control: ran.append(resources)
    )
    one = sweep.Sweep(Options(), smoke(), Places(tmp_path, tmp_path), Console(quiet=True), Stop())
    inputs = SimpleNamespace(origin=SimpleNamespace(supplied=None, imagenet=None), dataset=None)
    with ExitStack() as connected:
        sweep.train(one, SimpleNamespace(at_hand=at_hand), inputs, NOTHING, connected)
    assert (told, ran) == ([(None, gpus)], [at_hand])


@pytest.mark.parametrize(("at_hand", "names"), [(GPUS, ["Some GPU"] * 3), (CPU, [])])
def test_the_record_names_what_trained_and_asks_no_driver(monkeypatch, tmp_path, dataset, at_hand, names):
    """With `--gpus-per-trial 0` beside a driver that is too old, a finished sweep would end in an error."""

    def refused(*_):
        raise RuntimeError("The NVIDIA driver on your system is too old")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", refused)
    monkeypatch.setattr(torch.cuda, "get_device_properties", refused)
    data = SimpleNamespace(name="data", dataset=dataset, notes=(), embedded=True, counts=())
    ended = Outcome(wall_seconds=1.0, stopped="", arguments=("--preset", "smoke", "--out", "my study"))
    write_sweep(tmp_path / "sweep.json", smoke(), data, at_hand, NOTHING, Estimate(0, 0, 0, None), ended)
    record = json.loads((tmp_path / "sweep.json").read_text())
    assert record["hardware"]["gpus"] == names
    assert record["command"] == "python sweeps/full_grid.py --preset smoke --out 'my study'"


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_gone_when_its_trials_begin_stops_the_sweep(
    monkeypatch, capsys, tmp_path, phantom_folder
):
    """By the real command and a Ray that is told of a GPU: here there is no driver at all."""
    monkeypatch.setattr(connection.resources, "of_machine", lambda *_: replace(GPUS, gpus=(1.0,)))
    command = ["--preset", "smoke", "--architectures", "cbr_tiny", "--inits", "random"]
    command += ["--data", str(phantom_folder), "--out", str(tmp_path)]
    assert full_grid.main(command) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "Stopped: GPU of" in said
    assert "cannot open" in said
    assert list(tmp_path.glob("cells/*/result.json")) == []
