"""Experiments of plain Ray Tune: folders as its own JSON logger writes them, and one that Ray wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis.__main__ import main
from analysis.tables.from_tune import read_experiment
from analysis.tables.schema import EvidenceError


def write_trial(folder: Path, config: dict[str, object], reports: int = 3, error: str | None = None) -> None:
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(config))
    lines = [
        json.dumps(
            {
                "train_loss": 0.6 - 0.1 * n, "test_auroc": 0.7 + 0.01 * n, "training_iteration": n,
                "trial_id": folder.name, "time_total_s": 2.0 * n, "time_this_iter_s": 2.0, "hostname": "node",
                "config": config,
            }
        )
        for n in range(1, reports + 1)
    ]  # fmt: skip
    (folder / "result.json").write_text("\n".join(lines) + "\n")
    if error:
        (folder / "error.txt").write_text(error)


def test_configurations_and_reports_become_tables(tmp_path: Path) -> None:
    experiment, out = tmp_path / "tune", tmp_path / "out"
    axes = {"train_images": 100, "init": "random", "freeze": "none", "seed": 0}
    write_trial(experiment / "a_00000", {"architecture": "resnet18", **axes, "lr": 0.1})
    write_trial(
        experiment / "a_00001", {"cell": {"architecture": "cbr_tiny", **axes}}, reports=2, error="Traceback"
    )
    with (experiment / "a_00000" / "result.json").open("a") as reports:
        reports.write('{"train_loss": 0.')  # cut off by a kill
    assert read_experiment(experiment, out).trials == 2
    summary = analysis.run(out)
    loaded = analysis.load(out)
    trials = loaded.trials.set_index("architecture")
    assert trials.loc["resnet18", ["status", "test_auroc", "train_loss", "seconds", "host"]].tolist() == [
        "done", pytest.approx(0.73), pytest.approx(0.3), 6.0, "node",
    ]  # fmt: skip
    assert trials.loc["cbr_tiny", ["status", "failure", "error"]].tolist() == ["failed", "error", "Traceback"]
    assert loaded.epochs.groupby("cell_id").size().to_dict() == {"a_00000": 3, "a_00001": 2}
    assert trials["epochs"].to_dict() == {"resnet18": 3, "cbr_tiny": 2}, "as many as it reported"
    assert summary.counts == {"planned": 2, "done": 1, "failed": 1, "missing": 0}


def test_errors_name_the_file_and_what_is_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EvidenceError, match="no such folder"):
        read_experiment(tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvidenceError, match=r"no params\.json"):
        read_experiment(tmp_path / "empty", tmp_path / "out")
    write_trial(tmp_path / "tune" / "t", {"lr": 0.1})
    assert main([str(tmp_path / "out"), "--from-tune", str(tmp_path / "tune")]) == 2
    assert "expected the trial's configuration with architecture, train_images" in capsys.readouterr().err
    (tmp_path / "sweep" / "cells").mkdir(parents=True)
    with pytest.raises(EvidenceError, match="a sweep's own cells"):
        read_experiment(tmp_path / "tune", tmp_path / "sweep")


def write_reports(folder: Path, config: object, *reports: dict[str, object]) -> None:
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(config))
    (folder / "result.json").write_text("".join(f"{json.dumps(report)}\n" for report in reports))


CONFIG = {"architecture": "resnet18", "train_images": 100, "init": "random", "freeze": "none", "seed": 0}


def test_other_names_are_refused_with_what_was_found_and_the_option_that_mends_it(tmp_path: Path) -> None:
    report = {"test/auc": 0.8, "val_loss": 0.4, "training_iteration": 1, "config": {"lr": 0.1}}
    write_reports(tmp_path / "tune" / "a", CONFIG, report)
    with pytest.raises(EvidenceError) as error:
        read_experiment(tmp_path / "tune", tmp_path / "out")
    assert "found the metrics test/auc, val_loss; looked for test_auroc, " in str(error.value)
    assert "--metric test_auroc=test/auc --metric selection_loss=val_loss" in str(error.value)
    assert not (tmp_path / "out").exists()
    found = read_experiment(tmp_path / "tune", tmp_path / "out", {"test_auroc": "test/auc"})
    assert found.found == ("test_auroc",)
    assert "not found: test_auprc" in found.text()
    assert "reported besides: test/auc, val_loss" in found.text()
    assert analysis.load(tmp_path / "out").trials["test_auroc"].tolist() == [0.8]
    with pytest.raises(
        EvidenceError,
        match="--metric test_auroc=auc: found no such metric; name one of those that were reported: test/auc",
    ):
        read_experiment(tmp_path / "tune", tmp_path / "out", {"test_auroc": "auc"})


def test_nested_reports_have_names_with_a_slash(tmp_path: Path) -> None:
    write_reports(tmp_path / "tune" / "a", CONFIG, {"test": {"auroc": 0.7}, "training_iteration": 1})
    found = read_experiment(tmp_path / "tune", tmp_path / "out", {"test_auroc": "test/auroc"})
    assert found.found == ("test_auroc",)


@pytest.mark.parametrize(
    ("config", "report", "expected"),
    [
        (CONFIG, {"test_auroc": 87.0}, "test_auroc: found 87.0, expected a number from 0 to 1"),
        (CONFIG, {"test_auroc": 10**30}, "test_auroc: found 1e+30, expected a number from 0 to 1"),
        (
            CONFIG | {"train_images": 10**30},
            {"test_auroc": 0.8},
            "train_images: found 1e+30, expected a whole",
        ),
        (CONFIG, {"test_auroc": "high"}, "test_auroc: found 'high', expected a number from 0 to 1"),
        (
            CONFIG | {"train_images": "all"},
            {"test_auroc": 0.8},
            "train_images: found 'all', expected a whole",
        ),
        (CONFIG | {"architecture": 18}, {"test_auroc": 0.8}, "architecture: found 18, expected text"),
        (
            ["resnet18", 100],
            {"test_auroc": 0.8},
            "expected the trial's configuration with architecture, train_images",
        ),
        (CONFIG, {"train_loss": -1.0}, "train_loss: found -1.0, expected a number, at least 0"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_trial(
    config: object, report: dict[str, object], expected: str, tmp_path: Path
) -> None:
    write_reports(tmp_path / "tune" / "a", config, report)
    with pytest.raises(EvidenceError) as error:
        read_experiment(tmp_path / "tune", tmp_path / "out")
    assert expected in str(error.value)
    assert str(tmp_path / "tune" / "a") in str(error.value)


REAL = """
import ray, sys
from contextlib import ExitStack
from ray import _raylet, tune
from sweeps.execution import ray_session
before = _raylet.get_authentication_mode()
with ExitStack() as last:
    ray_session.start(None, last)
    ray_session.end()
assert _raylet.get_authentication_mode() == before
def trial(config):
    for n in range(2):
        tune.report({"train_loss": 0.5 - 0.1 * n, "test_auroc": 0.8})
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
space = {"architecture": tune.grid_search(["resnet18", "cbr_tiny"]), "train_images": 100,
         "init": "random", "freeze": "none", "seed": 0}
run = tune.RunConfig(storage_path=sys.argv[1], name="plain", verbose=0)
tune.Tuner(trial, param_space=space, run_config=run).fit()
"""


@pytest.mark.slow
def test_what_ray_itself_wrote(tmp_path: Path) -> None:
    """Also in a process that had a sweep's Ray before: it leaves none of its settings behind."""
    ran = subprocess.run(
        [sys.executable, "-c", REAL, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert read_experiment(tmp_path / "plain", tmp_path / "out").trials == 2
    loaded = analysis.load(tmp_path / "out")
    assert set(loaded.trials["status"]) == {"done"}
    assert set(loaded.trials["test_auroc"]) == {0.8}
    assert len(loaded.epochs) == 4
