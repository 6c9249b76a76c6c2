"""Real errors, and the class of failure that they are."""

import dataclasses
import errno

import numpy as np
import pytest
import torch
from one_trial import run_trial

from transfusion import trial
from transfusion.cell import Cell
from transfusion.records import attempts, results
from transfusion.records.failures import DivergedError, failure_of
from transfusion.training import fitting
from transfusion.training.module import TrainingModule

CELL = Cell(architecture="cbr_tiny", train_images=48)


def caught(function):
    with pytest.raises(Exception) as error:
        function()
    return error.value


@pytest.fixture
def full_disk(tmp_path):
    """A device that takes no byte, behind a link: pyarrow removes what it failed to write."""
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    return link


def test_running_out_of_host_memory_is_known_by_what_the_allocator_raises():
    assert failure_of(caught(lambda: torch.empty(2**60, dtype=torch.uint8))) == "out_of_memory"
    assert failure_of(caught(lambda: np.zeros(2**60, dtype=np.uint8))) == "out_of_memory"
    assert (
        failure_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
        == "out_of_memory"
    )


def test_a_full_disk_is_known_by_what_every_writer_raises(full_disk):
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write_text():
        with open(full_disk, "w") as file:  # noqa: PTH123
            file.write("x" * 100_000)

    assert failure_of(caught(write_text)) == "storage"
    assert failure_of(caught(lambda: torch.save(torch.zeros(100_000), full_disk))) == "storage"
    table = pa.table({"x": np.arange(100_000)})
    assert failure_of(caught(lambda: pq.write_table(table, full_disk))) == "storage"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (OSError(errno.EROFS, "Read-only file system"), "storage"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "storage"),
        (FileNotFoundError(errno.ENOENT, "no such file"), "error"),
        (DivergedError("loss is nan"), "diverged"),
        (ValueError("a bug"), "error"),
        (KeyError("No space in this name"), "error"),
        (
            torch.AcceleratorError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
            "out_of_memory",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), "out_of_memory"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling cublasCreate"),
            "out_of_memory",
        ),
        (RuntimeError("GET was unable to find an engine to execute this computation"), "out_of_memory"),
        (RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), "out_of_memory"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "error"),
    ],
)
def test_other_errors(error, failure):
    assert failure_of(error) == failure


def test_the_cause_of_an_error_counts():
    def save():
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as inner:
            raise RuntimeError("while saving") from inner

    assert failure_of(caught(save)) == "storage"


@pytest.fixture
def run(dataset, image_folder, tmp_path, quick):
    def run(recipe=quick, **options):
        return run_trial(CELL, recipe, dataset, cells=tmp_path / "cells", cache=image_folder, **options)

    return run


def out_of_memory(*_args):
    torch.empty(2**60, dtype=torch.uint8)


def test_out_of_memory_below_a_whole_device_is_noted_and_not_recorded(run, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "find_learning_rate", out_of_memory)
    assert run(share=0.25)["status"] == "out_of_memory"
    (folder,) = (tmp_path / "cells").iterdir()
    assert results.read_result(folder) is None
    assert attempts.exhausted_share(folder) == 0.25
    record = run(share=1.0)
    assert (record["status"], record["failure"]) == ("failed", "out_of_memory")
    assert attempts.exhausted_share(folder) == 1.0
    monkeypatch.undo()
    assert results.read_result(folder) is not None
    results.reopen(folder)
    assert run(share=1.0)["status"] == "done"


def test_a_storage_error_is_raised_and_never_recorded(run, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trial, "evaluate", full)
    with pytest.raises(OSError, match="No space left"):
        run()
    (folder,) = (tmp_path / "cells").iterdir()
    assert results.read_result(folder) is None


def test_a_divergence_keeps_the_curve_up_to_there(run, tmp_path, quick):
    import pandas as pd

    recipe = dataclasses.replace(quick, range_test_low=1e28, range_test_high=1e30, range_test_steps=2)
    record = run(recipe)
    assert record["failure"] == "diverged"
    (folder,) = (tmp_path / "cells").iterdir()
    steps = pd.read_parquet(folder / "steps.parquet")
    assert len(steps) >= 1
    assert np.isfinite(steps["train_loss"]).all()
    assert record["metrics"]["learning_rate"] >= 1e28


def test_weights_that_the_last_step_ruins_are_a_divergence(run, tmp_path, quick, monkeypatch):
    """All training losses are finite: no further one tells."""
    import pandas as pd

    step = TrainingModule.on_validation_epoch_start

    def ruined(module):
        if module.epoch == quick.epochs - 1:
            with torch.no_grad():
                next(module.network.parameters()).fill_(float("nan"))
        step(module)

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_start", ruined)
    record = run(quick)
    assert (record["status"], record["failure"]) == ("failed", "diverged")
    assert f"not finite after epoch {quick.epochs}" in record["error"]
    (folder,) = (tmp_path / "cells").iterdir()
    assert len(pd.read_parquet(folder / "epochs.parquet")) == quick.epochs - 1
    steps = pd.read_parquet(folder / "steps.parquet")["train_loss"]
    assert len(steps) % quick.epochs == 0
    assert np.isfinite(steps).all()


def test_the_log_of_attempts_survives_a_line_that_was_cut_off(tmp_path):
    attempts.add(tmp_path, "started", 0.5)
    with (tmp_path / attempts.ATTEMPTS).open("a") as file:
        file.write('{"event": "out_of_mem')
    assert [line["event"] for line in attempts.read(tmp_path)] == ["started"]
    assert attempts.exhausted_share(tmp_path) is None
