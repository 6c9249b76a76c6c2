"""A trial in Tune: what it reports, what it sends, what Tune is told; stand-ins for Ray and for training."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.execution import executor
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.planning.resources import Resources
from sweeps.presets import smoke
from sweeps.processes.stop import Stop
from sweeps.storage.places import Places
from transfusion import trial
from transfusion.cell import Cell
from transfusion.records.lease import LostError
from transfusion.records.results import RESULT, read_result
from transfusion.study import Machine, Study

CELL = Cell(architecture="cbr_tiny", train_images=64)
CONFIG = {
    "cell_id": "one",
    "upstream": None,
    "share": 0.5,
    "cell": {name: getattr(CELL, name) for name in CELL.__slots__},
}
PLANNED = PlannedCell("one", CELL, None, 60.0)
CPU = Machine(device="cpu")


@pytest.fixture
def reports(monkeypatch):
    """What a trial reports, in a process that stands for Ray's."""
    found = []
    monkeypatch.setattr(executor.ray, "get", lambda asked: asked)
    monkeypatch.setattr(executor.tune, "report", found.append)
    monkeypatch.setattr(executor, "_place", lambda: {"status": "placed"})
    return found


def flag(up=False):
    return SimpleNamespace(is_up=SimpleNamespace(remote=lambda: up))


def test_a_gpu_that_cannot_train_is_told_and_its_cell_is_not_begun(reports, monkeypatch):
    """The driver was exchanged after the plan, or a card failed: no cell's own failure."""
    monkeypatch.setattr(executor, "unfit", lambda precision: f"found no GPU for {precision}")
    machine = Machine(device="cuda", precision="bfloat16")
    executor.trainable({"cell": {}}, study=None, machine=machine, places=None, flag=flag())
    assert [one["status"] for one in reports] == ["placed", "unfit"]
    assert reports[1]["error"].endswith("found no GPU for bfloat16")


@pytest.mark.parametrize(
    ("gpus", "first"),
    [({"GPU": ["GPU-7"]}, "GPU-7"), ({"GPU": ["3", "5"]}, "3"), ({"GPU": []}, ""), ({}, "")],
)
def test_a_trial_tells_its_node_and_its_first_gpu(monkeypatch, gpus, first):
    context = SimpleNamespace(get_accelerator_ids=lambda: gpus, get_node_id=lambda: "n1")
    monkeypatch.setattr(executor.ray, "get_runtime_context", lambda: context)
    assert executor._place() == {"status": "placed", "node": "n1", "gpu": first}


@pytest.fixture
def train(reports, monkeypatch, tmp_path):
    """Runs a trial whose training ends in `end`; returns what was trained, and how often it was sent."""

    def train(end, up=False):
        trained, sent = [], []

        def run_trial(cell, study, *, machine, **_):
            trained.append((cell, machine.share))
            if isinstance(end, Exception):
                raise end
            return end

        monkeypatch.setattr(trial, "run_trial", run_trial)
        monkeypatch.setattr(executor, "_cells", lambda *_: nullcontext((tmp_path, lambda: sent.append(1))))
        places = Places(tmp_path, tmp_path)
        executor.trainable(CONFIG, study=None, machine=CPU, places=places, flag=flag(up))
        return trained, len(sent)

    return train


@pytest.mark.parametrize(("status", "sent"), [("done", 1), ("failed", 1), ("interrupted", 0)])
def test_a_trial_on_a_cpu_reports_its_end_and_sends_what_is_finished(train, reports, status, sent):
    metrics = {"test_auroc": 0.75, "official_auroc": None}
    assert train({"status": status, "metrics": metrics}) == ([(CELL, 0.5)], sent)
    assert reports == [{"test_auroc": 0.75, "status": status}]


@pytest.mark.parametrize(
    ("error", "status"), [(OSError(28, "full"), "storage"), (LostError("taken"), "lost_out")]
)
def test_what_no_cell_is_to_blame_for_is_reported_and_nothing_sent(train, reports, error, status):
    assert train(error)[1] == 0
    assert reports == [{"status": status, "error": str(error)}]


def test_a_trial_that_comes_after_the_request_to_stop_begins_nothing(train, reports):
    assert train(None, up=True) == ([], 0)
    assert reports == [{"status": "interrupted"}]


@pytest.mark.parametrize("stored", [False, True])
def test_a_cell_that_could_not_be_trained_has_a_result_that_says_why(tmp_path, stored):
    looked, sent = [], []
    store = SimpleNamespace(send=lambda file, name: sent.append((file.read_text() != "", name)))
    places = Places(tmp_path / "out", tmp_path, store if stored else None, lambda: looked.append(1))
    study = Study(recipe=smoke().recipe, dataset=SimpleNamespace(fingerprint="f" * 16))
    executor._record_failure(study, places, PLANNED, "lost", "its process died 6 times in a row")
    record = read_result(tmp_path / "out" / "cells" / "one")
    assert (record["status"], record["failure"]) == ("failed", "lost")
    assert record["error"] == "its process died 6 times in a row"
    assert looked == [1]
    assert sent == ([(True, f"cells/one/{RESULT}")] if stored else [])


def test_without_a_store_a_trial_works_where_all_cells_lie(tmp_path):
    with executor._cells(CONFIG, Places(tmp_path, tmp_path)) as (cells, send):
        assert cells == tmp_path / "cells"
        send()


@pytest.mark.parametrize(
    ("elastic", "present", "asks"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_tune_is_told_to_ask_for_trials_without_end_and_where_its_own_files_lie(
    monkeypatch, tmp_path, elastic, present, asks
):
    """And an autoscaler is asked for nodes where there is one, and later nodes are waited for."""
    told, executing = [], []
    stop = Stop()

    class Tuner:
        def __init__(self, function, *, tune_config, run_config):
            told.append((function, tune_config, run_config))

        def fit(self):
            executing.append(stop.executing)

    for name, stand_in in {
        "Tuner": Tuner,
        "with_parameters": lambda function, **_: function,
        "with_resources": lambda function, resources: (function, resources),
    }.items():
        monkeypatch.setattr(executor.tune, name, stand_in)
    monkeypatch.setattr(executor, "Stopper", lambda stop: SimpleNamespace(flag=None))
    monkeypatch.setattr(executor.autoscaling, "nodes", dict)
    monkeypatch.setattr(executor.autoscaling, "present", lambda: present)
    watcher = SimpleNamespace(waits=None)
    work = Plan((PLANNED,), {}, frozenset(), {}, smoke().recipe)
    resources = Resources(device="cpu", cpus=2, cores=(8,), elastic=elastic)
    control = SimpleNamespace(watcher=watcher, stop=stop, callbacks=[], fail_fast=False)
    monkeypatch.chdir(tmp_path)
    executor.execute(work, None, Places(Path("out"), Path("cache")), resources, control)
    ((_, of_trial), tune_config, run_config), = told  # fmt: skip
    assert tune_config.num_samples == -1, "as many as the queue hands out"
    assert tune_config.search_alg.searcher.waiting == [PLANNED]
    assert (tune_config.search_alg.searcher.devices.ask is not None) == asks
    assert run_config.storage_path == str(tmp_path / "out" / "tune")
    attempt = SimpleNamespace(config=CONFIG, trial_id="experiment_00042")
    assert tune_config.trial_dirname_creator(attempt) == "one-00042"
    assert of_trial(CONFIG).required_resources == resources.request(0.5)
    assert (executing, stop.executing) == ([True], False)
