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
    (experiment / "a_00000" / "result.json").open("a").write('{"train_loss": 0.')  # cut off by a kill
    assert read_experiment(experiment, out) == 2
    summary = analysis.run(out)
    loaded = analysis.load(out)
    trials = loaded.trials.set_index("architecture")
    assert trials.loc["resnet18", ["status", "test_auroc", "train_loss", "seconds", "host"]].tolist() == [
        "done", pytest.approx(0.73), pytest.approx(0.3), 6.0, "node",
    ]  # fmt: skip
    assert trials.loc["cbr_tiny", ["status", "failure", "error"]].tolist() == ["failed", "error", "Traceback"]
    assert loaded.epochs.groupby("cell_id").size().to_dict() == {"a_00000": 3, "a_00001": 2}
    assert summary.counts == {"planned": 2, "done": 1, "failed": 1, "missing": 0}


def test_errors_name_the_file_and_what_is_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EvidenceError, match=r"no params\.json"):
        read_experiment(tmp_path / "nothing", tmp_path / "out")
    write_trial(tmp_path / "tune" / "t", {"lr": 0.1})
    assert main([str(tmp_path / "out"), "--from-tune", str(tmp_path / "tune")]) == 2
    assert "expected at least architecture, train_images" in capsys.readouterr().err
    (tmp_path / "sweep" / "cells").mkdir(parents=True)
    with pytest.raises(EvidenceError, match="a sweep's own cells"):
        read_experiment(tmp_path / "tune", tmp_path / "sweep")


REAL = """
import ray, sys
from ray import tune
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
    ran = subprocess.run(
        [sys.executable, "-c", REAL, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert read_experiment(tmp_path / "plain", tmp_path / "out") == 2
    loaded = analysis.load(tmp_path / "out")
    assert set(loaded.trials["status"]) == {"done"}
    assert set(loaded.trials["test_auroc"]) == {0.8}
    assert len(loaded.epochs) == 4
