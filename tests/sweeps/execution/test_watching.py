"""TensorBoard, MLflow, Weights & Biases by the real command, read back; and secrets, not in any file."""

import os

import pytest

pytestmark = pytest.mark.slow

SECRET = "0123456789abcdef" * 2 + "deadbeef"
"""The length that Weights & Biases expects of a key."""


def holds(folder, secret):
    """Files below `folder` that hold a secret."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [file for file in files if secret.encode() in file.read_bytes()]


def test_tensorboard_and_mlflow_get_every_epoch(grid_of):
    pytest.importorskip("tensorboardX")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    mlflow = pytest.importorskip("mlflow")
    grid = grid_of("watched", inits=("random",))
    grid.finish("--tensorboard", "--logger", "mlflow")
    (losses,) = (frames["epochs"]["train_loss"].tolist() for _, frames in grid.tables().values())
    assert len(losses) == grid.epochs

    (events,) = (grid.out / "tune").rglob("events.out.tfevents.*")
    board = accumulator.EventAccumulator(str(events))
    board.Reload()
    shown = [event.value for event in board.Scalars("ray/tune/train_loss")]
    assert shown[: grid.epochs] == pytest.approx(losses), "then once more, with the results of the cell"

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{grid.out / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'transfusion-sweep'")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "train_loss")
    sent = [metric.value for metric in sorted(history, key=lambda metric: metric.step)]
    assert sent[: grid.epochs] == pytest.approx(losses)
    assert run.info.status == "FINISHED"


def test_a_tracking_address_with_a_password_is_not_kept(grid_of, tmp_path):
    pytest.importorskip("mlflow")
    grid = grid_of("tracked", inits=("random",))
    address = f"sqlite:///{tmp_path / 'mlflow.db'}?password={SECRET}"
    text = grid.finish("--logger", "mlflow", env={**os.environ, "MLFLOW_TRACKING_URI": address})
    assert SECRET not in text
    assert holds(grid.out, SECRET) == []


def test_weights_and_biases_gets_every_epoch_and_its_key_is_not_kept(grid_of, tmp_path):
    pytest.importorskip("wandb")
    grid = grid_of("biased", inits=("random",))
    keys = {"WANDB_MODE": "offline", "WANDB_API_KEY": SECRET, "WANDB_DIR": str(tmp_path)}
    text = grid.finish("--logger", "wandb", env={**os.environ, **keys})
    assert SECRET not in text
    assert holds(grid.out, SECRET) == []
    (run,) = [*tmp_path.rglob("*.wandb"), *grid.out.rglob("*.wandb")]
    content = run.read_bytes()
    assert content.count(b"train_loss") >= grid.epochs
    assert SECRET.encode() not in content
